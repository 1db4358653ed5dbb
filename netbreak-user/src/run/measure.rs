//! Measuring: kernel side on, counters read, probes run, counters read again, kernel side off.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit};

use super::{
    assemble::{self, Gathered},
    books::Snapshot,
    changes::Changes,
    dead::Anchor,
    early::Early,
    ending::{End, Ending},
    kept::Kept,
    privileges,
    probing::{Running, Waiting},
    trigger::{Break, Trigger},
};
use crate::{
    clock::{self, MILLISECOND, Nanos},
    kernel::{self, Events, Symbols, Tracer},
    netns::{self, Namespace},
    pcapng::Packet,
    probe::{FlowRegistry, Owner, ProbeFlow, Record, Spec, outage},
    progress::{self, Progress},
    report::{Report, Row},
    signals::Ended,
};

/// From the last preparation to the first attempt: time for the threads to be scheduled, so that it leaves on time.
const LEAD_IN: Nanos = 5 * MILLISECOND;

/// What to measure.
pub struct Plan {
    /// Whom to visit: what [`Spec::target`] counts.
    pub targets: Vec<Visited>,
    /// Where probes leave from; at least one, each in a namespace of its own.
    pub sources: Vec<Source>,
    /// The kernel side; `None` = probes only.
    pub tracer: Option<kernel::Options>,
    /// Shall the report have the way of the packets?
    pub path: bool,
    /// What breaks the network meanwhile; it runs where the caller's thread is.
    pub trigger: Option<Break>,
    /// Who is told how far the run is.
    pub progress: Progress,
    /// Names for namespaces, before those that the machine has.
    pub netns_names: Vec<(u32, String)>,
    /// Drop capabilities that are not needed any more?
    pub give_up_privileges: bool,
    /// Told the time of the first attempt right before it.
    pub started: Box<dyn FnOnce(Nanos) + Send>,
    /// Who ends it before its time.
    pub end: End,
}

/// Whom to visit.
#[derive(Debug, Clone)]
pub struct Visited {
    /// As typed.
    pub typed: String,
    /// Its address.
    pub address: IpAddr,
    /// Of a matrix: which row this is.
    pub row: Option<Row>,
}

impl Visited {
    /// One that is no row of a matrix.
    pub fn new(typed: impl Into<String>, address: impl Into<IpAddr>) -> Visited {
        Visited { typed: typed.into(), address: address.into(), row: None }
    }
}

/// Where probes leave from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The namespace.
    pub netns: Arc<Namespace>,
    /// The probes, by target.
    pub specs: Vec<Spec>,
}

/// What came of it.
pub struct Measurement {
    /// The report.
    pub report: Report,
    /// What every probe measured.
    pub records: Vec<Record>,
    /// What the kernel side saw of their packets, ascending by time: with the records, all that the verdict is made of.
    pub events: Vec<netbreak_common::Event>,
    /// The packets whose drop ended an attempt, ascending by time; none unless [`kernel::Options::headers`].
    pub packets: Vec<Packet>,
    /// Why the trigger did not do its work, if it did not.
    pub trigger_failed: Option<String>,
}

/// A run without a kernel side.
struct NoKernel;

impl FlowRegistry for NoKernel {
    fn register(&self, _: ProbeFlow, _: Owner) -> bool {
        true
    }

    fn forget(&self, _: ProbeFlow) {}
    fn settled(&self, _: u32, _: u64, _: bool) {}
}

/// Measures.
///
/// # Errors
/// Whatever keeps it from starting. An interruption is no error: it shortens the run.
pub fn measure(plan: Plan) -> Result<Measurement> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_within(plan))
}

async fn measure_within(plan: Plan) -> Result<Measurement> {
    // From here on a signal ends the run and not the process.
    let mut ending = Ending::new(plan.end)?;
    let specs = || plan.sources.iter().flat_map(|source| &source.specs);
    let run_id = specs().next().map(|spec| spec.run_id);
    let homes: BTreeSet<u32> = plan.sources.iter().map(|source| source.netns.inode()).collect();
    let mut tracer = match plan.tracer {
        Some(options) => Some(Tracer::start(kernel::Options { run_id, ..options }).map_err(explain)?),
        None => None,
    };
    let registry = |source: &Source| -> Arc<dyn FlowRegistry> {
        match &tracer {
            Some(tracer) => Arc::new(tracer.registry().of(source.netns.inode())),
            None => Arc::new(NoKernel),
        }
    };
    let waiting = Waiting::new(&plan.sources, registry, plan.give_up_privileges)?;
    let mut kept = Kept::new(tracer.as_ref(), homes.clone());
    let mut events = tracer.as_mut().map(Tracer::events).transpose()?;
    // Without privileges the namespaces of other processes cannot be seen any more.
    let found = netns::list();
    let (namespaces, left_out) = namespaces(&plan.sources, &homes, &found)?;
    let netns_names =
        found.into_iter().map(|found| (found.inode, found.name)).chain(plan.netns_names).collect();
    let mut changes = Changes::watch(&namespaces);
    if plan.give_up_privileges {
        privileges::keep_only(privileges::READER);
    }
    let before = Snapshot::take(tracer.as_ref(), &namespaces)?;

    // Signals of the time so far are seen once the runtime has looked for them: then there is no first attempt.
    tokio::task::yield_now().await;
    let mut early = Early::default();
    tokio::select! {
        biased;
        ended = ending.come() => early.interrupt(clock::now(), ended, &waiting.stop)?,
        () = std::future::ready(()) => {}
    }
    let anchor = Anchor { monotonic: clock::now(), wall: clock::anchor() };
    let start = anchor.monotonic + LEAD_IN;
    // Of the first attempt, as all times of a report.
    let started = anchor.wall + std::time::Duration::from_nanos(LEAD_IN);
    (plan.started)(start);
    let mut running = waiting.begin(start);
    let mut trigger = plan.trigger.map(|trigger| Trigger::new(trigger, start));
    let duration = specs().map(|spec| spec.duration).max().unwrap_or(0);
    let mut redraw = tokio::time::interval(std::time::Duration::from_millis(100));
    // Nothing tells when a daemon ends or stops: a look reads a few small files.
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let records = loop {
        tokio::select! {
            records = running.records() => break records?,
            drained = drain(&mut events, &mut kept) => drained.context("cannot read events from the kernel")?,
            () = changes.come() => changes.poll(clock::now()),
            _ = look.tick() => {
                let now = clock::now();
                changes.look(now);
                if let Some(trigger) = trigger.as_mut().filter(|_| early.at().is_none())
                    && trigger.look(now, &running.progress.pulses())
                {
                    early.end(now, &running.stop);
                }
            }
            _ = redraw.tick() => {
                changes.poll(clock::now());
                #[cfg(feature = "log")]
                tracer.iter_mut().for_each(Tracer::print_log);
                plan.progress.tick(progress_of(&running, start, duration));
            }
            ended = ending.come() => interrupted(&mut early, ended, &running, trigger.as_ref())?,
        }
    };
    if let Some(events) = &mut events {
        events.drain_rest(|event, headers| kept.take(event, headers));
    }
    changes.poll(clock::now());
    changes.end(clock::now());
    changes.look(clock::now());
    let after = Snapshot::take(tracer.as_ref(), &namespaces)?;
    // A signal may come before the first attempt.
    let planned_end = early.at().map_or(start + duration, |at| at.max(start));
    let end = outage::end_of_run(&records, planned_end);
    let misses = tracer.as_ref().map_or(0, Tracer::misses);
    tracer.iter_mut().for_each(Tracer::stop);
    let tables = tracer.as_ref().map(Tracer::tables).transpose().context("cannot read the flow map")?;
    drop(plan.progress);
    let trigger = trigger.map(|trigger| trigger.finish(end)).unwrap_or_default();
    changes.mark(trigger.marks);
    let symbols = if tracer.is_some() { Symbols::read().unwrap_or_default() } else { Symbols::default() };
    let trails = tracer.as_ref().map(|tracer| tracer.registry().take_trails()).unwrap_or_default();
    let mut packets = Vec::new();
    let gathered = Gathered {
        targets: &plan.targets,
        sources: &plan.sources,
        netns_names,
        netns_left_out: left_out,
        records: &records,
        events: &kept.events,
        events_lost: kept.lost,
        headers: &kept.headers,
        anchor,
        trails: &trails,
        path: plan.path,
        changes,
        tracer: tracer.as_ref(),
        tables,
        misses,
        before,
        after,
        symbols,
        started,
        start,
        end,
        interrupted: early.interrupted(),
        trigger_failed: trigger.failed.is_some(),
    };
    let report = assemble::report(gathered, &mut packets);
    packets.sort_by_key(|packet| packet.wall);
    Ok(Measurement { report, records, events: kept.events, packets, trigger_failed: trigger.failed })
}

/// The probes' own namespaces first, then all others of the machine: a packet may die in any of them. Each takes two
/// open files, itself and its watcher, and all take a quarter of those that this process may have; how many had to be
/// left out is told, too.
pub(super) fn namespaces(
    sources: &[Source],
    homes: &BTreeSet<u32>,
    found: &[netns::Found],
) -> Result<(Vec<Namespace>, usize)> {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = usize::try_from(files / 8).unwrap_or(usize::MAX);
    let others: Vec<_> = found.iter().filter(|found| !homes.contains(&found.inode)).collect();
    let left_out = others.len().saturating_sub(most);
    // One that is gone meanwhile, or that may not be opened, has no counters.
    let others = others.into_iter().take(most).filter_map(|found| Namespace::open(&found.path).ok());
    let own = sources.iter().map(|source| source.netns.try_clone());
    let mut namespaces = own.collect::<Result<Vec<_>, _>>()?;
    namespaces.extend(others);
    Ok((namespaces, left_out))
}

/// The kernel side could not be started: what is missing, and what would turn it on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoTracer(String);

pub(super) fn explain(error: kernel::StartError) -> NoTracer {
    NoTracer(kernel::prerequisites::explain_start_error(&error, &kernel::prerequisites::Facts::read()))
}

/// A signal ends the run, and the trigger with it.
fn interrupted(early: &mut Early, ended: Ended, running: &Running, trigger: Option<&Trigger>) -> Result<()> {
    early.interrupt(clock::now(), ended, &running.stop)?;
    if let Some(trigger) = trigger {
        trigger.interrupt();
    }
    Ok(())
}

fn progress_of(running: &Running, start: Nanos, duration: Nanos) -> progress::Snapshot {
    let (sent, answered) = (running.progress.sent(), running.progress.answered());
    let elapsed = clock::now().saturating_sub(start);
    progress::Snapshot { sent, answered, unanswered: sent.saturating_sub(answered), elapsed, duration }
}

/// Never returns without a kernel side.
async fn drain(events: &mut Option<Events>, kept: &mut Kept) -> std::io::Result<()> {
    match events {
        Some(events) => events.drain(|event, headers| kept.take(event, headers)).await,
        None => std::future::pending().await,
    }
}
