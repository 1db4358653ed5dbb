//! Looks for processes of interest in /proc, cheaply: a look reads what is new, and those that it knows.
//!
//! The kernel's process connector would tell at once, but only in the machine's first process and network namespaces
//! (`cn_proc_mcast_ctl` in drivers/connector/cn_proc.c, `cn_init` in connector.c), where a pod is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result};

use super::processes::{Process, ProcessEvent, Processes};
use crate::clock::{Nanos, SECOND};

/// Whose life is a change: the daemons of Open vSwitch and OVN that a node's packets depend on.
pub const DAEMONS: [&str; 3] = ["ovs-vswitchd", "ovn-controller", "ovsdb-server"];

/// So long after its birth a process may still execute a program of interest: a shell that started it, or a container's
/// runtime. One that does later is found only if it is one of the first look.
const YOUTH: Nanos = 2 * SECOND;

/// So many new processes are looked at until their youth is over: more than a machine makes in that time, but for a
/// storm of forks, which must not become a storm of reads.
const MOST_YOUNG: usize = 4096;

/// If more numbers than this were given out since the last look, /proc is listed instead of trying each.
const MOST_TRIED: u32 = 4096;

/// The processes of interest, and what became of them.
pub struct ProcessWatcher {
    /// The last number that was given out at the last look.
    cursor: u32,
    young: BTreeMap<u32, Nanos>,
    /// Of numbers that were given out and tried those that nobody had yet: a process gets its number before it can be found by
    /// it (`copy_process` in kernel/fork.c).
    unborn: Vec<u32>,
    /// Of interest, with the namespace of each (inode number) where it may be read.
    found: BTreeMap<u32, Option<u32>>,
    processes: Processes,
}

impl ProcessWatcher {
    /// Learns what is there now, which makes no events.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn open() -> Result<ProcessWatcher> {
        let cursor = last_pid()?;
        let mut watcher = ProcessWatcher {
            cursor,
            young: BTreeMap::new(),
            unborn: Vec::new(),
            found: BTreeMap::new(),
            processes: Processes::default(),
        };
        for pid in listed()? {
            if comm(pid).is_ok_and(|name| is_daemon(&name)) {
                watcher.found.insert(pid, netns(pid));
            }
        }
        watcher.processes = Processes::new(watcher.alive());
        Ok(watcher)
    }

    /// What changed since the last look; `at` is the time now. Never waits.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn look(&mut self, at: Nanos) -> Result<Vec<ProcessEvent>> {
        // Asked for twice at most.
        for pid in std::mem::take(&mut self.unborn) {
            self.meet(pid, at);
        }
        for pid in self.new_pids()? {
            if self.meet(pid, at).is_none() {
                self.unborn.push(pid);
            }
        }
        let found = &mut self.found;
        self.young.retain(|pid, born| match comm(*pid) {
            Ok(name) if is_daemon(&name) => {
                found.insert(*pid, netns(*pid));
                false
            }
            Ok(_) => at.saturating_sub(*born) < YOUTH,
            Err(_) => false,
        });
        let alive = self.alive();
        let pids: BTreeSet<u32> = alive.iter().map(|process| process.pid).collect();
        self.found.retain(|pid, _| pids.contains(pid));
        Ok(self.processes.take(at, alive))
    }

    /// Takes whoever has this number among the young ones, if it is a process: threads have numbers of their own, and names like
    /// their process's. `None`: nobody has it.
    fn meet(&mut self, pid: u32, at: Nanos) -> Option<()> {
        if self.young.len() < MOST_YOUNG && is_process(pid)? {
            self.young.insert(pid, at);
        }
        Some(())
    }

    /// The numbers that were given out since the last look, to whomever. They are given out in turn (`alloc_pid` in
    /// kernel/pid.c), and start again at the end.
    fn new_pids(&mut self) -> Result<Vec<u32>> {
        let last = last_pid()?;
        let before = std::mem::replace(&mut self.cursor, last);
        if last >= before && last - before <= MOST_TRIED {
            return Ok((before + 1..=last).collect());
        }
        let is_new = |pid: &u32| {
            if last >= before { before < *pid && *pid <= last } else { *pid > before || *pid <= last }
        };
        Ok(listed()?.into_iter().filter(is_new).collect())
    }

    /// Those that are alive.
    pub fn alive(&self) -> Vec<Process> {
        let process = |(pid, netns): (&u32, &Option<u32>)| {
            parse(*pid, *netns, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        };
        self.found.iter().filter_map(process).filter(|process| is_daemon(&process.name)).collect()
    }
}

pub(super) fn is_daemon(name: &str) -> bool {
    DAEMONS.contains(&name)
}

/// A process from `/proc/PID/stat`; `None` if it is dead, though nobody has waited for it. The name is in parentheses and
/// may have any character; the state follows, and 19 numbers later the start (proc_pid_stat(5)).
fn parse(pid: u32, netns: Option<u32>, stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split(' ').collect();
    let stopped = match *fields.first()? {
        "Z" | "X" => return None,
        state => state == "T" || state == "t",
    };
    Some(Process { pid, start_ticks: fields.get(19)?.parse().ok()?, name: name.to_owned(), stopped, netns })
}

/// The last number that was given out in our process namespace: the last word of /proc/loadavg (`loadavg_proc_show` in
/// fs/proc/loadavg.c).
fn last_pid() -> Result<u32> {
    let failed = "cannot read the last process number from /proc/loadavg";
    let text = fs::read_to_string("/proc/loadavg").context(failed)?;
    text.split_whitespace().next_back().and_then(|word| word.parse().ok()).context(failed)
}

pub(super) fn listed() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("cannot list /proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

pub(super) fn comm(pid: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|text| text.trim_end_matches('\n').to_owned())
}

/// A thread that is not its process's first one has a directory that no list shows. `None`: nobody has this number.
fn is_process(pid: u32) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    Some(group.trim().parse() == Ok(pid))
}

pub(super) fn netns(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|there| there.ino() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Became;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn a_line_of_stat_is_a_process_unless_it_is_dead() {
        let stat = |state| format!("7 (a) b) {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3\n");
        let expected = |stopped| {
            Some(Process { pid: 7, start_ticks: 4711, name: "a) b".to_owned(), stopped, netns: Some(3) })
        };
        for (state, process) in
            [("S", expected(false)), ("R", expected(false)), ("T", expected(true)), ("Z", None), ("X", None)]
        {
            assert_eq!(parse(7, Some(3), &stat(state)), process, "{state}");
        }
        assert_eq!(parse(7, None, ""), None);
    }

    /// A process that gets the name of a daemon only after it was seen first.
    fn pretend() -> Child {
        let script = r#"read -r go; printf ovn-controller >/proc/$$/comm; read -r end"#;
        Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_life_of_a_process_is_seen() {
        use std::io::Write;
        let mut watcher = ProcessWatcher::open().unwrap();
        let mut child = pretend();
        let pid = child.id();
        let start = Instant::now();
        // Others' tests may have daemons, too.
        let mut next = |became: Option<Became>| loop {
            let at = start.elapsed().as_nanos() as Nanos;
            let events = watcher.look(at).unwrap();
            let ours: Vec<ProcessEvent> = events.into_iter().filter(|e| e.process.pid == pid).collect();
            if became.is_none() {
                assert_eq!(ours, []);
                return;
            }
            if let [event] = &ours[..] {
                assert_eq!((Some(event.became), event.process.name.as_str()), (became, "ovn-controller"));
                return;
            }
            assert!(ours.is_empty() && start.elapsed() < Duration::from_secs(10), "{became:?}: {ours:?}");
        };
        let signal = |name: &str| {
            assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
        };
        next(None);
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        next(Some(Became::Started));
        signal("-STOP");
        next(Some(Became::Stopped));
        signal("-CONT");
        next(Some(Became::Continued));
        // Nobody has waited for it yet.
        signal("-KILL");
        next(Some(Became::Exited));
        child.wait().unwrap();
        next(None);
    }

    #[test]
    fn a_number_that_nobody_had_yet_is_asked_for_again() {
        use std::io::Write;
        let mut watcher = ProcessWatcher::open().unwrap();
        let mut over = Command::new("true").spawn().unwrap();
        over.wait().unwrap();
        watcher.look(0).unwrap();
        assert!(watcher.unborn.contains(&over.id()));
        watcher.look(0).unwrap();
        assert!(!watcher.unborn.contains(&over.id()), "but not for ever");
        let mut child = pretend();
        let mut watcher = ProcessWatcher::open().unwrap();
        watcher.unborn.push(child.id());
        watcher.look(0).unwrap();
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        let start = Instant::now();
        while !watcher.look(1).unwrap().iter().any(|event| event.process.pid == child.id()) {
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_thread_is_no_process() {
        let thread =
            std::thread::spawn(|| is_process(rustix::thread::gettid().as_raw_nonzero().get() as u32));
        assert_eq!(thread.join().unwrap(), Some(false));
        assert_eq!(is_process(std::process::id()), Some(true));
        assert_eq!(is_process(u32::MAX), None);
    }
}
