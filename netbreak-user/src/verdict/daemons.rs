//! When a daemon that packets depend on was away.

use crate::{
    clock::{Nanos, seconds_since},
    watch::{Became, Process, ProcessEvent},
};

/// How much later than it happened a change may have been seen.
pub const SEEN_WITHIN: Nanos = 200 * crate::clock::MILLISECOND;

/// A time in which a daemon did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Its name.
    pub name: String,
    /// Its number.
    pub pid: u32,
    /// Its namespace, where known.
    pub netns: Option<u32>,
    /// Since when.
    pub from: Nanos,
    /// Until when; `None` = to the end of the run.
    pub until: Option<Nanos>,
    /// It was there, and stopped by a signal.
    pub stopped: bool,
    /// The number of the process that then took over.
    pub successor: Option<u32>,
}

impl Absence {
    /// Is it about a process of this name in this namespace? Where either's namespace is not known it may be.
    pub fn is_of(&self, name: &str, netns: Option<u32>) -> bool {
        self.name == name && may_be_same(self.netns, netns)
    }

    /// Did it fall into the time from `first` to `last`?
    pub fn falls_into(&self, (first, last): (Nanos, Nanos)) -> bool {
        self.from.saturating_sub(SEEN_WITHIN) <= last && self.until.is_none_or(|until| until >= first)
    }

    /// `not running from 2.00 s to 4.00 s`.
    pub fn words(&self, start: Nanos) -> String {
        let state = if self.stopped { "stopped" } else { "not running" };
        let from = seconds_since(start, self.from);
        match self.until {
            Some(until) => format!("{state} from {from:.2} s to {:.2} s", seconds_since(start, until)),
            None => format!("{state} from {from:.2} s on"),
        }
    }

    /// `ovs-vswitchd (pid 7) was not running from 2.00 s to 4.00 s`, with `clause`, such as `, which …,`, behind the name.
    pub fn was(&self, clause: &str, start: Nanos) -> String {
        format!("{} (pid {}){clause} was {}", self.name, self.pid, self.words(start))
    }

    /// Who came when it was over: `ovs-vswitchd (pid 9) started at 4.00 s`, with `clause` behind the name.
    pub fn came(&self, clause: &str, start: Nanos) -> String {
        let pid = self.successor.unwrap_or(self.pid);
        let what = if self.stopped { "went on" } else { "started" };
        let at = seconds_since(start, self.until.unwrap_or(self.from));
        format!("{} (pid {pid}){clause} {what} at {at:.2} s", self.name)
    }
}

fn may_be_same(one: Option<u32>, other: Option<u32>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

/// Every absence, in order. `events` ascend by time.
pub fn absences(events: &[ProcessEvent]) -> Vec<Absence> {
    let mut absences: Vec<Absence> = Vec::new();
    for ProcessEvent { at, became, process } in events {
        let (name, netns) = (process.name.clone(), process.netns);
        let stopped = *became == Became::Stopped;
        match became {
            Became::Exited | Became::Stopped => {
                let (pid, from) = (process.pid, *at);
                absences.push(Absence { name, pid, netns, from, until: None, stopped, successor: None });
            }
            Became::Started | Became::Continued => {
                let ends = |absence: &&mut Absence| {
                    let same = if *became == Became::Continued {
                        absence.stopped && absence.pid == process.pid
                    } else {
                        // Another process of that name takes over.
                        !absence.stopped && may_be_same(absence.netns, netns)
                    };
                    absence.until.is_none() && absence.name == name && same
                };
                if let Some(absence) = absences.iter_mut().find(ends) {
                    absence.until = Some(*at);
                    absence.successor = Some(process.pid);
                }
            }
        }
    }
    absences
}

/// The number of the process of this name in `netns` at a time: of those alive at the start, or of whoever came later.
/// While none runs, that of the last one. `None` if none is known.
pub fn pid_at(
    alive: &[Process],
    absences: &[Absence],
    name: &str,
    netns: Option<u32>,
    at: Nanos,
) -> Option<u32> {
    let concerned = || absences.iter().filter(|absence| absence.is_of(name, netns));
    let over = concerned().rfind(|absence| absence.until.is_some_and(|until| until <= at));
    if let Some(successor) = over.and_then(|absence| absence.successor) {
        return Some(successor);
    }
    let first = concerned().next().map(|absence| absence.pid);
    let is_it = |process: &&Process| process.name == name && may_be_same(process.netns, netns);
    first.or_else(|| alive.iter().find(is_it).map(|process| process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const SWITCH: &str = "ovs-vswitchd";

    fn event(at: Nanos, became: Became, pid: u32, netns: Option<u32>) -> ProcessEvent {
        let process = Process { pid, start_ticks: 1, name: SWITCH.to_owned(), stopped: false, netns };
        ProcessEvent { at, became, process }
    }

    #[test]
    fn a_restart_is_an_absence_until_the_next_one_starts() {
        let events = [
            event(3 * SECOND, Became::Exited, 7, Some(1)),
            event(4 * SECOND, Became::Started, 8, Some(2)),
            event(5 * SECOND, Became::Started, 9, Some(1)),
        ];
        let absences = absences(&events);
        assert_eq!(absences.len(), 1);
        assert_eq!((absences[0].from, absences[0].until), (3 * SECOND, Some(5 * SECOND)));
        assert_eq!(absences[0].words(SECOND), "not running from 2.00 s to 4.00 s");
        let was = "ovs-vswitchd (pid 7), which died, was not running from 2.00 s to 4.00 s";
        assert_eq!(absences[0].was(", which died,", SECOND), was);
        assert_eq!(absences[0].came("", SECOND), "ovs-vswitchd (pid 9) started at 4.00 s");
        assert!(absences[0].is_of(SWITCH, Some(1)) && absences[0].is_of(SWITCH, None));
        assert!(!absences[0].is_of(SWITCH, Some(2)) && !absences[0].is_of("ovn-controller", Some(1)));
        for (first, last, falls) in [
            (4 * SECOND, 4 * SECOND, true),
            (0, 3 * SECOND - SEEN_WITHIN, true),
            (0, 2 * SECOND, false),
            (6 * SECOND, 7 * SECOND, false),
        ] {
            assert_eq!(absences[0].falls_into((first, last)), falls, "{first} {last}");
        }
        let pid = |netns, at| {
            pid_at(&[event(0, Became::Started, 6, Some(9)).process], &absences, SWITCH, netns, at)
        };
        assert_eq!(
            (pid(Some(1), 0), pid(Some(1), 4 * SECOND), pid(Some(1), 6 * SECOND)),
            (Some(7), Some(7), Some(9))
        );
        assert_eq!((pid(Some(9), 0), pid(Some(8), 0)), (Some(6), None));
    }

    #[test]
    fn a_stopped_one_is_there_and_does_nothing() {
        let events = [event(SECOND, Became::Stopped, 7, None), event(2 * SECOND, Became::Continued, 7, None)];
        assert_eq!(absences(&events)[0].words(0), "stopped from 1.00 s to 2.00 s");
        assert_eq!(absences(&events)[0].came(", which", 0), "ovs-vswitchd (pid 7), which went on at 2.00 s");
        let gone = absences(&events[..1]);
        assert_eq!(gone[0].words(0), "stopped from 1.00 s on");
        assert!(gone[0].falls_into((9 * SECOND, 9 * SECOND)));
    }
}
