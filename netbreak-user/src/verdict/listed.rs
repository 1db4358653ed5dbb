//! The attempts of a probe one by one, for what other nodes saw of them.

use super::Judged;
use crate::{
    clock::{Nanos, seconds_since},
    probe::{Attempt, Kind, Outcome, Record, left},
    report::{Answered, Attempts, Listed, MOST_ANSWERED, One},
};

/// Those of `record`, the probe number `probe`, in a run from `start`, that were judged so.
pub fn listed(start: Nanos, probe: u32, record: &Record, judged: &Judged) -> Attempts {
    let one = |attempt: &Attempt| One {
        seq: attempt.seq,
        sent_s: seconds_since(start, left(record.kind, attempt)),
        port: (!matches!(record.kind, Kind::Icmp | Kind::Udp)).then_some(attempt.local_port),
    };
    let mut attempts = Attempts {
        probe,
        deaths: vec![Listed::default(); judged.deaths.len()],
        answered: answered(start, record),
        ..Attempts::default()
    };
    for attempt in record.attempts.iter().filter(|attempt| attempt.needs_a_death()) {
        let death = judged.of.get(&attempt.seq).and_then(|death| attempts.deaths.get_mut(*death));
        death.unwrap_or(&mut attempts.unexplained).push(one(attempt));
    }
    attempts
}

/// Others carry no number that another node could read.
fn answered(start: Nanos, record: &Record) -> Answered {
    let mut sample = Answered::default();
    if !matches!(record.kind, Kind::Icmp | Kind::Udp) {
        return sample;
    }
    let answers = || {
        record.attempts.iter().filter_map(|attempt| match attempt.outcome {
            Outcome::Answered { at } => Some((attempt, at)),
            _ => None,
        })
    };
    let step = answers().count().div_ceil(MOST_ANSWERED).max(1);
    for (attempt, at) in answers().step_by(step) {
        sample.seq.push(attempt.seq);
        sample.sent_s.push(seconds_since(start, attempt.sent));
        sample.answered_s.push(seconds_since(start, at));
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::super::tests::build::{attempt, record};
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn the_dead_are_all_there_and_the_answered_are_a_sample() {
        let attempts = (0..4_000).map(|seq| {
            let outcome = match seq % 4 {
                0 => Outcome::Lost,
                1 => Outcome::Late { at: seq },
                _ => Outcome::Answered { at: seq * SECOND + 5 },
            };
            attempt(seq, seq * SECOND, outcome)
        });
        let of = (0..4_000).step_by(8).map(|seq| (seq, 0)).collect();
        let deaths = vec![crate::report::fixtures::broken_death()];
        let judged = Judged { deaths, of, ..Judged::default() };
        let record = |kind| record(kind, attempts.clone().collect());
        let found = listed(0, 7, &record(Kind::Icmp), &judged);
        assert_eq!((found.probe, found.deaths.len()), (7, 1));
        assert_eq!(found.deaths[0].iter().nth(1), Some(One { seq: 8, sent_s: 8.0, port: None }));
        assert_eq!((found.deaths[0].seq.len(), found.unexplained.seq.len()), (500, 500));
        assert_eq!(found.unexplained.iter().next(), Some(One { seq: 4, sent_s: 4.0, port: None }));
        assert_eq!(
            (found.answered.seq.len(), found.answered.iter().next()),
            (1_000, Some((2, 2.0, 2.000_000_005)))
        );
        assert!(found.answered.seq.last() > Some(&3_990));
        let http = listed(0, 7, &record(Kind::Http), &judged);
        assert_eq!((http.answered, http.unexplained.port.len()), (Answered::default(), 500));
    }
}
