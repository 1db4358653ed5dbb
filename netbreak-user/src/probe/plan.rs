//! The open-loop schedule: when attempts are to leave, whatever happens to earlier ones.

use std::ops::Range;

use crate::clock::Nanos;

/// Attempt `seq` is planned for `start + seq * interval`, as long as that is before `start + duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    start: Nanos,
    interval: Nanos,
    count: u64,
}

impl Plan {
    /// A plan of `duration / interval` attempts, rounded up, the first at `start`. An interval of 0 counts as 1 ns.
    pub fn new(start: Nanos, interval: Nanos, duration: Nanos) -> Plan {
        let interval = interval.max(1);
        Plan { start, interval, count: duration.div_ceil(interval) }
    }

    /// How many attempts there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// When attempt `seq` is to leave.
    pub fn planned(&self, seq: u64) -> Nanos {
        self.start.saturating_add(seq.saturating_mul(self.interval))
    }

    /// When attempt `next` is to leave; `None` when the plan ends before it.
    pub fn next_due(&self, next: u64) -> Option<Nanos> {
        (next < self.count).then(|| self.planned(next))
    }

    /// The attempts that are due at `now` when `next` is the first that has not left.
    pub fn due(&self, next: u64, now: Nanos) -> Range<u64> {
        let reached = match now.checked_sub(self.start) {
            Some(elapsed) => elapsed / self.interval + 1,
            None => 0,
        };
        next..reached.min(self.count).max(next)
    }

    /// Ends the plan early: attempt `next` and all after it are not made.
    pub fn cut(&mut self, next: u64) {
        self.count = self.count.min(next);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_milliseconds_for_a_second_are_a_hundred_attempts() {
        let plan = Plan::new(5, 10_000_000, 1_000_000_000);
        assert_eq!(plan.count(), 100);
        assert_eq!(plan.planned(99), 5 + 990_000_000);
        assert_eq!(plan.next_due(100), None);
    }

    #[test]
    fn a_duration_between_two_ticks_keeps_the_last_started_tick() {
        assert_eq!(Plan::new(0, 10, 25).count(), 3);
        assert_eq!(Plan::new(0, 10, 0).count(), 0);
    }

    #[test]
    fn nothing_is_due_before_the_start() {
        assert_eq!(Plan::new(100, 10, 50).due(0, 99), 0..0);
        assert_eq!(Plan::new(100, 10, 50).due(0, 100), 0..1);
    }

    #[test]
    fn a_late_tick_finds_all_that_it_missed() {
        assert_eq!(Plan::new(0, 10, 100).due(2, 55), 2..6);
        assert_eq!(Plan::new(0, 10, 100).due(2, 1_000_000), 2..10);
    }

    #[test]
    fn a_cut_plan_has_no_more_attempts() {
        let mut plan = Plan::new(0, 10, 100);
        plan.cut(3);
        assert_eq!((plan.count(), plan.next_due(3), plan.due(3, 99)), (3, None, 3..3));
    }

    proptest! {
        /// However the clock is read, every attempt is due exactly once, and never before its time.
        #[test]
        fn each_attempt_is_due_once(interval in 1u64..50, duration in 0u64..2000, mut reads in prop::collection::vec(0u64..3000, 0..40)) {
            let plan = Plan::new(500, interval, duration);
            reads.sort_unstable();
            reads.push(10_000);
            let mut next = 0;
            for now in reads {
                let due = plan.due(next, now);
                prop_assert_eq!(due.start, next);
                for seq in due.clone() {
                    prop_assert!(plan.planned(seq) <= now);
                }
                if let Some(later) = plan.next_due(due.end) {
                    prop_assert!(later > now);
                }
                next = due.end;
            }
            prop_assert_eq!(next, plan.count());
        }
    }
}
