//! The loop of the probes that open a connection for each attempt: tcp, http and https.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::clock::{self, MICROSECOND, MILLISECOND, Nanos};

use super::attempt::{Outcome, Record};
use super::closer::Closer;
use super::connect::{self, Started};
use super::pace::{Next, Pace};
use super::parted::Parted;
use super::phases::Stopwatch;
use super::poller::{self, Poller};
use super::prepare::GRACE;
use super::run::Control;
use super::slots::Slots;
use super::ticker::Ticker;
use super::tracker::Tracker;
use super::visit::{End, Life, Shared, Visit};
use super::{FlowRegistry, Owner};

/// After so many connects, those that have ended get their turn, and the other way round: connects in a row wake a server
/// that waits for them once.
const BURST: usize = 16;

/// How long the other end may take to close after its response.
const DRAIN: Nanos = 200 * MILLISECOND;

/// A closed loop looks for so long whether a place gets free before it sleeps. To be woken takes as long on a virtual
/// machine as a connection next door does, and who wakes it, often its server, has to interrupt another CPU for it.
const SPIN: Nanos = 50 * MICROSECOND;

/// What a probe of visits was prepared with.
pub(super) struct Visiting {
    /// What its visits share.
    pub(super) shared: Shared,
    /// Index of the probe within the run.
    pub(super) index: u32,
    /// Connections that are open at the same time, at most.
    pub(super) limit: usize,
    /// Is it worth a thread to close them, and are there ports for those that are still being closed?
    pub(super) closes_beside: bool,
    pub(super) registry: Arc<dyn FlowRegistry>,
}

/// Runs to the end of `pace`. At most `limit` connections are open: one past its time-out makes room for a new one; if
/// all are younger (we caught up after a pause of our own) the new one waits, and its real send time says so.
pub(super) async fn run(
    visiting: Visiting,
    pace: Pace,
    ticker: Ticker,
    poller: OwnedFd,
    mut control: Control,
) -> io::Result<Record> {
    let mut poller = Poller::new(poller)?;
    let Visiting { shared, index, limit, closes_beside, registry } = visiting;
    // With one CPU whoever is waited for would have to wait for us.
    let spins =
        matches!(pace, Pace::Closed { .. }) && available_parallelism().is_ok_and(|count| count.get() > 1);
    let mut visits = Visits {
        tracker: Tracker::new(shared.spec.kind, shared.spec.timeout),
        slots: Slots::default(),
        young: VecDeque::new(),
        old: VecDeque::new(),
        draining: VecDeque::new(),
        parted: Parted::default(),
        stopwatch: Stopwatch::default(),
        http_errors: 0,
        tls_errors: (0, None),
        control: control.clone(),
        // Without a thread for it the loop closes them itself.
        closer: (spins && closes_beside).then(Closer::start).and_then(Result::ok),
        spins,
        shared,
        index,
        limit,
        registry,
        pace,
    };
    loop {
        visits.expire(clock::now());
        visits.tell_settled();
        let full = visits.begin(&poller)?;
        let now = clock::now();
        let wake = match visits.pace.next(visits.tracker.next_seq(), now) {
            Next::At(_) if full => visits.oldest_timeout().unwrap_or(now),
            Next::At(at) => at,
            Next::Place(end) => visits.oldest_timeout().map_or(end, |at| at.min(end)),
            Next::Over => match visits.tracker.awaited_until(now).max(visits.parted.until()) {
                Some(at) => at + 1,
                None => {
                    visits.catch_up(&mut poller)?;
                    break;
                }
            },
        };
        // On time: after its time-out TCP sends again, and what is seen then is not why it was not answered.
        let wake = visits.tracker.next_overdue().map_or(wake, |at| at.min(wake));
        // Even then the others get their turn.
        let wake = if visits.spins && poller.spin(now + SPIN)? {
            now
        } else {
            visits.closer.iter_mut().for_each(Closer::flush);
            wake
        };
        tokio::select! {
            expired = ticker.until(wake) => expired?,
            ready = poller.ready() => ready?,
            () = control.stopped() => visits.pace.cut(visits.tracker.next_seq()),
        }
        if visits.gives_up(clock::now()) {
            visits.catch_up(&mut poller)?;
        }
        visits.take_news(&mut poller)?;
    }
    Ok(visits.finish())
}

struct Visits {
    shared: Shared,
    index: u32,
    limit: usize,
    registry: Arc<dyn FlowRegistry>,
    pace: Pace,
    tracker: Tracker,
    slots: Slots<Visit>,
    /// By age, the oldest first: younger than the time-out. Those that have ended leave when they are the oldest.
    young: VecDeque<(Nanos, u64)>,
    /// The same, past the time-out.
    old: VecDeque<(Nanos, u64)>,
    /// Answered, and kept until then for the other end to close.
    draining: VecDeque<(Nanos, u64)>,
    parted: Parted,
    stopwatch: Stopwatch,
    http_errors: u64,
    /// How many, and what the first was.
    tls_errors: (u64, Option<String>),
    control: Control,
    /// Does it look for news for a while before it sleeps?
    spins: bool,
    /// Closes connections of a closed loop where there is another CPU for it.
    closer: Option<Closer>,
}

impl Visits {
    /// Begins what is due. Returns whether more is due and all connections are in use.
    fn begin(&mut self, poller: &Poller) -> io::Result<bool> {
        for _ in 0..BURST {
            let (seq, now) = (self.tracker.next_seq(), clock::now());
            if !matches!(self.pace.next(seq, now), Next::At(at) if at <= now) {
                return Ok(false);
            }
            if self.slots.len() >= self.limit && !self.make_room() {
                return Ok(true);
            }
            if let Some(planned) = self.pace.take_due(seq, now) {
                self.start(planned, poller)?;
            }
        }
        Ok(false)
    }

    fn start(&mut self, planned: Nanos, poller: &Poller) -> io::Result<()> {
        let owner = Owner { probe: self.index, attempt: self.tracker.next_seq(), piece: 0 };
        let Started { at, local_port, result } =
            connect::start(&self.shared.spec, &self.registry, owner, owner.attempt);
        let seq = self.tracker.sent(planned, at, local_port);
        self.control.count_sent();
        match result {
            Ok(connecting) => {
                let mut visit = Visit::new(connecting, seq, at);
                match visit.advance(&mut self.shared) {
                    Some(end) => {
                        let was_reset = matches!(end.outcome, Outcome::Reset { .. });
                        self.ended(visit.life, end);
                        if was_reset { self.parted.add(visit.into_flow()) } else { self.close(visit) }
                    }
                    None => {
                        let (news, token) = (visit.awaits(), self.slots.insert(visit));
                        self.young.push_back((at, token));
                        if let Some(visit) = self.slots.get(token) {
                            poller.add(&visit.socket, token, news)?;
                        }
                    }
                }
            }
            Err(errno) => {
                self.tracker.send_failed(seq, errno);
                self.pace.freed(at, false);
            }
        }
        Ok(())
    }

    /// Goes on with all connections that news were found for.
    fn take_news(&mut self, poller: &mut Poller) -> io::Result<()> {
        let mut looked_at = 0;
        while let Some(token) = poller.next() {
            self.advance(token);
            looked_at += 1;
            if looked_at % BURST == 0 {
                self.begin(poller)?;
            }
        }
        Ok(())
    }

    /// Takes what came while we slept past time-outs, before anything else is begun or given up: it is late, not lost.
    fn catch_up(&mut self, poller: &mut Poller) -> io::Result<()> {
        loop {
            let found = poller.look()?;
            while let Some(token) = poller.next() {
                self.advance(token);
            }
            if found < poller::BATCH {
                return Ok(());
            }
        }
    }

    /// There is news for a connection.
    fn advance(&mut self, token: u64) {
        let Some(visit) = self.slots.get(token) else { return };
        if !visit.is_draining() {
            let Some(end) = visit.advance(&mut self.shared) else { return };
            let (life, is_draining) = (visit.life, visit.is_draining());
            if matches!(end.outcome, Outcome::Reset { .. })
                && let Some(visit) = self.slots.remove(token)
            {
                self.parted.add(visit.into_flow());
            }
            self.ended(life, end);
            if is_draining {
                self.draining.push_back((clock::now() + DRAIN, token));
            }
        }
        if let Some(visit) = self.slots.get(token)
            && (!visit.is_draining() || visit.drained())
            && let Some(visit) = self.slots.remove(token)
        {
            self.close(visit);
        }
    }

    fn close(&mut self, visit: Visit) {
        match &mut self.closer {
            Some(closer) => closer.close(visit),
            None => drop(visit),
        }
    }

    fn ended(&mut self, life: Life, end: End) {
        let Life { seq, sent, in_time, marks } = life;
        let was_sent = !matches!(end.outcome, Outcome::SendFailed { .. });
        match end.outcome {
            Outcome::Answered { at } => {
                self.tracker.answered(seq, at);
                self.registry.settled(self.index, seq, true);
                self.http_errors += u64::from(end.http_error);
                if let Some(why) = end.tls_error {
                    self.tls_errors.0 += 1;
                    self.tls_errors.1.get_or_insert(why);
                }
                self.control.count_answered();
                if at.saturating_sub(sent) <= self.shared.spec.timeout {
                    self.stopwatch.take(sent, marks);
                }
            }
            outcome => {
                self.tracker.settle(seq, outcome);
                // A RST is an answer of the path.
                if matches!(outcome, Outcome::Refused { .. }) {
                    self.registry.settled(self.index, seq, true);
                }
            }
        }
        if in_time {
            self.pace.freed(clock::now(), was_sent);
        }
    }

    /// Tells the kernel side which attempts have had their time, and whoever watches what became of them.
    fn tell_settled(&mut self) {
        let now = clock::now();
        while let Some(seq) = self.tracker.overdue(now) {
            self.registry.settled(self.index, seq, false);
        }
        while let Some((sent, answered)) = self.tracker.settled() {
            self.control.settled(sent, answered);
        }
    }

    /// Takes the places of visits past their time-out, and ends those whose grace is over.
    fn expire(&mut self, now: Nanos) {
        let timeout = self.shared.spec.timeout;
        while let Some((sent, token)) = self.young.front().copied() {
            let waits = self.slots.get(token).filter(|visit| !visit.is_draining());
            let is_young = sent.saturating_add(timeout) >= now;
            match waits {
                Some(_) if is_young => break,
                Some(visit) => {
                    visit.life.in_time = false;
                    self.pace.freed(now, true);
                    self.old.push_back((sent, token));
                }
                None => (),
            }
            self.young.pop_front();
        }
        while let Some((_, token)) = self.old.pop_front_if(|(sent, _)| is_over(*sent, timeout, now)) {
            self.slots.remove(token);
        }
        while let Some((_, token)) = self.draining.pop_front_if(|(until, _)| *until < now) {
            self.slots.remove(token);
        }
        self.parted.forget(now);
    }

    /// Is the grace of the oldest visit over, so that it is given up if it has no answer?
    fn gives_up(&self, now: Nanos) -> bool {
        let oldest = self.old.front().or_else(|| self.young.front());
        oldest.is_some_and(|(sent, _)| is_over(*sent, self.shared.spec.timeout, now))
    }

    /// Ends the oldest visit that is over or past its time-out.
    fn make_room(&mut self) -> bool {
        self.expire(clock::now());
        while let Some((_, token)) = self.draining.pop_front().or_else(|| self.old.pop_front()) {
            if self.slots.remove(token).is_some() {
                return true;
            }
        }
        self.slots.len() < self.limit
    }

    fn oldest_timeout(&self) -> Option<Nanos> {
        self.young.front().map(|(sent, _)| sent.saturating_add(self.shared.spec.timeout) + 1)
    }

    fn finish(mut self) -> Record {
        self.tell_settled();
        let mut record = self.shared.spec.record();
        (record.attempts, record.duplicates) = self.tracker.finish();
        record.http_errors = record.http_errors.map(|_| self.http_errors);
        (record.tls_errors, record.tls_error) =
            (record.tls_errors.map(|_| self.tls_errors.0), self.tls_errors.1);
        record.phases = record.phases.map(|_| self.stopwatch.read());
        record
    }
}

/// Has what left at `sent` had its time-out and its grace?
fn is_over(sent: Nanos, timeout: Nanos, now: Nanos) -> bool {
    sent.saturating_add(timeout).saturating_add(GRACE) < now
}
