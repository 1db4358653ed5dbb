//! Running the binary, and seeing what it holds in the kernel.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use netbreak_user::counters;
use netbreak_user::lab::{Guard, Lab, Role};
use netbreak_user::netns::Namespace;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

#[path = "../common/skip.rs"]
mod skip;
#[path = "../common/wait.rs"]
mod wait;

pub(crate) use skip::skipped;
pub(crate) use wait::wait_until;

pub(crate) const NETBREAK: &str = env!("CARGO_BIN_EXE_netbreak");

/// No start, end or clean-up takes so long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The lab's server, as it is typed.
pub(crate) const SERVER: &str = "10.0.2.2";

/// Runs `netbreak` with `arguments` (separated by blanks) to its end.
pub(crate) fn netbreak(arguments: &str) -> Output {
    Command::new(NETBREAK).args(arguments.split(' ')).stdin(Stdio::null()).output().unwrap()
}

/// Runs a line of shell to its end; `$N` is the binary.
pub(crate) fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).env("N", NETBREAK).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts status 2, nothing on standard output and one line that holds all of `words`.
pub(crate) fn assert_refused(output: &Output, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(text(&output.stdout), "", "{said}");
    assert!(said.starts_with("netbreak: ") && said.lines().count() == 1, "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "no {word:?} in: {said}"));
    // What the system answered is said once.
    assert!(said.matches("(os error").count() <= 1, "{said}");
}

/// The report on standard output.
pub(crate) fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", text(&output.stdout), text(&output.stderr)))
}

pub(crate) fn sensor<'a>(report: &'a Value, name: &str) -> &'a Value {
    let sensors = report["run"]["sensors"].as_array().unwrap();
    sensors.iter().find(|sensor| sensor["name"] == name).unwrap_or_else(|| panic!("no {name}: {sensors:?}"))
}

/// The first target's probe of this kind; its sums are asserted: each attempt has one outcome, and each one that was
/// not answered a death or none.
pub(crate) fn probe<'a>(report: &'a Value, kind: &str) -> &'a Value {
    let probes = report["targets"][0]["probes"].as_array().unwrap();
    let probe = probes.iter().find(|probe| probe["kind"] == kind).unwrap();
    let sum = |names: &[&str]| names.iter().map(|name| probe[*name].as_u64().unwrap()).sum::<u64>();
    let unanswered = sum(&["lost", "timed_out", "unreachable", "send_failed"]);
    let others = sum(&["answered", "late", "refused", "reset"]);
    assert_eq!(sum(&["sent"]), unanswered + others, "{probe:#}");
    let deaths = probe["deaths"].as_array().unwrap();
    let died: u64 = deaths.iter().map(|death| death["attempts"].as_u64().unwrap()).sum();
    assert_eq!(died + sum(&["unexplained"]), unanswered, "{probe:#}");
    probe
}

/// A `netbreak` that runs; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `netbreak` with `arguments` (separated by blanks).
    pub(crate) fn new(arguments: &str) -> Self {
        let mut command = Command::new(NETBREAK);
        command.args(arguments.split(' ')).stdin(Stdio::null());
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Stops it, and waits until its last thread has (`do_signal_stop`): until then it may go on reading.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        waitid(WaitId::Pid(Pid::from_child(&self.0)), WaitIdOptions::STOPPED).unwrap();
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn output(mut self) -> Output {
        // The pipe holds 64 KiB: it is emptied while we wait.
        let mut pipe = self.0.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut stdout = Vec::new();
            pipe.read_to_end(&mut stdout).map(|_| stdout)
        });
        wait_until(PATIENCE, "netbreak ends", || self.0.try_wait().unwrap().is_some());
        let mut stderr = Vec::new();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Output { status: self.0.wait().unwrap(), stdout: reader.join().unwrap().unwrap(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `netbreak serve` in the lab's server, with every service; open when this returns.
pub(crate) fn serve(lab: &Lab) -> Guard {
    let ports = "exec $0 serve --tcp 7000 --http 80 --udp 4000 --stream 5201 --bind $1 >/dev/null";
    let argv = ["sh", "-c", ports, NETBREAK, SERVER];
    let server = lab.spawn(Role::Server, &argv).unwrap();
    wait_until(PATIENCE, "serve is there", || {
        let connect = || std::net::TcpStream::connect((SERVER, 5201));
        lab.namespace(Role::Client).run(connect).unwrap().is_ok()
    });
    server
}

/// `run` from the lab's client to its server.
pub(crate) fn from_client(lab: &Lab, arguments: &str) -> String {
    format!("run {SERVER} --netns pid:{} {arguments}", lab.namespace(Role::Client).pid())
}

/// Waits until this many echo requests have left the lab's client.
pub(crate) fn wait_for_echoes(lab: &Lab, number: u64) {
    wait_for(lab, "Icmp.OutEchos", number);
}

/// Waits until a counter of the lab's client has come to this.
pub(crate) fn wait_for(lab: &Lab, counter: &str, number: u64) {
    let client = [Namespace::open(lab.namespace(Role::Client).path()).unwrap()];
    let inode = client[0].inode();
    let count = || counters::take(&client).namespaces[&inode].get(counter);
    wait_until(PATIENCE, counter, || count().is_some_and(|count| count >= number));
}

/// The numbers after `key` in what /proc tells about the open files of a process: `prog_id`, `map_id`.
pub(crate) fn kernel_objects(pid: u32, key: &str) -> HashSet<u32> {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts
        .flat_map(|text| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            lines.filter_map(|id| id.trim().parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

/// The processes whose parent is `pid`, with their names.
pub(crate) fn children(pid: u32) -> Vec<(u32, String)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = pids.filter_map(|child| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        (field("PPid:")? == pid.to_string()).then(|| (child, field("Name:").unwrap_or("").to_owned()))
    });
    of_parent.collect()
}
