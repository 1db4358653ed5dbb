//! Attempts that nobody can blame on the network: netbreak itself was not scheduled.
//!
//! An attempt that leaves late still has its whole time-out, which counts from the real send time, so being late
//! alone kills nothing. Two things do take an answer's chance, and both need netbreak to have *slept*: no probe
//! sent anything although attempts were due. (One probe that sends nothing may wait for a free connection; all of
//! them share one thread.)

use crate::{
    clock::{MILLISECOND, Nanos},
    probe::{Attempt, Kind, Outcome, Record},
};

/// When it has woken up, netbreak sends first what is due, and then reads what has come.
const AWAKE: Nanos = 100 * MILLISECOND;

/// Times in which netbreak did not run, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sleeps {
    timeout: Nanos,
    /// From when an attempt was due, or the last one left, to when the next one left.
    spans: Vec<(Nanos, Nanos)>,
}

impl Sleeps {
    /// Those longer than one and a half `timeout`s. Shorter ones take no answer's chance, and a probe whose
    /// connections are all in use sends nothing for up to one time-out, too.
    pub fn of(records: &[Record], timeout: Nanos) -> Self {
        // A stream's writes wait for its send buffer: that says nothing about netbreak.
        let attempts =
            || records.iter().filter(|r| r.kind != Kind::Stream).flat_map(|record| &record.attempts);
        let least = timeout.saturating_add(timeout / 2);
        let is_behind = |attempt: &&Attempt| attempt.sent.saturating_sub(attempt.planned) > least;
        if attempts().all(|attempt| !is_behind(&attempt)) {
            return Self { timeout, spans: Vec::new() };
        }
        let mut sends: Vec<Nanos> = attempts().map(|attempt| attempt.sent).collect();
        sends.sort_unstable();
        let span = |attempt: &Attempt| {
            let before = sends.partition_point(|sent| *sent < attempt.sent).checked_sub(1);
            let from = before.map_or(attempt.planned, |index| sends[index].max(attempt.planned));
            (attempt.sent - from > least).then_some((from, attempt.sent))
        };
        let mut found: Vec<_> = attempts().filter(is_behind).filter_map(span).collect();
        found.sort_unstable();
        // Several probes tell of the same one.
        let mut spans: Vec<(Nanos, Nanos)> = Vec::new();
        for (from, until) in found {
            match spans.last_mut() {
                Some((_, end)) if from <= *end => *end = until.max(*end),
                _ => spans.push((from, until)),
            }
        }
        Self { timeout, spans }
    }

    /// Did `attempt` of `record` die because netbreak slept? Only to be asked when nothing else explains it. It did
    /// if it got no answer at all, and
    /// - it waits for its answer in a task of its own (tcp, http), netbreak fell asleep before the fastest answer
    ///   that ever came could have been there, and woke up when the time-out was over; or
    /// - it left more than a time-out after it was due, because of a sleep, and what was due right before and right
    ///   after that sleep was answered: then it is no break that happened to begin in the dark.
    pub fn explain(&self, record: &Record, attempt: &Attempt) -> bool {
        let is_silent = matches!(attempt.outcome, Outcome::Lost | Outcome::TimedOut);
        if !is_silent || record.kind == Kind::Stream {
            return false;
        }
        self.spans.iter().any(|span| {
            self.nobody_looked(record, attempt, *span) || self.left_too_late(record, attempt, *span)
        })
    }

    /// Was `attempt` answered late because nobody looked? Netbreak fell asleep while the answer was in time, and found it
    /// when it woke up.
    pub fn delay(&self, attempt: &Attempt, answered: Nanos) -> bool {
        let in_time = attempt.sent.saturating_add(self.timeout);
        self.spans.iter().any(|(from, until)| {
            let was_asleep = attempt.sent <= *until && *from < in_time && in_time < *until;
            was_asleep && (*until..=until.saturating_add(AWAKE)).contains(&answered)
        })
    }

    fn nobody_looked(&self, record: &Record, attempt: &Attempt, (from, until): (Nanos, Nanos)) -> bool {
        record.kind.connects()
            && until >= attempt.sent.saturating_add(self.timeout)
            && attempt.sent <= from
            && fastest(record).is_some_and(|fastest| from <= attempt.sent.saturating_add(fastest))
    }

    fn left_too_late(&self, record: &Record, attempt: &Attempt, (from, until): (Nanos, Nanos)) -> bool {
        let slept_through = attempt.sent >= until
            && attempt.planned < until
            && until - attempt.planned.max(from) > self.timeout;
        if !slept_through {
            return false;
        }
        let before = record.attempts.partition_point(|other| other.planned < from).checked_sub(1);
        let after = record.attempts.partition_point(|other| other.planned < until);
        let around = [before.and_then(|index| record.attempts.get(index)), record.attempts.get(after)];
        around.iter().any(Option::is_some) && around.iter().flatten().all(|other| !other.is_unanswered())
    }
}

/// The shortest time in which an answer came.
fn fastest(record: &Record) -> Option<Nanos> {
    let times = record.attempts.iter().filter_map(|attempt| match attempt.outcome {
        Outcome::Answered { at } => Some(at.saturating_sub(attempt.sent)),
        _ => None,
    });
    times.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::build::{attempt, record};

    const TIMEOUT: Nanos = 1_000;
    const NOBODY: [u64; 0] = [];

    /// One attempt every 100 from 0 on, answered after 10; those that were due between 1000 and 4000 left at 4000,
    /// one right after the other.
    fn slept(kind: Kind) -> Record {
        let attempts = (0..60).map(|seq| {
            let planned = seq * 100;
            let sent = match planned {
                0..1_000 => planned,
                1_000..4_000 => 4_000 + seq - 10,
                _ => planned + 30,
            };
            Attempt { planned, ..attempt(seq, sent, Outcome::Answered { at: sent + 10 }) }
        });
        record(kind, attempts.collect())
    }

    fn starved(record: &Record) -> Vec<u64> {
        let sleeps = Sleeps::of(std::slice::from_ref(record), TIMEOUT);
        let starved = record.attempts.iter().filter(|attempt| sleeps.explain(record, attempt));
        starved.map(|attempt| attempt.seq).collect()
    }

    fn lose(record: &mut Record, seqs: std::ops::Range<usize>) {
        let outcome =
            if matches!(record.kind, Kind::Icmp | Kind::Udp) { Outcome::Lost } else { Outcome::TimedOut };
        record.attempts[seqs].iter_mut().for_each(|attempt| attempt.outcome = outcome);
    }

    #[test]
    fn a_sleep_is_when_nobody_sends_although_something_is_due() {
        let one = slept(Kind::Icmp);
        let sleeps = Sleeps::of(std::slice::from_ref(&one), TIMEOUT);
        assert_eq!(sleeps.spans, [(1_000, 4_000)]);
        // Two probes tell of one sleep.
        assert_eq!(Sleeps::of(&[one.clone(), slept(Kind::Tcp)], TIMEOUT).spans, [(1_000, 4_000)]);
        // Another probe went on sending: the first one waited for something else.
        let attempts = (0..60).map(|seq| attempt(seq, seq * 100, Outcome::Lost)).collect();
        assert_eq!(Sleeps::of(&[one.clone(), record(Kind::Udp, attempts)], TIMEOUT).spans, Vec::new());
        // With a time-out longer than that, it takes no answer's chance.
        assert_eq!(Sleeps::of(&[one], 2 * TIMEOUT).spans, Vec::new());
        // A stream's writes wait for its buffer.
        assert_eq!(Sleeps::of(&[slept(Kind::Stream)], TIMEOUT).spans, Vec::new());
    }

    #[test]
    fn who_left_too_late_and_got_no_answer_starved() {
        let mut icmp = slept(Kind::Icmp);
        assert_eq!(starved(&icmp), NOBODY, "all were answered");
        lose(&mut icmp, 15..38);
        // Due from 1500 to 3700; those due from 3000 on were no more than a time-out late.
        assert_eq!(starved(&icmp), (15..=29).collect::<Vec<_>>());
    }

    #[test]
    fn a_break_that_began_or_ended_in_the_dark_is_a_break() {
        let mut began = slept(Kind::Icmp);
        lose(&mut began, 15..60);
        assert_eq!(starved(&began), NOBODY);
        let mut ended = slept(Kind::Icmp);
        lose(&mut ended, 5..38);
        assert_eq!(starved(&ended), NOBODY);
    }

    #[test]
    fn who_left_on_time_did_not_starve() {
        let mut icmp = slept(Kind::Icmp);
        lose(&mut icmp, 3..6);
        lose(&mut icmp, 45..50);
        assert_eq!(starved(&icmp), NOBODY);
    }

    #[test]
    fn a_connect_that_nobody_looked_at_starved() {
        let mut tcp = slept(Kind::Tcp);
        // Its answer takes 150 at least; the attempt before it had time for that.
        for attempt in &mut tcp.attempts {
            attempt.outcome = Outcome::Answered { at: attempt.sent + 150 };
        }
        lose(&mut tcp, 8..10);
        assert_eq!(starved(&tcp), [9]);
        // The kernel keeps what reaches the socket of icmp: it is read later.
        tcp.kind = Kind::Icmp;
        assert_eq!(starved(&tcp), NOBODY);
    }

    #[test]
    fn an_answer_that_nobody_looked_for_was_late_for_that() {
        let udp = slept(Kind::Udp);
        let sleeps = Sleeps::of(std::slice::from_ref(&udp), TIMEOUT);
        let held_up = |seq: usize, answered| sleeps.delay(&udp.attempts[seq], answered);
        // It left right before the sleep from 1000 to 4000.
        assert!(held_up(9, 4_001));
        assert!(!held_up(9, 3_999) && !held_up(9, 4_001 + AWAKE) && !held_up(45, 6_000));
    }

    #[test]
    fn an_error_is_an_explanation() {
        let mut icmp = slept(Kind::Icmp);
        icmp.attempts[15].outcome = Outcome::Unreachable { at: 4_100, errno: 113 };
        icmp.attempts[16].outcome = Outcome::SendFailed { errno: 1 };
        assert_eq!(starved(&icmp), NOBODY);
    }
}
