//! The threads that probe: one in each namespace of probes, with a runtime of its own, so that nothing delays an attempt.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Context, Result, anyhow};
use tokio::sync::{oneshot, watch};

use super::{Source, privileges, urgency::take_short_turns};
use crate::{
    clock::Nanos,
    probe::{self, FlowRegistry, Patience, Progress, Record, Spec},
};

/// The probes of every source, with open sockets, waiting for the time to start.
pub(super) struct Waiting {
    threads: Vec<Thread>,
    /// `true` ends the probes early.
    pub(super) stop: watch::Sender<bool>,
    progress: Arc<Progress>,
}

/// One thread.
struct Thread {
    start: oneshot::Sender<Nanos>,
    records: Measured,
}

/// What the probes of one thread measured.
type Measured = oneshot::Receiver<Result<Vec<Record>>>;

impl Waiting {
    /// Starts the threads and returns when every socket is open. `registry` gives what a source's probes make their
    /// flows known to.
    ///
    /// # Errors
    /// The namespace that cannot be entered, or the first probe that cannot be made.
    pub(super) fn new(
        sources: &[Source],
        registry: impl Fn(&Source) -> Arc<dyn FlowRegistry>,
        give_up_privileges: bool,
    ) -> Result<Self> {
        let specs: Vec<&Spec> = sources.iter().flat_map(|source| &source.specs).collect();
        let patience = probe::patience(&specs)?;
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let mut first = 0;
        let thread = |source: &Source| {
            let shared = (stopped.clone(), Arc::clone(&progress));
            let plan = (first, patience, give_up_privileges);
            first += source.specs.len() as u32;
            Thread::new(source.clone(), plan, registry(source), shared)
        };
        let threads = sources.iter().map(thread).collect::<Result<_>>()?;
        Ok(Waiting { threads, stop, progress })
    }

    /// Starts the probes at `start`.
    pub(super) fn begin(self, start: Nanos) -> Running {
        let begin = |thread: Thread| {
            // If the thread is gone, its records say why.
            let _ = thread.start.send(start);
            thread.records
        };
        let waiting = self.threads.into_iter().map(begin).collect();
        Running { waiting, done: Vec::new(), stop: self.stop, progress: self.progress }
    }
}

impl Thread {
    fn new(
        source: Source,
        (first, patience, give_up_privileges): (u32, Patience, bool),
        registry: Arc<dyn FlowRegistry>,
        (stopped, progress): (watch::Receiver<bool>, Arc<Progress>),
    ) -> Result<Self> {
        let (start, when) = oneshot::channel();
        let (done, records) = oneshot::channel();
        let (ready, is_ready) = mpsc::sync_channel(1);
        let work = move |ready: &mpsc::SyncSender<()>| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            source.netns.enter()?;
            take_short_turns();
            let prepared = {
                let _within = runtime.enter();
                probe::prepare(source.specs, first, patience, registry)?
            };
            if give_up_privileges {
                privileges::keep_only(privileges::PROBER);
            }
            // Whoever waits for this is gone only if the run was given up.
            let _ = ready.send(());
            runtime.block_on(async move {
                let Ok(start) = when.await else { return Ok(Vec::new()) };
                Ok(probe::run(prepared, start, stopped, progress).await?)
            })
        };
        thread::Builder::new()
            .name("probes".to_owned())
            // `ready` outlives the result: whoever finds it closed finds the result, too.
            .spawn(move || done.send(work(&ready)))
            .context("cannot start the thread of the probes")?;
        let mut thread = Self { start, records };
        match is_ready.recv() {
            Ok(()) => Ok(thread),
            // The thread is over: it says why.
            Err(_) => Err(match thread.records.try_recv() {
                Ok(Err(error)) => error,
                _ => anyhow!("the thread of the probes ended unexpectedly"),
            }),
        }
    }
}

/// Probes that run.
pub(super) struct Running {
    waiting: VecDeque<Measured>,
    done: Vec<Record>,
    /// `true` ends the probes early.
    pub(super) stop: watch::Sender<bool>,
    /// How far they are.
    pub(super) progress: Arc<Progress>,
}

impl Drop for Running {
    /// Whoever gave up a run, by a panic even, has no use for its probes.
    fn drop(&mut self) {
        // Nobody listens when they are over.
        let _ = self.stop.send(true);
    }
}

impl Running {
    /// What the probes measured, in the order of the sources, once all of them are over. It may be dropped and asked for
    /// again before.
    ///
    /// # Errors
    /// Whatever ended a thread before its time.
    pub(super) async fn records(&mut self) -> Result<Vec<Record>> {
        while let Some(next) = self.waiting.front_mut() {
            let records = next.await.context("the thread of the probes panicked")??;
            self.done.extend(records);
            self.waiting.pop_front();
        }
        Ok(std::mem::take(&mut self.done))
    }
}
