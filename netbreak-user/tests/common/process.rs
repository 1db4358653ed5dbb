//! The `netbreak run` process.

use std::io::Read;
use std::process::{Child, Command, Stdio};

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
        Run::command("run", arguments)
    }

    /// Starts `netbreak matrix` with these arguments.
    pub fn matrix(arguments: &[&str]) -> Run {
        Run::command("matrix", arguments)
    }

    fn command(name: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbreak"));
        command.arg(name).args(arguments).args(["--quiet", "--json", "-"]);
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
        let (text, memory_kib) = read_to_end(child);
        let status = child.wait().unwrap();
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

/// What it prints until its end, and the most memory that it held at once (`VmHWM`, in KiB) when it printed: a large
/// report does not fit into the pipe, so it is read while the process waits with all of it in memory. (`ru_maxrss` tells
/// of the process that it was forked from, too.)
fn read_to_end(child: &mut Child) -> (String, i64) {
    let mut pipe = child.stdout.take().unwrap();
    let (mut text, mut memory_kib) = (Vec::new(), 0);
    let mut chunk = [0; 4096];
    loop {
        let read = pipe.read(&mut chunk).unwrap();
        if read == 0 {
            return (String::from_utf8(text).unwrap(), memory_kib);
        }
        text.extend_from_slice(&chunk[..read]);
        memory_kib = memory_kib.max(high_water(child.id()));
    }
}

/// 0 when it is over already.
fn high_water(pid: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
