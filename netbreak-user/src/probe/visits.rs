//! The loop of the two probes that open a connection for each attempt: tcp and http.

use std::collections::VecDeque;
use std::io;
use std::panic;
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::clock::{self, Nanos};

use super::attempt::{Kind, Outcome, Record};
use super::connect::{self, Connecting, Started};
use super::plan::Plan;
use super::prepare::GRACE;
use super::run::Control;
use super::spec::Spec;
use super::ticker::Ticker;
use super::tracker::Tracker;
use super::{FlowRegistry, Owner, http};

/// How a visit ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) outcome: Outcome,
    /// http: an answer with a status of 500 or more, or one that is no HTTP.
    pub(super) http_error: bool,
}

/// After so many connects, those that have ended get their turn.
const BURST: usize = 16;

/// Runs the plan to its end. At most `limit` connections are open: a connect past its time-out makes room for a new one;
/// if all are younger (we caught up after a pause of our own) the new one waits, and its real send time says so.
pub(super) async fn run(
    spec: Arc<Spec>,
    index: u32,
    limit: usize,
    registry: Arc<dyn FlowRegistry>,
    mut plan: Plan,
    ticker: Ticker,
    mut control: Control,
) -> io::Result<Record> {
    let mut visits = Visits {
        tracker: Tracker::new(spec.kind, spec.timeout),
        tasks: JoinSet::new(),
        young: VecDeque::new(),
        http_errors: 0,
        control: control.clone(),
        registry,
        index,
        spec,
    };
    loop {
        visits.retire(clock::now());
        visits.tell_settled();
        let mut full = false;
        for seq in plan.due(visits.tracker.next_seq(), clock::now()).take(BURST) {
            full = visits.tasks.len() >= limit && !visits.make_room();
            if full {
                break;
            }
            visits.start(plan.planned(seq));
        }
        let now = clock::now();
        let wake = match plan.next_due(visits.tracker.next_seq()) {
            Some(_) if full => visits.oldest_timeout().unwrap_or(now),
            Some(at) => at,
            None => match visits.tracker.awaited_until(now) {
                Some(at) => at + 1,
                None => break,
            },
        };
        tokio::select! {
            expired = ticker.until(wake) => expired?,
            Some(done) = visits.tasks.join_next() => {
                visits.ended(done);
                while let Some(done) = visits.tasks.try_join_next() {
                    visits.ended(done);
                }
            }
            () = control.stopped() => plan.cut(visits.tracker.next_seq()),
        }
    }
    visits.finish().await
}

struct Visits {
    spec: Arc<Spec>,
    /// Of the probe within the run.
    index: u32,
    registry: Arc<dyn FlowRegistry>,
    tracker: Tracker,
    tasks: JoinSet<(u64, Visit)>,
    /// By age, the oldest first. Those that have ended leave when they are the oldest.
    young: VecDeque<(Nanos, AbortHandle)>,
    http_errors: u64,
    control: Control,
}

impl Visits {
    fn start(&mut self, planned: Nanos) {
        let owner = Owner { probe: self.index, attempt: self.tracker.next_seq(), piece: 0 };
        let Started { at, local_port, result } = connect::start(&self.spec, &self.registry, owner);
        let seq = self.tracker.sent(planned, at, local_port);
        self.control.count_sent();
        match result {
            Ok(connecting) => {
                let visit = visit(Arc::clone(&self.spec), seq, connecting);
                self.young.push_back((at, self.tasks.spawn(visit)));
            }
            Err(errno) => self.tracker.send_failed(seq, errno),
        }
    }

    fn ended(&mut self, done: Result<(u64, Visit), JoinError>) {
        match done {
            Ok((seq, Visit { outcome: Outcome::Answered { at }, http_error })) => {
                self.tracker.answered(seq, at);
                self.registry.settled(self.index, seq, true);
                self.http_errors += u64::from(http_error);
                self.control.count_answered();
            }
            Ok((seq, Visit { outcome, .. })) => {
                self.tracker.settle(seq, outcome);
                // A RST is an answer of the path.
                if matches!(outcome, Outcome::Refused { .. }) {
                    self.registry.settled(self.index, seq, true);
                }
            }
            // Aborted by us: its attempt stays open, and so times out.
            Err(error) if error.is_cancelled() => (),
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }

    /// Tells the kernel side which attempts have had their time, and whoever watches what became of them.
    fn tell_settled(&mut self) {
        while let Some(seq) = self.tracker.overdue(clock::now()) {
            self.registry.settled(self.index, seq, false);
        }
        while let Some((sent, answered)) = self.tracker.settled() {
            self.control.settled(sent, answered);
        }
    }

    /// Ends visits whose grace is over.
    fn retire(&mut self, now: Nanos) {
        while let Some((sent, task)) = self.young.front() {
            let over = sent.saturating_add(self.spec.timeout).saturating_add(GRACE) < now;
            if !over && !task.is_finished() {
                return;
            }
            task.abort();
            self.young.pop_front();
        }
    }

    /// Ends the oldest visit if it is past its time-out. Its socket closes when the runtime drops its task.
    fn make_room(&mut self) -> bool {
        let now = clock::now();
        while let Some((sent, task)) = self.young.front() {
            let is_finished = task.is_finished();
            if !is_finished && sent.saturating_add(self.spec.timeout) >= now {
                return false;
            }
            task.abort();
            self.young.pop_front();
            if !is_finished {
                return true;
            }
        }
        false
    }

    fn oldest_timeout(&self) -> Option<Nanos> {
        self.young.front().map(|(sent, _)| sent.saturating_add(self.spec.timeout) + 1)
    }

    async fn finish(mut self) -> io::Result<Record> {
        self.tasks.abort_all();
        while let Some(done) = self.tasks.join_next().await {
            self.ended(done);
        }
        self.tell_settled();
        let mut record = self.spec.record();
        (record.attempts, record.duplicates) = self.tracker.finish();
        record.http_errors = record.http_errors.map(|_| self.http_errors);
        Ok(record)
    }
}

async fn visit(spec: Arc<Spec>, seq: u64, connecting: Connecting) -> (u64, Visit) {
    let visit = match connect::finish(connecting, spec.address).await {
        Err(outcome) => Visit { outcome, http_error: false },
        Ok(connected) if spec.kind == Kind::Http => http::fetch(&spec, connected).await,
        Ok(_) => Visit { outcome: Outcome::Answered { at: clock::now() }, http_error: false },
    };
    (seq, visit)
}
