//! From what happened to outcomes: every attempt of a probe gets exactly one.

use crate::clock::Nanos;

use super::attempt::{Attempt, Kind, Outcome};

/// The attempts of one probe, from the first that left to the end of the run.
///
/// Times decide, not the order in which news comes in: an answer after the time-out is late, whenever it is told. An
/// answer outranks an ICMP error or a send error for the same attempt (the packet evidently lived); otherwise the
/// first news stands.
#[derive(Debug)]
pub struct Tracker {
    timeout: Nanos,
    unanswered: Outcome,
    attempts: Vec<Life>,
    duplicates: u64,
    /// Attempts before this one have been asked about by `overdue`.
    looked_at: usize,
    /// Attempts before this one have been told by `settled`.
    told: usize,
}

#[derive(Debug)]
struct Life {
    planned: Nanos,
    sent: Nanos,
    local_port: u16,
    outcome: Option<Outcome>,
}

impl Life {
    /// In time, or by a RST, which is an answer of the path.
    fn was_answered(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Answered { .. } | Outcome::Refused { .. }))
    }
}

impl Tracker {
    /// A tracker for a probe of `kind`, whose attempts are answered in time up to `timeout` nanoseconds after they left.
    pub fn new(kind: Kind, timeout: Nanos) -> Tracker {
        let unanswered = match kind {
            Kind::Icmp | Kind::Udp => Outcome::Lost,
            Kind::Tcp | Kind::Http | Kind::Https | Kind::Stream => Outcome::TimedOut,
        };
        Tracker { timeout, unanswered, attempts: Vec::new(), duplicates: 0, looked_at: 0, told: 0 }
    }

    /// The sequence number that the next attempt will have.
    pub fn next_seq(&self) -> u64 {
        self.attempts.len() as u64
    }

    /// An attempt leaves at `at`, from `local_port` (or with that echo identifier). Returns its sequence number.
    /// Attempts leave in order: `at` is never smaller than that of the attempt before.
    pub fn sent(&mut self, planned: Nanos, at: Nanos, local_port: u16) -> u64 {
        let seq = self.next_seq();
        self.attempts.push(Life { planned, sent: at, local_port, outcome: None });
        seq
    }

    /// An answer came. Returns whether it was the attempt's first.
    pub fn answered(&mut self, seq: u64, at: Nanos) -> bool {
        let timeout = self.timeout;
        let Some(life) = self.life(seq) else { return false };
        if let Some(Outcome::Answered { .. } | Outcome::Late { .. }) = life.outcome {
            self.duplicates += 1;
            return false;
        }
        let late = at.saturating_sub(life.sent) > timeout;
        life.outcome = Some(if late { Outcome::Late { at } } else { Outcome::Answered { at } });
        true
    }

    /// A RST answered the SYN.
    pub fn refused(&mut self, seq: u64, at: Nanos) {
        self.settle(seq, Outcome::Refused { at });
    }

    /// A RST or an early end came after the connection was established.
    pub fn reset(&mut self, seq: u64, at: Nanos) {
        self.settle(seq, Outcome::Reset { at });
    }

    /// An ICMP error came for this attempt; `errno` is what the kernel made of it.
    pub fn unreachable(&mut self, seq: u64, at: Nanos, errno: i32) {
        self.settle(seq, Outcome::Unreachable { at, errno });
    }

    /// The kernel refused to send it.
    pub fn send_failed(&mut self, seq: u64, errno: i32) {
        self.settle(seq, Outcome::SendFailed { errno });
    }

    /// Takes any news but an answer; the first stands.
    pub fn settle(&mut self, seq: u64, outcome: Outcome) {
        if let Some(life) = self.life(seq) {
            life.outcome.get_or_insert(outcome);
        }
    }

    /// Which attempt an echo's 16-bit sequence number means: the youngest that has left with these low bits.
    pub fn widen(&self, low: u16) -> Option<u64> {
        let youngest = self.next_seq().checked_sub(1)?;
        youngest.checked_sub(u64::from((youngest as u16).wrapping_sub(low)))
    }

    /// Until when an answer in time is still possible: the time-out of the youngest open attempt, if that is after
    /// `now`. `None` = all attempts are settled or past their time-out.
    pub fn awaited_until(&self, now: Nanos) -> Option<Nanos> {
        self.attempts
            .iter()
            .rev()
            .map(|life| (life.sent.saturating_add(self.timeout), life.outcome))
            .take_while(|(deadline, _)| *deadline > now)
            .find(|(_, outcome)| outcome.is_none())
            .map(|(deadline, _)| deadline)
    }

    /// The next attempt, in order, that has had its time-out by `now` and was not answered in it. Each is told once.
    pub fn overdue(&mut self, now: Nanos) -> Option<u64> {
        while let Some(life) = self.attempts.get(self.looked_at) {
            if life.sent.saturating_add(self.timeout) >= now {
                return None;
            }
            let seq = self.looked_at as u64;
            self.looked_at += 1;
            if !life.was_answered() {
                return Some(seq);
            }
        }
        None
    }

    /// When [`overdue`](Self::overdue) has something to tell next, if no answer comes until then.
    pub fn next_overdue(&mut self) -> Option<Nanos> {
        let answered = self.attempts[self.looked_at..].iter().take_while(|life| life.was_answered()).count();
        self.looked_at += answered;
        self.attempts.get(self.looked_at).map(|life| life.sent.saturating_add(self.timeout) + 1)
    }

    /// The next attempt, in order, that was answered in time (or refused), or of which [`overdue`](Self::overdue) has
    /// found that it was not: when it left, and was it answered? Each is told once.
    pub fn settled(&mut self) -> Option<(Nanos, bool)> {
        let life = self.attempts.get(self.told)?;
        let answered = life.was_answered();
        if !answered && self.told >= self.looked_at {
            return None;
        }
        self.told += 1;
        Some((life.sent, answered))
    }

    /// The end of the run: open attempts become lost (icmp, udp) or timed out. Returns all attempts, ascending by
    /// `seq`, and the number of duplicate answers.
    pub fn finish(self) -> (Vec<Attempt>, u64) {
        let attempts = (0..).zip(self.attempts).map(|(seq, life)| Attempt {
            seq,
            planned: life.planned,
            sent: life.sent,
            local_port: life.local_port,
            outcome: life.outcome.unwrap_or(self.unanswered),
        });
        (attempts.collect(), self.duplicates)
    }

    fn life(&mut self, seq: u64) -> Option<&mut Life> {
        self.attempts.get_mut(usize::try_from(seq).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(kind: Kind, news: impl FnOnce(&mut Tracker)) -> (Outcome, u64) {
        let mut tracker = Tracker::new(kind, 100);
        assert_eq!(tracker.sent(1000, 1001, 7), 0);
        news(&mut tracker);
        let (attempts, duplicates) = tracker.finish();
        assert_eq!(
            (attempts[0].seq, attempts[0].planned, attempts[0].sent, attempts[0].local_port),
            (0, 1000, 1001, 7)
        );
        (attempts[0].outcome, duplicates)
    }

    #[test]
    fn silence_is_lost_or_timed_out() {
        assert_eq!(one(Kind::Icmp, |_| ()).0, Outcome::Lost);
        assert_eq!(one(Kind::Udp, |_| ()).0, Outcome::Lost);
        assert_eq!(one(Kind::Tcp, |_| ()).0, Outcome::TimedOut);
        assert_eq!(one(Kind::Http, |_| ()).0, Outcome::TimedOut);
    }

    #[test]
    fn the_time_out_counts_from_the_real_send_time_and_is_still_in_time() {
        let answered = |at| one(Kind::Icmp, |t| assert!(t.answered(0, at))).0;
        assert_eq!(answered(1101), Outcome::Answered { at: 1101 });
        assert_eq!(answered(1102), Outcome::Late { at: 1102 });
    }

    #[test]
    fn a_second_answer_is_a_duplicate_also_after_a_late_one() {
        let twice = |first, second| {
            one(Kind::Udp, |t| {
                assert!(t.answered(0, first));
                assert!(!t.answered(0, second));
            })
        };
        assert_eq!(twice(1010, 1020), (Outcome::Answered { at: 1010 }, 1));
        assert_eq!(twice(1200, 1300), (Outcome::Late { at: 1200 }, 1));
    }

    #[test]
    fn an_answer_outranks_an_icmp_error_but_nothing_else_changes_an_outcome() {
        let unreachable = Outcome::Unreachable { at: 1005, errno: 113 };
        assert_eq!(
            one(Kind::Icmp, |t| {
                t.unreachable(0, 1005, 113);
                t.answered(0, 1006);
            }),
            (Outcome::Answered { at: 1006 }, 0)
        );
        assert_eq!(
            one(Kind::Icmp, |t| {
                t.unreachable(0, 1005, 113);
                t.send_failed(0, 1);
            })
            .0,
            unreachable
        );
    }

    #[test]
    fn news_about_an_attempt_that_never_left_is_ignored() {
        let mut tracker = Tracker::new(Kind::Icmp, 100);
        assert!(!tracker.answered(3, 5));
        tracker.refused(3, 5);
        assert_eq!(tracker.finish(), (vec![], 0));
    }

    #[test]
    fn sixteen_bits_mean_the_youngest_attempt_that_has_them() {
        let mut tracker = Tracker::new(Kind::Icmp, 100);
        assert_eq!(tracker.widen(0), None);
        for at in 0..65_538 {
            tracker.sent(at, at, 1);
        }
        assert_eq!(tracker.widen(1), Some(65_537));
        assert_eq!(tracker.widen(2), Some(2));
        assert_eq!(tracker.widen(u16::MAX), Some(65_535));
    }

    #[test]
    fn the_run_waits_for_the_youngest_open_attempt_only_until_its_time_out() {
        let mut tracker = Tracker::new(Kind::Icmp, 100);
        for at in [0, 10, 20] {
            tracker.sent(at, at, 1);
        }
        assert_eq!(tracker.awaited_until(50), Some(120));
        tracker.answered(2, 60);
        assert_eq!(tracker.awaited_until(60), Some(110));
        assert_eq!(tracker.awaited_until(110), None);
        tracker.answered(0, 70);
        tracker.answered(1, 70);
        assert_eq!(tracker.awaited_until(70), None);
    }

    #[test]
    fn the_oldest_attempt_without_an_answer_is_overdue_next() {
        let mut tracker = Tracker::new(Kind::Tcp, 100);
        assert_eq!(tracker.next_overdue(), None);
        for at in [0, 10, 20] {
            tracker.sent(at, at, 1);
        }
        tracker.answered(0, 5);
        tracker.unreachable(1, 15, 113);
        assert_eq!((tracker.next_overdue(), tracker.overdue(110)), (Some(111), None));
        assert_eq!((tracker.overdue(111), tracker.next_overdue()), (Some(1), Some(121)));
        tracker.answered(2, 115);
        assert_eq!((tracker.next_overdue(), tracker.overdue(1000)), (None, None));
    }

    #[test]
    fn what_became_of_attempts_is_told_in_order_and_not_before_it_is_known() {
        let mut tracker = Tracker::new(Kind::Tcp, 100);
        for at in [0, 10, 20] {
            tracker.sent(at, at, 1);
        }
        tracker.refused(0, 5);
        tracker.unreachable(1, 15, 113);
        tracker.answered(2, 25);
        assert_eq!((tracker.settled(), tracker.settled()), (Some((0, true)), None));
        while tracker.overdue(111).is_some() {}
        assert_eq!((tracker.settled(), tracker.settled()), (Some((10, false)), Some((20, true))));
        assert_eq!(tracker.settled(), None);
    }

    #[derive(Debug, Clone)]
    enum News {
        Sent,
        Answered(u64),
        Refused(u64),
        Reset(u64),
        Unreachable(u64),
        SendFailed(u64),
    }

    fn news() -> impl Strategy<Value = (News, u64)> {
        let what = prop_oneof![
            3 => Just(News::Sent),
            3 => (0u64..40).prop_map(News::Answered),
            1 => (0u64..40).prop_map(News::Refused),
            1 => (0u64..40).prop_map(News::Reset),
            1 => (0u64..40).prop_map(News::Unreachable),
            1 => (0u64..40).prop_map(News::SendFailed),
        ];
        (what, 0u64..60)
    }

    proptest! {
        /// Whatever comes in, in whatever order: one outcome an attempt, in order; first answers plus duplicates are
        /// the answers told; late exactly when the answer took longer than the time-out.
        #[test]
        fn every_attempt_has_exactly_one_outcome(events in prop::collection::vec(news(), 0..200)) {
            let mut tracker = Tracker::new(Kind::Icmp, 100);
            let (mut now, mut left, mut answers) = (0, 0u64, 0u64);
            for (news, pause) in events {
                now += pause;
                match news {
                    News::Sent => left = tracker.sent(now, now, 1) + 1,
                    News::Answered(seq) => {
                        answers += u64::from(seq < left);
                        tracker.answered(seq, now);
                    }
                    News::Refused(seq) => tracker.refused(seq, now),
                    News::Reset(seq) => tracker.reset(seq, now),
                    News::Unreachable(seq) => tracker.unreachable(seq, now, 113),
                    News::SendFailed(seq) => tracker.send_failed(seq, 1),
                }
            }
            let (attempts, duplicates) = tracker.finish();
            prop_assert_eq!(attempts.len() as u64, left);
            let mut first_answers = 0;
            for (index, attempt) in attempts.iter().enumerate() {
                prop_assert_eq!(attempt.seq, index as u64);
                match attempt.outcome {
                    Outcome::Answered { at } => { first_answers += 1; prop_assert!(at - attempt.sent <= 100) }
                    Outcome::Late { at } => { first_answers += 1; prop_assert!(at - attempt.sent > 100) }
                    _ => (),
                }
            }
            prop_assert_eq!(first_answers + duplicates, answers);
        }
    }
}
