//! A probe's attempts over time, in a bounded number of bins.

use std::collections::BTreeMap;

use super::Judged;
use crate::{
    clock::{MILLISECOND, Nanos, SECOND},
    probe::{Attempt, Outcome, Record, left},
    report::{Counted, RttBins, Timeline},
};

/// Bins of a timeline: more than a screen has columns.
const MOST: u64 = 1_000;

/// A run with few attempts has bins that are empty, so that its attempts are where they were.
const FEWEST: u64 = 100;

/// The timeline of `record`, whose attempts were judged, in a run from `start` to `end`. `resent` are its retransmitted
/// segments, by time; `None` if they were not traced.
pub fn timeline(
    (start, end): (Nanos, Nanos),
    record: &Record,
    judged: &Judged,
    resent: Option<&[(Nanos, u64)]>,
) -> Timeline {
    let left = |attempt: &Attempt| left(record.kind, attempt);
    let times = record.attempts.iter().map(left).chain(resent.unwrap_or_default().iter().map(|(at, _)| *at));
    let last = times.max().unwrap_or(0).max(end).saturating_sub(start);
    let width = width(last, record.attempts.len() as u64);
    let bin = |at: Nanos| at.saturating_sub(start) / width;
    let mut bins = Bins::default();
    for attempt in &record.attempts {
        let bin = bin(left(attempt));
        *bins.sent.entry(bin).or_default() += 1;
        let counted = match attempt.outcome {
            Outcome::Answered { at } => {
                bins.rtt.entry(bin).or_default().push(at.saturating_sub(attempt.sent));
                continue;
            }
            Outcome::Refused { .. } => continue,
            Outcome::Late { .. } => &mut bins.late,
            Outcome::Reset { .. } => &mut bins.reset,
            _ => match judged.of.get(&attempt.seq) {
                Some(death) => bins.deaths.entry(*death).or_default(),
                None => &mut bins.unexplained,
            },
        };
        *counted.entry(bin).or_default() += 1;
    }
    for (at, segments) in resent.unwrap_or_default() {
        *bins.resent.entry(bin(*at)).or_default() += segments;
    }
    Timeline {
        bin_s: width as f64 / SECOND as f64,
        sent: (0..last / width + 1).map(|bin| bins.sent.get(&bin).copied().unwrap_or(0)).collect(),
        rtt_us: rtt(bins.rtt),
        late: counted(&bins.late),
        reset: counted(&bins.reset),
        deaths: (0..judged.deaths.len())
            .map(|death| bins.deaths.get(&death).map(counted).unwrap_or_default())
            .collect(),
        unexplained: counted(&bins.unexplained),
        retransmits: resent.map(|_| counted(&bins.resent)),
    }
}

/// How many in which bin.
type Counts = BTreeMap<u64, u64>;

#[derive(Default)]
struct Bins {
    sent: Counts,
    rtt: BTreeMap<u64, Vec<Nanos>>,
    late: Counts,
    reset: Counts,
    deaths: BTreeMap<usize, Counts>,
    unexplained: Counts,
    resent: Counts,
}

fn counted(counts: &Counts) -> Counted {
    let mut counted = Counted::default();
    counts.iter().for_each(|(bin, count)| counted.push(*bin as u32, *count));
    counted
}

fn rtt(bins: BTreeMap<u64, Vec<Nanos>>) -> RttBins {
    let mut rtt = RttBins::default();
    let micros = |nanos: Nanos| nanos as f64 / 1000.0;
    for (bin, mut times) in bins {
        times.sort_unstable();
        rtt.bins.push(bin as u32);
        rtt.min.push(micros(times[0]));
        rtt.p50.push(micros(times[(times.len() - 1) / 2]));
        rtt.max.push(micros(times[times.len() - 1]));
    }
    rtt
}

/// The smallest of 1, 2, 5, 10, … ms that makes few enough bins of `last` nanoseconds (which is in the last bin), and not
/// many more than there are attempts.
fn width(last: Nanos, attempts: u64) -> Nanos {
    let most = attempts.clamp(FEWEST, MOST);
    let decades = (0..).map_while(|power| 10u64.checked_pow(power)?.checked_mul(MILLISECOND));
    let steps = decades.flat_map(|decade| [1, 2, 5].map(|step| decade.saturating_mul(step)));
    steps.into_iter().find(|width| last / width < most).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::tests::build::{attempt, record};
    use super::*;
    use crate::probe::Kind;

    const START: Nanos = 1_000_000;

    /// One attempt a letter: `.` answered after its number of microseconds, `r` refused, `l` late, `R` reset, `x` lost for
    /// a reason that is known, anything else lost.
    fn judged(pattern: &str, pace: Nanos) -> (Record, Judged) {
        let at = |seq: u64| START + seq * pace;
        let attempts = (0..).zip(pattern.chars()).map(|(seq, letter)| {
            let outcome = match letter {
                '.' => Outcome::Answered { at: at(seq) + seq * 1_000 },
                'r' => Outcome::Refused { at: at(seq) },
                'l' => Outcome::Late { at: at(seq) },
                'R' => Outcome::Reset { at: at(seq) },
                _ => Outcome::Lost,
            };
            attempt(seq, at(seq), outcome)
        });
        let record = record(Kind::Tcp, attempts.collect());
        let of: HashMap<u64, usize> = (0..)
            .zip(pattern.chars())
            .filter(|(_, letter)| *letter == 'x')
            .map(|(seq, _)| (seq, 0))
            .collect();
        let deaths = if of.is_empty() { Vec::new() } else { vec![crate::report::fixtures::broken_death()] };
        (record, Judged { deaths, of, ..Judged::default() })
    }

    #[test]
    fn attempts_are_in_the_bin_in_which_they_left() {
        let (record, judged) = judged("..x?lR", 300 * MILLISECOND);
        let resent = [(START + 2 * SECOND, 3), (START - 1, 1)];
        let found = timeline((START, START + SECOND), &record, &judged, Some(&resent));
        // Two seconds in at most 100 bins, the last of them for what was sent again after the end.
        assert_eq!((found.bin_s, found.sent.len()), (0.05, 41));
        assert_eq!(found.sent.iter().sum::<u64>(), 6);
        assert_eq!((found.sent[0], found.sent[6], found.sent[30]), (1, 1, 1));
        assert_eq!(found.rtt_us.bins, [0, 6]);
        assert_eq!(found.rtt_us.p50, [0.0, 1.0]);
        let one = |bin| Counted { bins: vec![bin], counts: vec![1] };
        assert_eq!(found.deaths, [one(12)]);
        assert_eq!((found.unexplained, found.late, found.reset), (one(18), one(24), one(30)));
        assert_eq!(found.retransmits, Some(Counted { bins: vec![0, 40], counts: vec![1, 3] }));
    }

    #[test]
    fn a_run_without_an_attempt_has_bins_too() {
        let (record, judged) = judged("", 1);
        let found = timeline((START, START), &record, &judged, None);
        assert_eq!((found.sent, found.retransmits), (vec![0], None));
    }

    #[test]
    fn widths_are_round_and_bins_are_few() {
        for (last, attempts, expected) in [
            (60 * SECOND, 6_000, 100 * MILLISECOND),
            (8 * SECOND, 800, 20 * MILLISECOND),
            (8 * SECOND - 1, 800, 10 * MILLISECOND),
            (8 * SECOND, 9_000, 10 * MILLISECOND),
            (60 * SECOND, 60, SECOND),
            (0, 0, MILLISECOND),
        ] {
            assert_eq!(width(last, attempts), expected, "{last} {attempts}");
        }
        assert!(Nanos::MAX / width(Nanos::MAX, 1) < MOST);
    }

    proptest! {
        /// Every attempt is in exactly one bin, with its one fate.
        #[test]
        fn sums_are_those_of_the_attempts(pattern in "[.rlRx?]{0,200}", pace in 1u64..10_000_000_000) {
            let (record, judged) = judged(&pattern, pace);
            let end = START + pace * pattern.len() as u64;
            let found = timeline((START, end), &record, &judged, None);
            let count = |letter| pattern.chars().filter(|l| *l == letter).count() as u64;
            prop_assert_eq!(found.sent.iter().sum::<u64>(), pattern.len() as u64);
            prop_assert_eq!(found.late.sum(), count('l'));
            prop_assert_eq!(found.reset.sum(), count('R'));
            prop_assert_eq!(found.deaths.iter().map(Counted::sum).sum::<u64>(), count('x'));
            prop_assert_eq!(found.unexplained.sum(), count('?'));
            prop_assert!(found.sent.len() as u64 <= MOST);
            prop_assert!(found.rtt_us.bins.len() as u64 <= count('.'));
            for attempt in &record.attempts {
                let bin = (attempt.sent - START) as f64 / SECOND as f64 / found.bin_s;
                prop_assert!(found.sent[(bin + 1e-9) as usize] > 0, "{}", bin);
            }
        }
    }
}
