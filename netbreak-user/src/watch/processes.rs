//! Which processes of interest have started, ended, stopped or gone on: what differs from the last look.

use std::collections::BTreeMap;

use crate::clock::Nanos;

/// A process of interest that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was made, in the kernel's ticks since boot: a number that is used again has another one.
    pub start_ticks: u64,
    /// Its name (`comm`).
    pub name: String,
    /// Does a signal (SIGSTOP), or a debugger, keep it from running?
    pub stopped: bool,
    /// Its network namespace (inode number); `None` where that may not be read.
    pub netns: Option<u32>,
}

/// What became of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It is new, or has executed the program that it is named after.
    Started,
    /// It is gone; what nobody has waited for yet (a zombie) is, too.
    Exited,
    /// A signal stopped it.
    Stopped,
    /// It runs again after that.
    Continued,
}

impl Became {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Became::Started => "started",
            Became::Exited => "exited",
            Became::Stopped => "stopped",
            Became::Continued => "continued",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEvent {
    /// When it was seen: at most one look after it happened.
    pub at: Nanos,
    /// What became of it.
    pub became: Became,
    /// Whose.
    pub process: Process,
}

/// The processes of interest at the last look, by number.
#[derive(Debug, Default)]
pub struct Processes(BTreeMap<u32, Process>);

impl Processes {
    /// Those that are there at the first look make no events.
    pub fn new(alive: Vec<Process>) -> Processes {
        Processes(by_pid(alive))
    }

    /// Takes all that are alive at `at`, and says what changed: first who is gone, then the others, by number.
    pub fn take(&mut self, at: Nanos, alive: Vec<Process>) -> Vec<ProcessEvent> {
        let before = std::mem::replace(&mut self.0, by_pid(alive));
        let event = |became, process: &Process| ProcessEvent { at, became, process: process.clone() };
        let is_same =
            |one: &Process, other: &Process| (one.start_ticks, &one.name) == (other.start_ticks, &other.name);
        let gone = before
            .values()
            .filter(|old| !self.0.get(&old.pid).is_some_and(|new| is_same(old, new)))
            .map(|old| event(Became::Exited, old));
        let others =
            self.0.values().filter_map(|new| match before.get(&new.pid).filter(|old| is_same(old, new)) {
                None => Some(event(Became::Started, new)),
                Some(old) if old.stopped == new.stopped => None,
                Some(_) if new.stopped => Some(event(Became::Stopped, new)),
                Some(_) => Some(event(Became::Continued, new)),
            });
        gone.chain(others).collect()
    }
}

fn by_pid(processes: Vec<Process>) -> BTreeMap<u32, Process> {
    processes.into_iter().map(|process| (process.pid, process)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, start_ticks: u64, name: &str) -> Process {
        Process { pid, start_ticks, name: name.to_owned(), stopped: false, netns: Some(7) }
    }

    #[test]
    fn only_what_differs_is_an_event() {
        let switch = || process(10, 100, "ovs-vswitchd");
        let database = || process(5, 50, "ovsdb-server");
        let stopped = || Process { stopped: true, ..switch() };
        let again = || process(10, 900, "ovs-vswitchd");
        let mut processes = Processes::new(vec![switch(), database()]);
        for (alive, expected) in [
            (vec![switch(), database()], vec![]),
            (vec![database(), stopped()], vec!["10 stopped"]),
            (vec![database(), stopped()], vec![]),
            (vec![database(), switch()], vec!["10 continued"]),
            (vec![switch()], vec!["5 exited"]),
            (vec![], vec!["10 exited"]),
            (vec![stopped()], vec!["10 started"]),
            // The number is used again, between two looks.
            (vec![again()], vec!["10 exited", "10 started"]),
            // It executed another program of interest.
            (vec![process(10, 900, "ovsdb-server")], vec!["10 exited", "10 started"]),
            (vec![process(3, 901, "ovn-controller")], vec!["10 exited", "3 started"]),
        ] {
            let events = processes.take(9, alive.clone());
            let said: Vec<String> =
                events.iter().map(|e| format!("{} {}", e.process.pid, e.became.name())).collect();
            assert_eq!(said, expected, "{alive:?}");
            assert!(events.iter().all(|event| event.at == 9));
        }
    }
}
