//! The `netbreak run` process.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use netbreak_user::report::Report;
use rustix::process::{Pid, Signal, kill_process};

/// One that runs. Dropping it kills it.
pub struct Run {
    child: Option<Child>,
}

/// What came of it.
pub struct Done {
    /// Its report, which keeps every identity.
    pub report: Report,
    /// Its exit status.
    pub status: i32,
    /// The most memory that it held at once, in KiB.
    pub memory_kib: i64,
}

impl Run {
    /// Starts `netbreak run` with these arguments.
    pub fn start(arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbreak"));
        command.arg("run").args(arguments).args(["--quiet", "--json", "-"]);
        Run { child: Some(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()) }
    }

    /// Ends it early, as Ctrl-C does, and waits.
    pub fn interrupt(self) -> Done {
        let pid = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(pid, Signal::INT).unwrap();
        self.finish()
    }

    /// Waits for its end, and checks its report's identities.
    pub fn finish(mut self) -> Done {
        let child = self.child.as_mut().unwrap();
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let (status, memory_kib) = wait(child);
        self.child = None;
        let status = status.code().unwrap_or_else(|| panic!("{status}"));
        let report: Report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        if let Err(why) = report.check() {
            panic!("{why}\n{text}");
        }
        Done { report, status, memory_kib }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// As `Child::wait`, and what the kernel says of its memory: `ru_maxrss` is `VmHWM` up to its very end.
fn wait(child: &Child) -> (ExitStatus, i64) {
    let mut status = 0;
    // SAFETY: an `rusage` of zeros is valid: it has only numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values of ours, of the types that the call wants.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    assert_eq!(waited, child.id() as libc::pid_t, "{}", std::io::Error::last_os_error());
    (ExitStatus::from_raw(status), usage.ru_maxrss)
}
