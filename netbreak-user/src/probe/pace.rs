//! When the next connection begins: by the clock (open loop), or when one before it has ended (closed loop).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::{MILLISECOND, Nanos};

use super::plan::Plan;

/// After an attempt that could not be sent its place stays empty for so long: otherwise a lack of ports would be asked
/// for again at once, and nothing else would get its turn.
const RETRY: Nanos = 10 * MILLISECOND;

/// When the next connection begins.
#[derive(Debug)]
pub(super) enum Pace {
    /// At its time in the plan, whatever happens to earlier ones.
    Open(Plan),
    /// As soon as one of so many places is free, until the plan's end, and never faster than the plan.
    Closed {
        /// Bounds how many there are in all.
        plan: Plan,
        /// No attempt begins then or later.
        end: Nanos,
        /// Since when, or from when on, the free places are free.
        free: BinaryHeap<Reverse<Nanos>>,
    },
}

/// What a pace waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// This time.
    At(Nanos),
    /// A free place, no longer than until this time.
    Place(Nanos),
    /// Nothing: no attempt begins any more.
    Over,
}

impl Pace {
    /// A closed loop of `width` places from `start` on.
    pub(super) fn closed(plan: Plan, width: usize, start: Nanos, duration: Nanos) -> Pace {
        let free = std::iter::repeat_n(Reverse(start), width).collect();
        Pace::Closed { plan, end: start.saturating_add(duration), free }
    }

    /// When the attempt `next` was to leave, if it is due at `now`. In a closed loop it takes its place.
    pub(super) fn take_due(&mut self, next: u64, now: Nanos) -> Option<Nanos> {
        match self.next(next, now) {
            Next::At(at) if at <= now => {
                if let Pace::Closed { free, .. } = self {
                    free.pop();
                }
                Some(at)
            }
            _ => None,
        }
    }

    /// What the attempt `next` waits for.
    pub(super) fn next(&self, next: u64, now: Nanos) -> Next {
        match self {
            Pace::Open(plan) => plan.next_due(next).map_or(Next::Over, Next::At),
            Pace::Closed { plan, end, free } => match (plan.next_due(next), free.peek()) {
                (None, _) => Next::Over,
                _ if now >= *end => Next::Over,
                (Some(at), Some(Reverse(free))) => Next::At(at.max(*free)),
                (Some(_), None) => Next::Place(*end),
            },
        }
    }

    /// An attempt has ended, or has had its time: the next may take its place. `sent` = it had left.
    pub(super) fn freed(&mut self, at: Nanos, sent: bool) {
        if let Pace::Closed { free, .. } = self {
            free.push(Reverse(if sent { at } else { at.saturating_add(RETRY) }));
        }
    }

    /// The attempt `next` and all after it are not made.
    pub(super) fn cut(&mut self, next: u64) {
        let (Pace::Open(plan) | Pace::Closed { plan, .. }) = self;
        plan.cut(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_its_plan() {
        let mut pace = Pace::Open(Plan::new(100, 10, 30));
        assert_eq!((pace.take_due(0, 99), pace.take_due(0, 125)), (None, Some(100)));
        pace.freed(130, true);
        assert_eq!((pace.next(1, 125), pace.next(3, 125)), (Next::At(110), Next::Over));
        pace.cut(1);
        assert_eq!(pace.next(1, 125), Next::Over);
    }

    #[test]
    fn a_closed_loop_keeps_so_many_in_flight() {
        let mut pace = Pace::closed(Plan::new(100, 1, 1000), 2, 100, 1000);
        assert_eq!(pace.take_due(0, 99), None);
        assert_eq!(pace.take_due(0, 105), Some(100));
        assert_eq!(pace.take_due(1, 105), Some(101), "never faster than the plan");
        assert_eq!((pace.take_due(2, 105), pace.next(2, 105)), (None, Next::Place(1100)));
        pace.freed(200, true);
        assert_eq!(pace.take_due(2, 203), Some(200), "it is to leave when the place gets free");
        pace.freed(300, true);
        assert_eq!(pace.next(3, 1100), Next::Over, "nothing begins after the end");
        pace.cut(3);
        assert_eq!(pace.next(3, 300), Next::Over);
    }

    #[test]
    fn what_could_not_be_sent_keeps_its_place_for_a_while_and_nobody_elses() {
        let mut pace = Pace::closed(Plan::new(0, 1, u64::MAX), 2, 0, u64::MAX);
        assert_eq!((pace.take_due(0, 9), pace.take_due(1, 9)), (Some(0), Some(1)));
        pace.freed(10, false);
        assert_eq!(pace.next(2, 10), Next::At(10 + RETRY));
        pace.freed(20, true);
        assert_eq!(pace.take_due(2, 20), Some(20));
        assert_eq!(pace.take_due(3, 10 + RETRY), Some(10 + RETRY));
    }
}
