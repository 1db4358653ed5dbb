//! What the ledger of the kernel side said of attempts, kept small: attempts that went alike share their way.

use std::collections::HashMap;

use netbreak_common::{HOPS, Hop, Passage, STAGE_CONSUMED, STAGE_ROUTE, STAGE_SOCKET};

use crate::clock::Nanos;

/// Answered attempts whose way is kept, of each probe.
const SAMPLE: usize = 1_000;

/// Of the answered attempts of a probe one in so many is looked at.
const ONE_IN: u64 = 16;

/// A place that a packet passed: a [`Hop`] without its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stop {
    /// One of `netbreak_common::STAGE_*`.
    pub stage: u8,
    /// Index of the device; 0 = none.
    pub ifindex: u32,
    /// Inode number of the network namespace; 0 = not known.
    pub netns: u32,
    /// `STAGE_CONSUMED`: address of the kernel code that freed it; else 0.
    pub location: u64,
    /// The destination address, of IPv6 its last four bytes.
    pub destination: [u8; 4],
    /// TCP: the flags. ICMP: the type. `STAGE_ROUTE` and `STAGE_UPCALL`: the errno.
    pub flags: u8,
}

impl Stop {
    /// Was it at a device, or on the way to one, and so in the order of the wire?
    pub fn is_on_the_way(&self) -> bool {
        !matches!(self.stage, STAGE_SOCKET | STAGE_CONSUMED)
    }
}

/// The way of an unanswered attempt's packets on one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail<'a> {
    /// Every stop, in order; of a long way the latest.
    pub stops: &'a [Stop],
    /// When the first of them was, CLOCK_MONOTONIC.
    pub first: Nanos,
    /// When the last of them on the way was, CLOCK_MONOTONIC. (Sockets' owners read, and memory is freed, when there is
    /// time for it, which may be after the answer was sent.)
    pub last: Nanos,
    /// The sequence number of the first TCP segment that was seen.
    pub sequence: u32,
}

/// The way of an answered attempt on one leg, with all its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Index of the probe within the run.
    pub probe: u32,
    /// Sequence number of the attempt.
    pub attempt: u64,
    /// By leg: every hop, ascending by time.
    pub legs: [Vec<Hop>; 2],
}

/// Everything that was read from the ledger.
#[derive(Debug, Clone, Default)]
pub struct Trails {
    ways: Vec<Vec<Stop>>,
    known: HashMap<Vec<Stop>, u32>,
    unanswered: HashMap<(u32, u64), [Option<Kept>; 2]>,
    /// A sample of answered attempts.
    pub walks: Vec<Walk>,
    walked: HashMap<u32, usize>,
    lookups: Vec<Lookup>,
    /// Attempts whose entry a younger one had when it was read.
    pub overwritten: u64,
}

/// No route was found for a program's answer to an attempt, or to one before it: the kernel side does not know which of
/// them the program had read.
#[derive(Debug, Clone, Copy)]
struct Lookup {
    probe: u32,
    at: Nanos,
    errno: i32,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    way: u32,
    first: Nanos,
    last: Nanos,
    sequence: u32,
}

impl Trails {
    /// Whether an answered attempt is one of the sample.
    pub fn wants(&self, probe: u32, attempt: u64) -> bool {
        attempt.is_multiple_of(ONE_IN) && self.walked.get(&probe).is_none_or(|walks| *walks < SAMPLE)
    }

    /// Keeps what the ledger has of an answered attempt.
    pub fn answered(&mut self, probe: u32, attempt: u64, legs: [Option<&Passage>; 2]) {
        let legs = legs.map(|passage| passage.map(|passage| hops(passage, attempt)).unwrap_or_default());
        *self.walked.entry(probe).or_default() += 1;
        self.walks.push(Walk { probe, attempt, legs });
    }

    /// Keeps what the ledger has of an attempt that was not answered.
    pub fn unanswered(&mut self, probe: u32, attempt: u64, legs: [Option<&Passage>; 2]) {
        if legs.iter().flatten().any(|passage| passage.attempt > attempt + 1) {
            self.overwritten += 1;
            return;
        }
        let mut legs = legs.map(|passage| passage.map(|passage| hops(passage, attempt)).unwrap_or_default());
        let of_programs = legs[1].extract_if(.., |hop| hop.stage == STAGE_ROUTE && hop.netns == 0);
        self.lookups.extend(of_programs.map(|hop| Lookup { probe, at: hop.time, errno: hop.flags.into() }));
        let legs = legs.map(|hops| self.keep(hops));
        self.unanswered.insert((probe, attempt), legs);
    }

    /// How many unanswered attempts were looked for.
    pub fn len(&self) -> usize {
        self.unanswered.len()
    }

    /// Was none?
    pub fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Each of them: probe and attempt, in no order.
    pub fn attempts(&self) -> impl Iterator<Item = (u32, u64)> {
        self.unanswered.keys().copied()
    }

    /// Was this unanswered attempt looked for? Then no trail means that no packet of it was seen.
    pub fn knows(&self, probe: u32, attempt: u64) -> bool {
        self.unanswered.contains_key(&(probe, attempt))
    }

    /// The way of an unanswered attempt on a leg; `None` if no packet of it was seen.
    pub fn of(&self, probe: u32, attempt: u64, leg: u8) -> Option<Trail<'_>> {
        let kept = self.unanswered.get(&(probe, attempt))?[usize::from(leg)]?;
        let Kept { way, first, last, sequence } = kept;
        Some(Trail { stops: &self.ways[way as usize], first, last, sequence })
    }

    /// The errno of the first lookup for a program's answer to `probe` that found no route in this time.
    pub fn no_route(&self, probe: u32, mut during: impl FnMut(Nanos) -> bool) -> Option<i32> {
        let lookups = self.lookups.iter().filter(|lookup| lookup.probe == probe && during(lookup.at));
        lookups.min_by_key(|lookup| lookup.at).map(|lookup| lookup.errno)
    }

    fn keep(&mut self, hops: Vec<Hop>) -> Option<Kept> {
        let first = hops.first()?;
        let last = hops.iter().rev().find(|hop| stop(hop).is_on_the_way()).or(hops.last())?;
        let way: Vec<Stop> = hops.iter().map(stop).collect();
        let next = self.ways.len() as u32;
        let number = *self.known.entry(way).or_insert_with_key(|way| {
            self.ways.push(way.clone());
            next
        });
        Some(Kept { way: number, first: first.time, last: last.time, sequence: first.sequence })
    }
}

fn stop(hop: &Hop) -> Stop {
    let Hop { stage, ifindex, netns, location, destination, flags, .. } = *hop;
    Stop { stage, ifindex, netns, location, destination, flags }
}

/// The hops of `attempt`, ascending by time; none if the place is another one's.
fn hops(passage: &Passage, attempt: u64) -> Vec<Hop> {
    if passage.attempt != attempt + 1 {
        return Vec::new();
    }
    let count = passage.count as usize;
    let mut hops: Vec<Hop> =
        (count.saturating_sub(HOPS)..count).map(|number| passage.hops[number % HOPS]).collect();
    // Two copies of a packet may be entered by two CPUs.
    hops.sort_by_key(|hop| hop.time);
    // A table had no route, and the next one had.
    hops.retain(|hop| hop.stage != STAGE_ROUTE || hop.flags != 0);
    hops
}

#[cfg(test)]
mod tests {
    use netbreak_common::{LEG_REPLY, LEG_REQUEST, STAGE_QUEUE, STAGE_RECEIVE};

    use super::*;

    fn passage(attempt: u64, times: std::ops::Range<u64>) -> Passage {
        let mut passage = Passage { attempt: attempt + 1, count: 0, pad: 0, hops: [Hop::default(); HOPS] };
        for time in times {
            let stage = if time % 2 == 0 { STAGE_QUEUE } else { STAGE_RECEIVE };
            let hop = Hop { time, stage, ifindex: 3, netns: 7, ..Hop::default() };
            passage.hops[passage.count as usize % HOPS] = hop;
            passage.count += 1;
        }
        passage
    }

    #[test]
    fn attempts_that_went_alike_share_their_way() {
        let mut trails = Trails::default();
        for attempt in 0..100 {
            let request = passage(attempt, attempt * 10..attempt * 10 + 2);
            trails.unanswered(1, attempt, [Some(&request), None]);
        }
        assert_eq!(trails.ways.len(), 1);
        let trail = trails.of(1, 99, LEG_REQUEST).unwrap();
        assert_eq!((trail.stops.len(), trail.first, trail.last), (2, 990, 991));
        assert_eq!(trails.of(1, 99, LEG_REPLY), None);
        assert_eq!(trails.of(2, 99, LEG_REQUEST), None);
    }

    #[test]
    fn a_place_that_a_younger_attempt_has_says_nothing() {
        let mut trails = Trails::default();
        trails.unanswered(0, 3, [Some(&passage(67, 0..4)), None]);
        assert_eq!((trails.of(0, 3, LEG_REQUEST), trails.knows(0, 3), trails.overwritten), (None, false, 1));
        trails.unanswered(0, 4, [Some(&passage(2, 0..4)), None]);
        assert_eq!((trails.of(0, 4, LEG_REQUEST), trails.knows(0, 4), trails.overwritten), (None, true, 1));
    }

    #[test]
    fn of_a_long_way_the_latest_stops_are_left() {
        let mut trails = Trails::default();
        trails.unanswered(0, 0, [Some(&passage(0, 0..HOPS as u64 + 5)), None]);
        let trail = trails.of(0, 0, LEG_REQUEST).unwrap();
        assert_eq!((trail.stops.len(), trail.last), (HOPS, HOPS as u64 + 4));
    }

    #[test]
    fn a_lookup_failed_if_no_table_had_a_route() {
        let looked_up = |errno, netns| Passage {
            attempt: 1,
            count: 1,
            pad: 0,
            hops: [Hop { time: 5, stage: STAGE_ROUTE, flags: errno, netns, ..Hop::default() }; HOPS],
        };
        let mut trails = Trails::default();
        trails.unanswered(0, 0, [None, Some(&looked_up(101, 7))]);
        let stop = trails.of(0, 0, LEG_REPLY).unwrap().stops[0];
        assert_eq!((stop.stage, stop.netns, stop.flags), (STAGE_ROUTE, 7, 101));
        trails.unanswered(1, 0, [None, Some(&looked_up(0, 7))]);
        assert_eq!(trails.of(1, 0, LEG_REPLY), None);
        assert_eq!(trails.no_route(0, |_| true), None);
    }

    #[test]
    fn a_programs_lookup_is_no_stop_of_any_attempt() {
        let hop = |time| Hop { time, stage: STAGE_ROUTE, flags: 113, ..Hop::default() };
        let mut trails = Trails::default();
        let passage =
            Passage { attempt: 1, count: 2, pad: 0, hops: [hop(5), hop(9)].repeat(16).try_into().unwrap() };
        trails.unanswered(0, 0, [None, Some(&passage)]);
        assert_eq!(trails.of(0, 0, LEG_REPLY), None);
        assert_eq!(trails.no_route(0, |at| at > 5), Some(113));
        assert_eq!((trails.no_route(0, |at| at > 9), trails.no_route(1, |_| true)), (None, None));
    }

    #[test]
    fn the_sample_is_bounded() {
        let mut trails = Trails::default();
        for attempt in 0..100_000 {
            if trails.wants(0, attempt) {
                trails.answered(0, attempt, [Some(&passage(attempt, 0..2)), None]);
            }
        }
        assert_eq!(trails.walks.len(), SAMPLE);
        assert!(trails.wants(1, 0) && !trails.wants(1, 1));
        assert_eq!(trails.walks[0].legs[0].len(), 2);
    }
}
