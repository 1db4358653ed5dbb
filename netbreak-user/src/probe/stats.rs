//! What a probe's attempts come to: how many had which outcome, and how long answers took.

use hdrhistogram::Histogram;

use super::attempt::{Attempt, Kind, Outcome};

/// How many attempts had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All attempts: the sum of the others.
    pub sent: u64,
    /// Answered in time.
    pub answered: u64,
    /// Answered after the time-out.
    pub late: u64,
    /// No answer (icmp, udp).
    pub lost: u64,
    /// No answer (tcp, http, stream).
    pub timed_out: u64,
    /// RST to a SYN.
    pub refused: u64,
    /// RST later.
    pub reset: u64,
    /// An ICMP error came back.
    pub unreachable: u64,
    /// The kernel refused to send.
    pub send_failed: u64,
}

impl Counts {
    /// Counts `attempts`.
    pub fn of(attempts: &[Attempt]) -> Counts {
        let mut counts = Counts::default();
        for attempt in attempts {
            counts.sent += 1;
            *match attempt.outcome {
                Outcome::Answered { .. } => &mut counts.answered,
                Outcome::Late { .. } => &mut counts.late,
                Outcome::Lost => &mut counts.lost,
                Outcome::TimedOut => &mut counts.timed_out,
                Outcome::Refused { .. } => &mut counts.refused,
                Outcome::Reset { .. } => &mut counts.reset,
                Outcome::Unreachable { .. } => &mut counts.unreachable,
                Outcome::SendFailed { .. } => &mut counts.send_failed,
            } += 1;
        }
        counts
    }
}

/// Round-trip times in microseconds. Smallest and largest are exact to the nanosecond, the percentiles to three digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rtt {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Rtt {
    /// Over the attempts answered in time, from send to answer; `None` when there was none.
    pub fn of(attempts: &[Attempt]) -> Option<Rtt> {
        let times = || {
            attempts.iter().filter_map(|attempt| match attempt.outcome {
                Outcome::Answered { at } => Some(at.saturating_sub(attempt.sent)),
                _ => None,
            })
        };
        spread(times)
    }

    /// From the exact smallest and largest, and a histogram's quantiles, all in nanoseconds.
    pub(super) fn read(min: u64, max: u64, quantile: impl Fn(f64) -> u64) -> Rtt {
        // A bucket stands for its highest value, which can lie beyond the largest time seen.
        let percentile = |q| micros(quantile(q).clamp(min, max));
        Rtt {
            min: micros(min),
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            max: micros(max),
        }
    }
}

/// How much later than planned attempts left, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleDelay {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl ScheduleDelay {
    /// Over all attempts; `None` when there was none, and for a stream, whose writes wait for its send buffer: that is
    /// the path's delay, not netbreak's.
    pub fn of(kind: Kind, attempts: &[Attempt]) -> Option<ScheduleDelay> {
        if kind == Kind::Stream {
            return None;
        }
        let Rtt { p50, p99, max, .. } =
            spread(|| attempts.iter().map(|attempt| attempt.sent.saturating_sub(attempt.planned)))?;
        Some(ScheduleDelay { p50, p99, max })
    }
}

/// Smallest, largest and percentiles of `times`, which are nanoseconds.
fn spread<I: Iterator<Item = u64>>(times: impl Fn() -> I) -> Option<Rtt> {
    let (min, max) = (times().min()?, times().max()?);
    // 1 ns to `max`, three significant digits: these bounds are always valid ones.
    let mut histogram = Histogram::<u64>::new_with_max(max.max(2), 3).ok()?;
    times().for_each(|time| histogram.saturating_record(time));
    Some(Rtt::read(min, max, |q| histogram.value_at_quantile(q)))
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempt(sent: u64, outcome: Outcome) -> Attempt {
        Attempt { seq: 0, planned: sent, sent, local_port: 1, outcome }
    }

    fn answered(rtts: &[u64]) -> Vec<Attempt> {
        rtts.iter().map(|rtt| attempt(1000, Outcome::Answered { at: 1000 + rtt })).collect()
    }

    #[test]
    fn every_outcome_has_its_own_count() {
        let outcomes = [
            Outcome::Answered { at: 1 },
            Outcome::Late { at: 1 },
            Outcome::Lost,
            Outcome::TimedOut,
            Outcome::Refused { at: 1 },
            Outcome::Reset { at: 1 },
            Outcome::Unreachable { at: 1, errno: 1 },
            Outcome::SendFailed { errno: 1 },
        ];
        let attempts: Vec<_> = outcomes.map(|outcome| attempt(0, outcome)).into();
        let expected = Counts {
            sent: 8,
            answered: 1,
            late: 1,
            lost: 1,
            timed_out: 1,
            refused: 1,
            reset: 1,
            unreachable: 1,
            send_failed: 1,
        };
        assert_eq!(Counts::of(&attempts), expected);
    }

    #[test]
    fn times_are_microseconds_with_nanoseconds_behind_the_point() {
        let rtt = Rtt::of(&answered(&[1_500])).unwrap();
        assert_eq!((rtt.min, rtt.p50, rtt.max), (1.5, 1.5, 1.5));
    }

    #[test]
    fn late_answers_and_silence_have_no_round_trip_time() {
        assert_eq!(Rtt::of(&[]), None);
        assert_eq!(Rtt::of(&[attempt(0, Outcome::Late { at: 9 }), attempt(0, Outcome::Lost)]), None);
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let rtts: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
        let rtt = Rtt::of(&answered(&rtts)).unwrap();
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected / 500.0;
        assert!(near(rtt.p50, 500.0) && near(rtt.p90, 900.0) && near(rtt.p99, 990.0), "{rtt:?}");
        assert_eq!((rtt.min, rtt.max), (1.0, 1000.0));
    }

    #[test]
    fn attempts_are_late_by_what_they_left_after_their_plan() {
        let late = |by: u64| Attempt { planned: 1_000, ..attempt(1_000 + by, Outcome::Lost) };
        let attempts = [late(0), late(2_000), late(50_000)];
        let delay = ScheduleDelay::of(Kind::Icmp, &attempts).unwrap();
        assert_eq!((delay.p50, delay.max), (2.0, 50.0));
        assert_eq!(ScheduleDelay::of(Kind::Icmp, &[]), None);
        assert_eq!(ScheduleDelay::of(Kind::Stream, &attempts), None);
    }

    proptest! {
        #[test]
        fn they_are_in_order(rtts in prop::collection::vec(0u64..100_000_000_000, 1..50)) {
            let rtt = Rtt::of(&answered(&rtts)).unwrap();
            prop_assert!(rtt.min <= rtt.p50 && rtt.p50 <= rtt.p90 && rtt.p90 <= rtt.p99 && rtt.p99 <= rtt.max);
        }
    }
}
