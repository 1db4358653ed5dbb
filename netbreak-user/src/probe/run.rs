//! All probes of a run side by side on one thread.

use std::future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Nanos;

use super::attempt::Record;
use super::pace::Pace;
use super::plan::Plan;
use super::prepare::{Prepared, Probe, Ready};
use super::pulse::{Gauge, Pulse};
use super::ticker::Ticker;
use super::{datagram, stream, visits};

/// How far the run is, for somebody who watches. Not exact before the run is over.
#[derive(Debug, Default)]
pub struct Progress {
    planned: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    gauges: Mutex<Vec<Arc<Gauge>>>,
}

impl Progress {
    /// Attempts of all open loops: of a closed one nobody knows how many there will be.
    pub fn planned(&self) -> u64 {
        self.planned.load(Ordering::Relaxed)
    }

    /// Attempts that left.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Attempts that were answered, in time or late.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How each probe fares, in no order; none before they have started.
    pub fn pulses(&self) -> Vec<Pulse> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|gauge| gauge.read()).collect()
    }

    fn add_gauge(&self) -> Arc<Gauge> {
        let gauge = Arc::new(Gauge::default());
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&gauge));
        gauge
    }
}

/// What connects a probe with whoever started the run.
#[derive(Clone)]
pub(super) struct Control {
    stop: watch::Receiver<bool>,
    progress: Arc<Progress>,
    gauge: Arc<Gauge>,
    heard: bool,
}

impl Control {
    /// Returns once, when the run is to end early. A sender that is gone never says so.
    pub(super) async fn stopped(&mut self) {
        if self.heard || self.stop.wait_for(|stop| *stop).await.is_err() {
            future::pending::<()>().await;
        }
        self.heard = true;
    }

    pub(super) fn count_sent(&self) {
        self.progress.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_answered(&self) {
        self.progress.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// What became of the next attempt, in order, is known: it left at `at`.
    pub(super) fn settled(&self, at: Nanos, answered: bool) {
        self.gauge.settled(at, answered);
    }
}

/// Runs all probes from `start` (CLOCK_MONOTONIC) on, each to the end of its duration or until `stop` says `true`; then
/// waits until every attempt has its answer or its time-out. Returns one record a probe, in the order of the specs.
///
/// Must run in a `current_thread` runtime with IO and time, on the thread that called
/// [`prepare`](super::prepare::prepare): connections are opened in that thread's network namespace.
///
/// # Errors
/// Only when the kernel cannot wait for a socket or a timer. What befalls an attempt is its outcome, not an error.
pub async fn run(
    prepared: Prepared,
    start: Nanos,
    stop: watch::Receiver<bool>,
    progress: Arc<Progress>,
) -> io::Result<Vec<Record>> {
    let mut tasks = JoinSet::new();
    for (index, Ready { probe, timer, spec }) in (prepared.first..).zip(prepared.probes) {
        let plan = Plan::new(
            start.saturating_add(spec.delay),
            spec.pace(),
            spec.duration.saturating_sub(spec.delay),
        );
        if spec.connections.is_none() {
            progress.planned.fetch_add(plan.count(), Ordering::Relaxed);
        }
        let gauge = progress.add_gauge();
        let control = Control { stop: stop.clone(), progress: Arc::clone(&progress), gauge, heard: false };
        let ticker = Ticker::new(timer)?;
        let registry = Arc::clone(&prepared.registry);
        tasks.spawn(async move {
            let record = match probe {
                Probe::Icmp(opened) => datagram::run(opened, plan, ticker, control).await,
                Probe::Udp(opened) => datagram::run(opened, plan, ticker, control).await,
                Probe::Visits { visiting, poller } => {
                    let pace = match spec.connections {
                        Some(width) => Pace::closed(plan, width, start, spec.duration),
                        None => Pace::Open(plan),
                    };
                    visits::run(*visiting, pace, ticker, poller, control).await
                }
                Probe::Stream => stream::run(spec, index, registry, plan, ticker, control).await,
            };
            (index, record)
        });
    }
    let mut records = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        let (index, record) = done.map_err(io::Error::other)?;
        records.push((index, record?));
    }
    records.sort_by_key(|(index, _)| *index);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}
