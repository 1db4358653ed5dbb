//! The thread that probes: in the namespace of the probes, with a runtime of its own, so that nothing delays an attempt.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Context, Result, anyhow};
use tokio::sync::{oneshot, watch};

use super::privileges;
use crate::{
    clock::Nanos,
    netns::Namespace,
    probe::{self, FlowRegistry, Progress, Record, Spec},
};

/// Probes with open sockets, waiting for the time to start.
pub(super) struct Waiting {
    start: oneshot::Sender<Nanos>,
    /// What the probes measured.
    pub(super) records: oneshot::Receiver<Result<Vec<Record>>>,
    /// `true` ends the probes early.
    pub(super) stop: watch::Sender<bool>,
    /// How far they are.
    pub(super) progress: Arc<Progress>,
}

impl Waiting {
    /// Starts the thread and returns when every socket is open.
    ///
    /// # Errors
    /// The namespace that cannot be entered, or the first probe that cannot be made.
    pub(super) fn new(
        specs: Vec<Spec>,
        netns: Arc<Namespace>,
        registry: Arc<dyn FlowRegistry>,
        give_up_privileges: bool,
    ) -> Result<Self> {
        let (start, when) = oneshot::channel();
        let (done, records) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = mpsc::sync_channel(1);
        let progress = Arc::new(Progress::default());
        let shown = Arc::clone(&progress);
        let work = move |ready: &mpsc::SyncSender<()>| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            netns.enter()?;
            let prepared = {
                let _within = runtime.enter();
                probe::prepare(specs, registry)?
            };
            if give_up_privileges {
                privileges::keep_only(privileges::PROBER);
            }
            // Whoever waits for this is gone only if the run was given up.
            let _ = ready.send(());
            runtime.block_on(async move {
                let Ok(start) = when.await else { return Ok(Vec::new()) };
                Ok(probe::run(prepared, start, stopped, shown).await?)
            })
        };
        thread::Builder::new()
            .name("probes".to_owned())
            // `ready` outlives the result: whoever finds it closed finds the result, too.
            .spawn(move || done.send(work(&ready)))
            .context("cannot start the thread of the probes")?;
        let mut waiting = Self { start, records, stop, progress };
        match is_ready.recv() {
            Ok(()) => Ok(waiting),
            // The thread is over: it says why.
            Err(_) => Err(match waiting.records.try_recv() {
                Ok(Err(error)) => error,
                _ => anyhow!("the thread of the probes ended unexpectedly"),
            }),
        }
    }

    /// Starts the probes at `start`.
    pub(super) fn begin(self, start: Nanos) -> Running {
        // If the thread is gone, its records say why.
        let _ = self.start.send(start);
        Running { records: self.records, stop: self.stop, progress: self.progress }
    }
}

/// Probes that run.
pub(super) struct Running {
    /// What the probes measured.
    pub(super) records: oneshot::Receiver<Result<Vec<Record>>>,
    /// `true` ends the probes early.
    pub(super) stop: watch::Sender<bool>,
    /// How far they are.
    pub(super) progress: Arc<Progress>,
}
