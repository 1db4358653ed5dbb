//! All events of a run, within bounds; what went and came back becomes one event.

use std::collections::HashMap;

use super::event::{Event, Turn, What};
use crate::clock::{Nanos, SECOND};

/// Events kept of one kind. Each has its own room: a thousand failing neighbours do not hide a link.
const MOST: usize = 2_500;
/// Events kept of one thing, such as one flapping neighbour.
const MOST_OF_ONE: usize = 50;

/// One thing that can go and come back.
type Key = (u32, What, String, String);

/// What was not kept of one thing.
#[derive(Debug)]
struct Tally {
    kept: usize,
    more: u64,
    /// The last of them.
    last: Option<Event>,
}

/// Events of one run in the order in which they were read.
#[derive(Debug, Default)]
pub struct Journal {
    events: Vec<Event>,
    tallies: HashMap<Key, Tally>,
    kept: HashMap<What, usize>,
    left_out: HashMap<What, u64>,
}

impl Journal {
    /// Keeps `event`, or counts it.
    pub fn take(&mut self, event: Event) {
        let kept = self.kept.entry(event.what).or_default();
        let key = key(&event);
        // Only things with an event that was kept have a tally, so there are no more of them.
        if !self.tallies.contains_key(&key) && *kept >= MOST {
            *self.left_out.entry(event.what).or_default() += 1;
            return;
        }
        let tally = self.tallies.entry(key).or_insert(Tally { kept: 0, more: 0, last: None });
        if tally.kept < MOST_OF_ONE && *kept < MOST {
            (tally.kept, *kept) = (tally.kept + 1, *kept + 1);
            self.events.push(event);
        } else {
            tally.more += 1;
            tally.last = Some(event);
        }
    }

    /// Changes for which there was no room, in words; empty if all were kept or summed up.
    pub fn left_out(&self) -> Vec<String> {
        let counted = What::ALL.iter().filter_map(|what| Some((what, self.left_out.get(what)?)));
        counted.map(|(what, n)| format!("{n} more changes of kind {} were not kept", what.name())).collect()
    }

    /// The events for which `concerns` holds, by time. What went and came back is one event with
    /// [`until`](Event::until); what one thing did beyond the bound is one event at its last time.
    pub fn events(&self, concerns: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut folded: Vec<Event> = Vec::new();
        let mut gone: HashMap<Key, usize> = HashMap::new();
        for event in self.events.iter().filter(|event| concerns(event)) {
            let key = key(event);
            match event.turn {
                Turn::Gone => drop(gone.insert(key, folded.len())),
                Turn::Back => {
                    if let Some(index) = gone.remove(&key) {
                        come_back(&mut folded[index], event);
                        continue;
                    }
                }
                Turn::Neither => {}
            }
            folded.push(event.clone());
        }
        let rest = self.tallies.values().filter_map(|tally| Some((tally.more, tally.last.as_ref()?)));
        folded.extend(rest.filter(|(_, last)| concerns(last)).map(|(more, last)| Event {
            detail: format!("{}, the last of {more} more changes of it", last.detail),
            ..last.clone()
        }));
        folded.sort_by_key(|event| event.at);
        folded
    }
}

fn key(event: &Event) -> Key {
    (event.netns, event.what, event.device.clone(), event.key.clone())
}

/// `10.0.0.1/24 removed; after 2.00 s added`.
fn come_back(gone: &mut Event, back: &Event) {
    let words = back.detail.strip_prefix(&back.key).unwrap_or(&back.detail).trim_start();
    gone.detail = format!("{}; {} {words}", gone.detail, after(back.at.saturating_sub(gone.at)));
    gone.until = Some(back.at);
    // A re-created link: its new index is the one to look for.
    gone.ifindex = back.ifindex;
}

fn after(pause: Nanos) -> String {
    match pause {
        0 => "at once".to_owned(),
        pause => format!("after {:.2} s", pause as f64 / SECOND as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: Nanos, what: What, key: &str, turn: Turn, detail: &str) -> Event {
        Event {
            at,
            until: None,
            netns: 7,
            ifindex: 3,
            device: "ovn0".to_owned(),
            what,
            key: key.to_owned(),
            turn,
            subnet: None,
            detail: detail.to_owned(),
        }
    }

    fn told(journal: &Journal) -> Vec<(Nanos, Option<Nanos>, String)> {
        journal.events(|_| true).into_iter().map(|event| (event.at, event.until, event.detail)).collect()
    }

    #[test]
    fn what_went_and_came_back_is_one_event() {
        use {Turn::*, What::*};
        let mut journal = Journal::default();
        for event in [
            event(SECOND, Address, "10.0.0.1/24", Gone, "10.0.0.1/24 removed"),
            event(SECOND, Link, "link", Gone, "removed"),
            event(SECOND, Link, "link", Back, "re-created, up: index 9 instead of 3"),
            event(2 * SECOND, Link, "name", Neither, "renamed from x"),
            event(7 * SECOND / 2, Address, "10.0.0.1/24", Back, "10.0.0.1/24 added"),
            event(4 * SECOND, Address, "10.0.0.2/24", Back, "10.0.0.2/24 added"),
            event(5 * SECOND, Route, "default metric 0", Gone, "default via 10.0.0.9 removed"),
            event(6 * SECOND, Route, "default metric 0", Back, "default via 10.0.0.8 added"),
            event(9 * SECOND, Link, "state", Gone, "down"),
        ] {
            journal.take(event);
        }
        let expected = [
            (1, Some(7), "10.0.0.1/24 removed; after 2.50 s added"),
            (1, Some(2), "removed; at once re-created, up: index 9 instead of 3"),
            (2, None, "renamed from x"),
            (4, None, "10.0.0.2/24 added"),
            (5, Some(12), "default via 10.0.0.9 removed; after 1.00 s default via 10.0.0.8 added"),
            (9, None, "down"),
        ];
        let expected = expected
            .map(|(at, until, words)| (at * SECOND, until.map(|half| half * SECOND / 2), words.to_owned()));
        assert_eq!(told(&journal), expected);
        assert!(journal.events(|event| event.netns == 8).is_empty());
    }

    #[test]
    fn a_flapping_neighbour_is_summed_up() {
        let mut journal = Journal::default();
        let flaps = MOST_OF_ONE as u64 + 1001;
        for at in 0..flaps {
            let turn = if at % 2 == 0 { Turn::Gone } else { Turn::Back };
            journal.take(event(at, What::Neighbour, "10.0.0.1", turn, "10.0.0.1 flaps"));
        }
        let told = told(&journal);
        assert_eq!(told.len(), MOST_OF_ONE / 2 + 1);
        let last = "10.0.0.1 flaps, the last of 1001 more changes of it";
        assert_eq!(told.last(), Some(&(flaps - 1, None, last.to_owned())));
        assert_eq!(journal.left_out(), Vec::<String>::new());
    }

    #[test]
    fn many_of_one_kind_leave_room_for_others_and_are_counted() {
        let mut journal = Journal::default();
        for n in 0..MOST as u64 + 5 {
            journal.take(event(n, What::Neighbour, &n.to_string(), Turn::Gone, "failed"));
        }
        journal.take(event(9, What::Link, "state", Turn::Gone, "down"));
        assert_eq!(told(&journal).len(), MOST + 1);
        assert_eq!(journal.left_out(), ["5 more changes of kind neighbour were not kept"]);
    }
}
