//! A stream's writes and what became of them: which bytes of a connection are which attempt.

use std::collections::VecDeque;

use crate::clock::Nanos;

use super::attempt::{Attempt, Outcome, StreamRecord};

/// All writes of one stream. Writes wait in the order of the plan until they are written, and are answered when the
/// other end has acknowledged their last byte. The time-out counts from when they were due: a write that waits in a full
/// send buffer is as late as one that waits for its acknowledgement. They are due when we come to it, which is later than
/// the plan wanted where we slept: that time is nobody else's.
#[derive(Debug)]
pub(super) struct Ledger {
    timeout: Nanos,
    piece: u64,
    writes: Vec<Write>,
    /// The first write that is not wholly written, and how much of it is.
    cursor: usize,
    partly: u64,
    /// Writes that [`settled`](Self::settled) has told of.
    told: usize,
    /// Written and not acknowledged: which, and where in the connection it ends.
    unacked: VecDeque<(usize, u64)>,
    /// Bytes of this connection.
    written: u64,
    acked: u64,
    local_port: u16,
    /// When we looked for acknowledgements last.
    looked: Nanos,
    /// Since when bytes are outstanding without any being acknowledged.
    stalled_since: Option<Nanos>,
    record: StreamRecord,
}

#[derive(Debug)]
struct Write {
    planned: Nanos,
    /// When it could be written for all that we did.
    due: Nanos,
    sent: Option<Nanos>,
    local_port: u16,
    outcome: Option<Outcome>,
}

impl Ledger {
    /// For writes of `piece` bytes.
    pub(super) fn new(piece: usize, timeout: Nanos) -> Ledger {
        Ledger {
            timeout,
            piece: piece.max(1) as u64,
            writes: Vec::new(),
            cursor: 0,
            partly: 0,
            told: 0,
            unacked: VecDeque::new(),
            written: 0,
            acked: 0,
            local_port: 0,
            looked: 0,
            stalled_since: None,
            record: StreamRecord::default(),
        }
    }

    /// How many writes have been planned so far.
    pub(super) fn next_seq(&self) -> u64 {
        self.writes.len() as u64
    }

    /// A write that was `planned` for then is due at `now`; it waits until it is written.
    pub(super) fn plan(&mut self, planned: Nanos, now: Nanos) {
        let due = planned.max(now);
        self.writes.push(Write { planned, due, sent: None, local_port: self.local_port, outcome: None });
    }

    /// A connection is there; what waits goes through it.
    pub(super) fn connected(&mut self, local_port: u16) {
        self.record.connections += 1;
        self.local_port = local_port;
        (self.written, self.acked) = (0, 0);
    }

    /// The first write that is not wholly written.
    pub(super) fn first_waiting(&self) -> u64 {
        self.cursor as u64
    }

    /// The next write, in the order of the plan, that is answered or has had its time: which, and is it answered in
    /// time? Each one is told once.
    pub(super) fn settled(&mut self, now: Nanos) -> Option<(u64, bool)> {
        let write = self.writes.get(self.told)?;
        let answered = match write.outcome {
            Some(outcome) => matches!(outcome, Outcome::Answered { .. }),
            None if write.due.saturating_add(self.timeout) < now => false,
            None => return None,
        };
        self.told += 1;
        Some((self.told as u64 - 1, answered))
    }

    /// We look for acknowledgements at `now`. Returns when we did so last, 0 = never.
    pub(super) fn look(&mut self, now: Nanos) -> Nanos {
        std::mem::replace(&mut self.looked, now)
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting(&self) -> u64 {
        (self.writes.len() - self.cursor) as u64 * self.piece - self.partly
    }

    /// Are there bytes in flight?
    pub(super) fn is_outstanding(&self) -> bool {
        self.acked < self.written
    }

    /// For how long bytes have been in flight without any being acknowledged.
    pub(super) fn stalled_for(&self, now: Nanos) -> Nanos {
        self.stalled_since.map_or(0, |since| now.saturating_sub(since))
    }

    /// The kernel took `bytes` more, no more than [`waiting`](Self::waiting).
    pub(super) fn wrote(&mut self, bytes: u64, at: Nanos) {
        let mut left = bytes.min(self.waiting());
        self.record.bytes_sent += left;
        if left > 0 {
            self.stalled_since.get_or_insert(at);
        }
        while left > 0 {
            let write = &mut self.writes[self.cursor];
            if write.sent.is_none() {
                (write.sent, write.local_port) = (Some(at), self.local_port);
            }
            let now = left.min(self.piece - self.partly);
            self.written += now;
            self.partly += now;
            left -= now;
            if self.partly == self.piece {
                self.unacked.push_back((self.cursor, self.written));
                self.cursor += 1;
                self.partly = 0;
            }
        }
    }

    /// The other end has acknowledged `total` bytes of this connection. Returns how many writes that answered. Where the
    /// kernel's clock tells `at`, its tick may have begun before a write left.
    pub(super) fn acked(&mut self, total: u64, at: Nanos) -> u64 {
        let total = total.min(self.written);
        if total <= self.acked {
            return 0;
        }
        self.record.bytes_acked += total - self.acked;
        self.acked = total;
        self.stall_ends(at);
        if self.is_outstanding() {
            self.stalled_since = Some(at);
        }
        let mut answered = 0;
        while let Some((index, _)) = self.unacked.pop_front_if(|(_, end)| *end <= total) {
            let write = &mut self.writes[index];
            let at = write.sent.map_or(at, |sent| at.max(sent));
            let late = at.saturating_sub(write.due) > self.timeout;
            write.outcome = Some(if late { Outcome::Late { at } } else { Outcome::Answered { at } });
            answered += 1;
        }
        answered
    }

    /// The connection ended by RST or early: with it end the writes that are outstanding or wait.
    pub(super) fn reset(&mut self, at: Nanos) {
        self.record.resets += 1;
        self.stall_ends(at);
        for (index, _) in self.unacked.drain(..) {
            self.writes[index].outcome = Some(Outcome::Reset { at });
        }
        self.end_waiting(Outcome::Reset { at });
        (self.written, self.acked) = (0, 0);
    }

    /// There is no connection, because of `errno`: what waits is not sent.
    pub(super) fn no_connection(&mut self, errno: i32) {
        self.end_waiting(Outcome::SendFailed { errno });
    }

    fn end_waiting(&mut self, outcome: Outcome) {
        for write in &mut self.writes[self.cursor..] {
            write.outcome = Some(outcome);
        }
        self.cursor = self.writes.len();
        self.partly = 0;
    }

    fn stall_ends(&mut self, at: Nanos) {
        if let Some(since) = self.stalled_since.take() {
            self.record.longest_stall = self.record.longest_stall.max(at.saturating_sub(since));
        }
    }

    /// Until when an answer in time is still possible; `None` = all writes are settled or past their time-out.
    pub(super) fn awaited_until(&self, now: Nanos) -> Option<Nanos> {
        // Writes are settled in order, so the youngest is open if any is.
        let youngest = self.writes.last().filter(|write| write.outcome.is_none())?;
        Some(youngest.due.saturating_add(self.timeout)).filter(|deadline| *deadline > now)
    }

    /// The end of the run: what is open has timed out. A write that never began counts as sent when it was planned.
    pub(super) fn finish(mut self, now: Nanos) -> (Vec<Attempt>, StreamRecord) {
        self.stall_ends(now);
        let attempts = (0..).zip(self.writes).map(|(seq, write)| Attempt {
            seq,
            planned: write.planned,
            sent: write.sent.unwrap_or(write.planned),
            local_port: write.local_port,
            outcome: write.outcome.unwrap_or(Outcome::TimedOut),
        });
        (attempts.collect(), self.record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcomes(ledger: Ledger, now: Nanos) -> Vec<Outcome> {
        ledger.finish(now).0.iter().map(|attempt| attempt.outcome).collect()
    }

    fn planned(times: &[Nanos]) -> Ledger {
        let mut ledger = Ledger::new(10, 100);
        ledger.connected(7);
        times.iter().for_each(|at| ledger.plan(*at, *at));
        ledger
    }

    #[test]
    fn a_write_is_answered_by_the_acknowledgement_of_its_last_byte() {
        let mut ledger = planned(&[0, 1]);
        ledger.wrote(20, 2);
        assert_eq!(ledger.acked(19, 5), 1);
        assert_eq!(ledger.acked(20, 6), 1);
        assert!(!ledger.is_outstanding());
        assert_eq!(outcomes(ledger, 9), [Outcome::Answered { at: 5 }, Outcome::Answered { at: 6 }]);
    }

    #[test]
    fn what_waits_is_written_later_and_says_when() {
        let mut ledger = planned(&[0, 1, 2]);
        ledger.wrote(15, 3);
        assert_eq!(ledger.waiting(), 15);
        ledger.wrote(15, 90);
        ledger.acked(30, 101);
        let (attempts, record) = ledger.finish(200);
        assert_eq!(attempts.iter().map(|a| a.sent).collect::<Vec<_>>(), [3, 3, 90]);
        assert_eq!(
            attempts[0].outcome,
            Outcome::Late { at: 101 },
            "the time-out counts from when it was due"
        );
        assert_eq!(attempts[1].outcome, Outcome::Answered { at: 101 });
        assert_eq!((record.bytes_sent, record.bytes_acked, record.longest_stall), (30, 30, 98));
    }

    #[test]
    fn a_write_that_we_came_to_late_has_its_whole_time() {
        let mut ledger = planned(&[]);
        ledger.plan(10, 500);
        ledger.wrote(10, 501);
        assert_eq!((ledger.settled(502), ledger.awaited_until(502)), (None, Some(600)));
        ledger.acked(10, 503);
        assert_eq!(ledger.settled(503), Some((0, true)));
        let (attempts, _) = ledger.finish(504);
        assert_eq!((attempts[0].planned, attempts[0].sent), (10, 501));
        assert_eq!(attempts[0].outcome, Outcome::Answered { at: 503 });
    }

    #[test]
    fn no_write_is_answered_before_it_left() {
        let mut ledger = planned(&[0]);
        ledger.wrote(10, 3);
        ledger.acked(10, 1);
        assert_eq!(ledger.finish(9).0[0].outcome, Outcome::Answered { at: 3 });
    }

    #[test]
    fn a_reset_ends_what_is_outstanding_or_waits_and_nothing_else() {
        let mut ledger = planned(&[0, 1, 2]);
        ledger.wrote(25, 3);
        ledger.acked(10, 4);
        ledger.reset(5);
        ledger.plan(6, 6);
        ledger.no_connection(111);
        ledger.plan(7, 7);
        ledger.connected(8);
        ledger.wrote(10, 8);
        ledger.acked(10, 9);
        let (attempts, record) = ledger.finish(9);
        let expected = [
            Outcome::Answered { at: 4 },
            Outcome::Reset { at: 5 },
            Outcome::Reset { at: 5 },
            Outcome::SendFailed { errno: 111 },
            Outcome::Answered { at: 9 },
        ];
        assert_eq!(attempts.iter().map(|a| a.outcome).collect::<Vec<_>>(), expected);
        assert_eq!((attempts[2].local_port, attempts[4].local_port), (7, 8));
        assert_eq!(
            (record.connections, record.resets, record.bytes_sent, record.bytes_acked),
            (2, 1, 35, 20)
        );
    }

    #[test]
    fn silence_to_the_end_times_out_and_is_a_stall() {
        let mut ledger = planned(&[0]);
        ledger.wrote(10, 1);
        assert_eq!((ledger.stalled_for(0), ledger.stalled_for(51)), (0, 50));
        assert_eq!(ledger.awaited_until(50), Some(100));
        assert_eq!(ledger.awaited_until(100), None);
        let (attempts, record) = ledger.finish(100);
        assert_eq!((attempts[0].outcome, record.longest_stall), (Outcome::TimedOut, 99));
    }

    proptest! {
        /// Whatever happens, in whatever order, no byte is counted twice, and every write has one outcome.
        #[test]
        fn bytes_and_writes_add_up(events in prop::collection::vec((0u8..6, 0u64..40), 0..200)) {
            let mut ledger = Ledger::new(10, 100);
            let (mut now, mut planned, mut sent, mut up) = (0, 0u64, 0, false);
            for (what, n) in events {
                now += n;
                match what {
                    0 | 1 => { ledger.plan(now, now); planned += 1 }
                    2 if !up => { ledger.connected(1); up = true }
                    3 if up => { sent += n.min(ledger.waiting()); ledger.wrote(n, now) }
                    4 if up => { ledger.acked(n * 5, now); }
                    5 if up => { ledger.reset(now); up = false }
                    5 => ledger.no_connection(111),
                    _ => (),
                }
            }
            let (attempts, record) = ledger.finish(now);
            prop_assert_eq!(attempts.len() as u64, planned);
            prop_assert_eq!(record.bytes_sent, sent);
            prop_assert!(record.bytes_acked <= record.bytes_sent);
            let answered = attempts.iter().filter(|a| matches!(a.outcome, Outcome::Answered { .. } | Outcome::Late { .. }));
            prop_assert!(answered.count() as u64 * 10 <= record.bytes_acked);
        }
    }
}
