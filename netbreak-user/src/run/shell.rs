//! A command of the user's, in a process group that never outlives us.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::clock::{self, Nanos};

/// Leads the group, and ends it at the end of its standard input: the other end of that pipe is ours and closes with us,
/// even by SIGKILL. It also keeps the group's number from being given to somebody else. It says so once SIGTERM can no longer end
/// it.
const WARDEN: &str = r#"trap "" TERM; echo ready; read -r end; kill -KILL 0"#;

/// After SIGTERM and before SIGKILL.
const PATIENCE: Duration = Duration::from_secs(1);

/// When it ended, and how.
pub(super) type End = (Nanos, io::Result<ExitStatus>);

/// A running command. All of its process group is killed when this is dropped.
pub(super) struct Shell {
    warden: Child,
    ended: Receiver<End>,
    waiter: Option<JoinHandle<()>>,
}

impl Shell {
    /// Runs `sh -c command` without input. What it prints goes to our standard error: standard output is the report's.
    ///
    /// # Errors
    /// `sh`, or the thread that waits for it, cannot be started.
    pub(super) fn start(command: &str) -> Result<Shell> {
        let stderr = io::stderr().as_fd().try_clone_to_owned().context("cannot use standard error")?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WARDEN]).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut warden = shell.spawn().context("cannot start `sh`")?;
        let ready = warden.stdout.take();
        let (end, ended) = mpsc::channel();
        let mut started = Shell { warden, ended, waiter: None };
        let mut ready = ready.context("no pipe from `sh`")?;
        ready.read_exact(&mut [0]).context("`sh` ended before it was ready")?;
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).process_group(started.warden.id() as i32);
        let child = shell.stdin(Stdio::null()).stdout(stderr).spawn();
        let mut child = child.context("cannot start `sh`")?;
        let wait = move || {
            let status = child.wait();
            // Nobody listens any more if the run was given up.
            let _ = end.send((clock::now(), status));
        };
        let waiter = thread::Builder::new().name("trigger".to_owned()).spawn(wait);
        started.waiter = Some(waiter.context("cannot start the thread that waits for the trigger")?);
        Ok(started)
    }

    /// Its end, told once.
    pub(super) fn ended(&self) -> Option<End> {
        self.ended.try_recv().ok()
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, and waits for that, but not long.
    pub(super) fn wait(&self) {
        self.terminate();
        let _ = self.ended.recv_timeout(PATIENCE);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.warden.id()).ok().and_then(Pid::from_raw) {
            // The warden is not waited for yet, so the group is there; who has left our user's rights behind is not ours
            // to end.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.warden.wait();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(shell: &Shell) -> ExitStatus {
        let (_, status) = shell.ended.recv_timeout(Duration::from_secs(30)).unwrap();
        status.unwrap()
    }

    #[test]
    fn it_tells_how_it_ended() {
        assert_eq!(end(&Shell::start("exit 3").unwrap()).code(), Some(3));
        let shell = Shell::start("sleep 1000").unwrap();
        assert!(shell.ended().is_none());
        shell.terminate();
        assert_eq!(end(&shell).code(), None);
    }

    #[test]
    fn what_it_left_behind_ends_with_it() {
        let mut pipe = std::io::pipe().unwrap();
        // Holds the other end open for as long as it lives.
        let command = format!("exec 2>/proc/{}/fd/{}; sleep 1000 & exit 0", std::process::id(), {
            use std::os::fd::AsRawFd;
            pipe.1.as_raw_fd()
        });
        let shell = Shell::start(&command).unwrap();
        assert_eq!(end(&shell).code(), Some(0));
        drop((shell, pipe.1));
        // Comes to an end, as nobody can write any more.
        assert_eq!(std::io::Read::read(&mut pipe.0, &mut [0]).unwrap(), 0);
    }
}
