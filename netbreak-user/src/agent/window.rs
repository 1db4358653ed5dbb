//! One window: names are resolved, then probes measure, in a thread of its own.

use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::{Context, Result, anyhow};
use tokio::sync::watch;

use super::{
    Message, Shared,
    mesh::{Mesh, Round},
};
use crate::{
    netns::{self, Namespace},
    options::{AgentOptions, Files, resolve_all},
    report::Report,
    run::{self, End, Source, Visited},
};

/// What all windows have in common.
#[derive(Clone)]
pub(super) struct Windows {
    pub(super) options: Arc<AgentOptions>,
    /// Where probes leave from.
    pub(super) netns: Arc<Namespace>,
    /// Only the thread of the window in progress looks at it.
    pub(super) mesh: Arc<Mutex<Mesh>>,
    /// Told what a window is to visit, before it does.
    pub(super) shared: Arc<Shared>,
    /// Ends the window when it is told `true`.
    pub(super) end: watch::Receiver<bool>,
}

/// What came of one.
pub(super) struct Ended {
    /// Whom it visited; `None` where that was not found out.
    pub(super) round: Option<Round>,
    /// What it found; `None` where there was nobody to visit.
    pub(super) report: Result<Option<Report>>,
}

impl Windows {
    /// Asks for the addresses of all targets.
    ///
    /// # Errors
    /// This host's own addresses cannot be had.
    pub(super) fn look(&self) -> Result<Round> {
        let own = netns::addresses_here().context("cannot list the addresses of this host")?;
        let mut mesh = self.mesh.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mesh.look(|host| resolve_all(host, self.options.family), &own))
    }

    /// Begins one in a thread of its own, which gives up its privileges once it has its sockets and programs. Its end is a
    /// message.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn begin(&self, tell: mpsc::Sender<Message>) -> Result<()> {
        let windows = self.clone();
        let work = move || {
            let measured = catch_unwind(AssertUnwindSafe(|| windows.measure()));
            let ended = measured.unwrap_or_else(|_| Ended {
                round: None,
                report: Err(anyhow!("the thread that measured it panicked")),
            });
            // Whoever does not listen any more has given up waiting.
            let _ = tell.send(Message::Window(Box::new(ended)));
        };
        thread::Builder::new()
            .name("window".to_owned())
            .spawn(work)
            .context("cannot start the thread of the window")?;
        Ok(())
    }

    fn measure(&self) -> Ended {
        match self.look() {
            Ok(round) if round.visits.is_empty() => Ended { round: Some(round), report: Ok(None) },
            Ok(round) => Ended { report: self.visit(&round.visits).map(Some), round: Some(round) },
            Err(error) => Ended { round: None, report: Err(error) },
        }
    }

    fn visit(&self, visits: &[(String, IpAddr)]) -> Result<Report> {
        let options = &self.options;
        let run_id = run::random_run_id()?;
        let mut specs = Vec::new();
        let mut results = self.shared.lock();
        for (index, (typed, address)) in visits.iter().enumerate() {
            for probe in &options.probes {
                let mut spec = run::spec_of(probe, (index, typed, *address), run_id);
                (spec.interval, spec.timeout, spec.duration) =
                    (options.interval, options.timeout, options.window);
                (spec.insecure, spec.sources) = (options.insecure, options.source.into_iter().collect());
                results.metrics.expect(typed, &address.to_string(), spec.kind.name(), probe.port());
                specs.push(spec);
            }
        }
        drop(results);
        let targets = visits.iter().map(|(typed, address)| Visited::new(typed, *address)).collect();
        let sources = vec![Source { netns: Arc::clone(&self.netns), specs }];
        let mut plan = run::plan(&options.measure, targets, sources, &Files::default());
        plan.end = End::Told(self.end.clone());
        Ok(run::measure(plan)?.report)
    }
}
