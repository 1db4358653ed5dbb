//! When a daemon that packets depend on was away.

use crate::{
    clock::{Nanos, seconds_since},
    watch::{Became, ProcessEvent},
};

/// The daemon that switches packets in userspace.
const SWITCH: &str = "ovs-vswitchd";

/// How much later than it happened a change may have been seen.
const SEEN_WITHIN: Nanos = 200 * crate::clock::MILLISECOND;

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
}

/// Every absence, in order. `events` ascend by time.
pub fn absences(events: &[ProcessEvent]) -> Vec<Absence> {
    let mut absences: Vec<Absence> = Vec::new();
    for ProcessEvent { at, became, process } in events {
        let (name, netns) = (process.name.clone(), process.netns);
        let stopped = *became == Became::Stopped;
        match became {
            Became::Exited | Became::Stopped => {
                absences.push(Absence { name, pid: process.pid, netns, from: *at, until: None, stopped });
            }
            Became::Started | Became::Continued => {
                let ends = |absence: &&mut Absence| {
                    let same = if *became == Became::Continued {
                        absence.stopped && absence.pid == process.pid
                    } else {
                        // Another process of that name takes over; where either's namespace is not known it may be.
                        !absence.stopped && absence.netns.zip(netns).is_none_or(|(a, b)| a == b)
                    };
                    absence.until.is_none() && absence.name == name && same
                };
                if let Some(absence) = absences.iter_mut().find(ends) {
                    absence.until = Some(*at);
                }
            }
        }
    }
    absences
}

/// What to say of packets that were to be switched in `netns` from `first` to `last`, if nobody was there to do it.
pub fn nobody_switched(
    absences: &[Absence],
    netns: Option<u32>,
    (first, last): (Nanos, Nanos),
    start: Nanos,
) -> Option<String> {
    let concerns = |absence: &&Absence| {
        absence.name == SWITCH
            && absence.netns.zip(netns).is_none_or(|(a, b)| a == b)
            && absence.from.saturating_sub(SEEN_WITHIN) <= last
            && absence.until.is_none_or(|until| until >= first)
    };
    let absence = absences.iter().find(concerns)?;
    let state = if absence.stopped { "was stopped" } else { "was not running" };
    let from = seconds_since(start, absence.from);
    let until = match absence.until {
        Some(until) => format!("to {:.2} s", seconds_since(start, until)),
        None => "on".to_owned(),
    };
    Some(format!("{} (pid {}) {state} from {from:.2} s {until}", absence.name, absence.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SECOND, watch::Process};

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
        let said = |netns, first, last| nobody_switched(&absences, netns, (first, last), SECOND);
        let text = "ovs-vswitchd (pid 7) was not running from 2.00 s to 4.00 s";
        assert_eq!(said(Some(1), 4 * SECOND, 4 * SECOND).as_deref(), Some(text));
        assert_eq!(said(Some(1), 0, 3 * SECOND - SEEN_WITHIN).as_deref(), Some(text));
        assert_eq!(said(Some(1), 0, 2 * SECOND), None);
        assert_eq!(said(Some(1), 6 * SECOND, 7 * SECOND), None);
        assert_eq!(said(Some(2), 4 * SECOND, 4 * SECOND), None);
    }

    #[test]
    fn a_stopped_one_is_there_and_does_nothing() {
        let events = [event(SECOND, Became::Stopped, 7, None), event(2 * SECOND, Became::Continued, 7, None)];
        let said = nobody_switched(&absences(&events), Some(5), (SECOND, SECOND), 0);
        assert_eq!(said.as_deref(), Some("ovs-vswitchd (pid 7) was stopped from 1.00 s to 2.00 s"));
        let gone = nobody_switched(&absences(&events[..1]), Some(5), (9 * SECOND, 9 * SECOND), 0);
        assert_eq!(gone.as_deref(), Some("ovs-vswitchd (pid 7) was stopped from 1.00 s on"));
    }
}
