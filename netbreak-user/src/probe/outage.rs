//! Outages: maximal runs of attempts that were not answered in time.

use crate::clock::Nanos;

use super::attempt::{Attempt, Kind, Record};

/// A maximal run of consecutive attempts of one probe with [`Attempt::is_unanswered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Sequence number of its first attempt.
    pub first: u64,
    /// Sequence number of its last attempt.
    pub last: u64,
    /// When its first attempt left.
    pub start: Nanos,
    /// When the first attempt after it left; the end of the run if there was none.
    pub end: Nanos,
}

impl Outage {
    /// How many attempts it took.
    pub fn attempts(&self) -> u64 {
        self.last - self.first + 1
    }

    /// How long it was, in nanoseconds.
    pub fn duration(&self) -> Nanos {
        self.end.saturating_sub(self.start)
    }
}

/// All outages of one probe of `kind`. `attempts` is a record's: ascending by `seq`, without gaps. `end_of_run` closes an
/// outage that nothing ended.
pub fn outages(kind: Kind, attempts: &[Attempt], end_of_run: Nanos) -> Vec<Outage> {
    attempts
        .chunk_by(|a, b| a.is_unanswered() == b.is_unanswered())
        .filter(|run| run[0].is_unanswered())
        .map(|run| {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            let after = attempts.get((last.seq - attempts[0].seq) as usize + 1);
            Outage {
                first: first.seq,
                last: last.seq,
                start: left(kind, first),
                end: after.map_or(end_of_run, |attempt| left(kind, attempt)),
            }
        })
        .collect()
}

/// When a run is over that should have been at `planned`: not before its last attempt has left, which is late where
/// netbreak did not get to run.
pub fn end_of_run(records: &[Record], planned: Nanos) -> Nanos {
    let left = records.iter().filter_map(|record| Some(left(record.kind, record.attempts.last()?)));
    left.max().map_or(planned, |last| last.max(planned))
}

/// When an attempt of a probe of `kind` left, for the times of outages and timelines. A stream's writes leave as planned
/// even if the kernel takes them later: behind a full send buffer hundreds wait, then are written in one instant, and their
/// outage was the waiting.
pub fn left(kind: Kind, attempt: &Attempt) -> Nanos {
    if kind == Kind::Stream { attempt.planned } else { attempt.sent }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::attempt::Outcome;
    use super::*;

    #[test]
    fn an_outage_of_attempts_that_left_late_does_not_end_before_it_began() {
        let late = |seq| Attempt { sent: 500, ..attempts("xx")[seq] };
        let record = |kind| Record {
            target: 0,
            kind,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            port: None,
            attempts: vec![late(0), late(1)],
            duplicates: 0,
            http_errors: None,
            tls_errors: None,
            tls_error: None,
            phases: None,
            stream: None,
        };
        let end = end_of_run(&[record(Kind::Icmp)], 20);
        assert_eq!(end, 500);
        assert_eq!(outages(Kind::Icmp, &record(Kind::Icmp).attempts, end)[0].duration(), 0);
        // A stream's writes leave as planned.
        assert_eq!((end_of_run(&[record(Kind::Stream)], 20), end_of_run(&[], 20)), (20, 20));
    }

    /// One attempt a letter, sent 10 ns apart: `.` answered, `r` refused, anything else not in time.
    fn attempts(pattern: &str) -> Vec<Attempt> {
        let outcome = |letter| match letter {
            '.' => Outcome::Answered { at: 1 },
            'r' => Outcome::Refused { at: 1 },
            'l' => Outcome::Late { at: 1 },
            'u' => Outcome::Unreachable { at: 1, errno: 113 },
            's' => Outcome::SendFailed { errno: 1 },
            _ => Outcome::Lost,
        };
        let attempt = |(seq, letter)| Attempt {
            seq,
            planned: seq * 10,
            sent: seq * 10,
            local_port: 1,
            outcome: outcome(letter),
        };
        (0..).zip(pattern.chars()).map(attempt).collect()
    }

    fn found(pattern: &str) -> Vec<(u64, u64, Nanos, Nanos)> {
        outages(Kind::Icmp, &attempts(pattern), 1000)
            .iter()
            .map(|o| (o.first, o.last, o.start, o.end))
            .collect()
    }

    #[test]
    fn none_without_a_miss() {
        assert_eq!(found(""), []);
        assert_eq!(found("..r."), []);
    }

    #[test]
    fn neighbouring_misses_of_all_kinds_are_one_outage() {
        assert_eq!(found("..lxus.."), [(2, 5, 20, 60)]);
        let outage = outages(Kind::Icmp, &attempts("..lxus.."), 1000)[0];
        assert_eq!((outage.attempts(), outage.duration()), (4, 40));
    }

    #[test]
    fn a_refusal_ends_an_outage() {
        assert_eq!(found("xrx."), [(0, 0, 0, 10), (2, 2, 20, 30)]);
    }

    #[test]
    fn the_end_of_the_run_ends_the_last_one() {
        assert_eq!(found(".xx"), [(1, 2, 10, 1000)]);
    }

    /// Writes that waited in the send buffer are written in the instant in which it drains.
    #[test]
    fn a_stream_that_catches_up_in_one_instant_was_out_while_its_writes_waited() {
        let mut attempts = attempts("..lll..");
        attempts[2..6].iter_mut().for_each(|attempt| attempt.sent = 50);
        let duration = |kind| outages(kind, &attempts, 1000)[0].duration();
        assert_eq!(duration(Kind::Stream), 30);
        assert_eq!(duration(Kind::Tcp), 0);
    }

    proptest! {
        /// The definition, read attempt by attempt: an attempt is in an outage exactly when it is unanswered, and two
        /// neighbours are in the same one exactly when both are.
        #[test]
        fn they_are_the_maximal_runs(pattern in "[.rlxus]{0,60}") {
            let attempts = attempts(&pattern);
            let outages = outages(Kind::Icmp, &attempts, 1000);
            let of = |seq| outages.iter().position(|o| o.first <= seq && seq <= o.last);
            for attempt in &attempts {
                prop_assert_eq!(of(attempt.seq).is_some(), attempt.is_unanswered());
            }
            for pair in attempts.windows(2) {
                if pair[0].is_unanswered() && pair[1].is_unanswered() {
                    prop_assert_eq!(of(pair[0].seq), of(pair[1].seq));
                }
            }
            for outage in &outages {
                prop_assert_eq!(outage.start, attempts[outage.first as usize].sent);
                prop_assert_eq!(outage.end, attempts.get(outage.last as usize + 1).map_or(1000, |a| a.sent));
            }
        }
    }
}
