//! When a run with a trigger is over: once everything has been quiet for long enough.

use crate::{clock::Nanos, probe::Pulse};

/// Was every attempt of every probe answered in time that left within `quiet_for` after the last trouble, and after the
/// trigger was over (`since`)? Each probe must have made one at the end of that time, or later.
pub(super) fn is_quiet(probes: &[Pulse], since: Nanos, quiet_for: Nanos) -> bool {
    let troubled = probes.iter().filter_map(|probe| probe.troubled).max();
    let from = troubled.map_or(since, |at| at.max(since));
    // A probe of which nothing is known yet comes first: none is less than any time.
    let settled = probes.iter().map(|probe| probe.settled).min().flatten();
    settled.is_some_and(|settled| settled >= from.saturating_add(quiet_for))
}

/// Was every attempt answered in time so far, and was there one of each probe?
pub(super) fn was_quiet(probes: &[Pulse]) -> bool {
    probes.iter().all(|probe| probe.settled.is_some() && probe.troubled.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(settled: u64, troubled: u64) -> Pulse {
        let known = |at| (at > 0).then_some(at);
        Pulse { settled: known(settled), troubled: known(troubled) }
    }

    #[test]
    fn quiet_counts_from_the_end_of_the_trigger() {
        for (settled, quiet) in [(0, false), (100, false), (149, false), (150, true), (200, true)] {
            assert_eq!(is_quiet(&[pulse(settled, 0)], 100, 50), quiet, "{settled}");
        }
    }

    #[test]
    fn quiet_counts_from_the_last_trouble_of_any_probe() {
        assert!(!is_quiet(&[pulse(300, 0), pulse(300, 260)], 100, 50));
        assert!(is_quiet(&[pulse(310, 0), pulse(310, 260)], 100, 50));
        // Trouble before the end of the trigger was the trigger's.
        assert!(is_quiet(&[pulse(150, 99)], 100, 50));
    }

    #[test]
    fn an_attempt_that_still_waits_is_not_quiet_however_long_it_may_wait() {
        // Its outcome will be known at 10,000 only: until then nothing after 120 is settled.
        assert!(!is_quiet(&[pulse(5000, 0), pulse(120, 0)], 100, 50));
    }

    #[test]
    fn who_has_not_made_an_attempt_is_not_quiet() {
        assert!(!is_quiet(&[pulse(500, 0), pulse(0, 0)], 100, 50));
        assert!(!is_quiet(&[], 100, 50));
    }

    #[test]
    fn a_lead_in_is_quiet_if_every_probe_was_answered() {
        assert!(was_quiet(&[pulse(10, 0), pulse(20, 0)]));
        assert!(!was_quiet(&[pulse(10, 0), pulse(20, 5)]));
        assert!(!was_quiet(&[pulse(10, 0), pulse(0, 0)]));
    }
}
