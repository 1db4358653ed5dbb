//! The cluster of two nodes: the eleven rows of kube-ovn's tables while something happens to its switches.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};

use super::{follow_all, list, served::Server};
use crate::{
    clock::{MILLISECOND, Nanos, SECOND},
    lab::ovs::{
        Datapath,
        cluster::{
            Cluster, EVENTS, Event, Place, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Setup, Visit,
            event,
        },
    },
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::{Kind, Spec},
    progress::Progress,
    report::{self, Report, VerdictWord},
    run::{Break, Plan, Source, Visited, Work, measure, publish},
    serve,
    stdout::write_stdout,
};

/// How often and how long everything is visited.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two attempts of a probe.
    pub interval: Nanos,
    /// Of each stream, in bits per second.
    pub stream_rate: u64,
    /// Before the event, and how long all must have been answered after it for the run to end.
    pub quiet: Nanos,
    /// The most that it may take.
    pub duration: Nanos,
    /// Are the packets followed in the kernel?
    pub traced: bool,
}

impl Pace {
    /// What a switch in userspace carries, on one CPU perhaps.
    pub fn new(duration: Nanos) -> Pace {
        Pace { interval: 20 * MILLISECOND, stream_rate: 1_000_000, quiet: 2 * SECOND, duration, traced: true }
    }
}

/// A cluster, and who answers in it.
pub struct Stage {
    cluster: Arc<Mutex<Cluster>>,
    _servers: Vec<Server>,
}

impl Stage {
    /// Builds it, and returns when every row is answered.
    ///
    /// # Errors
    /// Those of [`Cluster::new`], or a server that cannot be started.
    pub fn new(setup: Setup) -> Result<Stage> {
        let cluster = Cluster::new(setup)?;
        let serve = |(place, address): (Place, Ipv4Addr)| {
            let mut config = serve::Config::new(address.into());
            (config.tcp, config.stream) = (SERVER_CONNECT.to_vec(), SERVER_STREAM.to_vec());
            Server::start(cluster.namespace(place), config)
        };
        let servers = SERVERS.into_iter().map(serve).collect::<Result<Vec<_>>>()?;
        Ok(Stage { cluster: Arc::new(Mutex::new(cluster)), _servers: servers })
    }

    /// The cluster, for what is to be done to it beside events.
    pub fn with<T>(&self, work: impl FnOnce(&mut Cluster) -> T) -> T {
        work(&mut self.cluster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Visits `rows` while the event happens. `path` adds the way of the packets to the report.
    ///
    /// # Errors
    /// Whatever keeps the run from starting.
    pub fn watch(&self, event: &'static Event, rows: &[Row], pace: Pace, path: bool) -> Result<Report> {
        let (targets, sources, netns_names) = self.with(|cluster| {
            let (targets, sources) = visits(cluster, rows, pace)?;
            let names = cluster.names().map(|(inode, name)| (inode, name.to_owned()));
            anyhow::Ok((targets, sources, names.to_vec()))
        })?;
        let cluster = Arc::clone(&self.cluster);
        let happen = move || cluster.lock().unwrap_or_else(PoisonError::into_inner).happen(event);
        let work = Work::Own { name: format!("`{}` on both nodes", event.name), work: Box::new(happen) };
        let measured = measure(Plan {
            targets,
            tracer: pace.traced.then(|| follow_all(&sources)),
            sources,
            path,
            trigger: Some(Break { work, lead_in: pace.quiet, quiet_for: pace.quiet }),
            progress: Progress::new(false),
            netns_names,
            give_up_privileges: false,
            started: Box::new(|_| ()),
        })?;
        Ok(measured.report)
    }
}

pub(super) fn run(options: &DemoOptions) -> Result<VerdictWord> {
    if options.list {
        let all: Vec<_> = EVENTS.iter().map(|event| (event.name, event.summary)).collect();
        write_stdout(&list(&all, EVENTS[0].name))?;
        return Ok(VerdictWord::Clean);
    }
    let event = match options.fault.as_deref() {
        None => &EVENTS[0],
        Some(name) => event(name).with_context(|| {
            format!(
                "--fault {name}: no such fault of this lab; `netbreak demo --lab ovn-cluster --list` shows them"
            )
        })?,
    };
    let files = Files::open(&options.output)?;
    let stage = Stage::new(Setup::new(Datapath::of_this_kernel()))?;
    let report = stage.watch(event, &ROWS, Pace::new(options.duration), options.path)?;
    publish(&report, &options.output, files)?;
    Ok(report.verdict)
}

/// The rows, and their probes by source. What is visited in two ways is one row.
fn visits(cluster: &Cluster, rows: &[Row], pace: Pace) -> Result<(Vec<Visited>, Vec<Source>)> {
    let run_id = u64::from(std::process::id());
    let mut targets: Vec<Visited> = Vec::new();
    let mut sources: Vec<(Place, Source)> = Vec::new();
    for row in rows {
        let address = IpAddr::from(row.address);
        let name = |visited: &Visited| visited.row.as_ref().map(|row| row.name.clone());
        let known =
            |visited: &Visited| visited.address == address && name(visited).as_deref() == Some(row.title);
        let target = match targets.iter().position(known) {
            Some(target) => target,
            None => {
                targets.push(visited(cluster, row));
                targets.len() - 1
            }
        };
        let source = match sources.iter().position(|(place, _)| *place == row.source) {
            Some(source) => source,
            None => {
                let netns = Arc::new(Namespace::open(cluster.namespace(row.source).path())?);
                sources.push((row.source, Source { netns, specs: Vec::new() }));
                sources.len() - 1
            }
        };
        let ways = match row.visit {
            Visit::Icmp => vec![(Kind::Icmp, None)],
            Visit::Tcp { connect, stream } => vec![(Kind::Tcp, Some(connect)), (Kind::Stream, Some(stream))],
        };
        sources[source].1.specs.extend(ways.into_iter().map(|(kind, port)| Spec {
            duration: pace.duration,
            interval: pace.interval,
            stream_rate_bps: pace.stream_rate,
            ..Spec::new(target, kind, address, port, run_id)
        }));
    }
    Ok((targets, sources.into_iter().map(|(_, source)| source).collect()))
}

fn visited(cluster: &Cluster, row: &Row) -> Visited {
    let source = row.source.name().to_owned();
    let netns = cluster.namespace(row.source).inode();
    let name = row.title.to_owned();
    Visited {
        row: Some(report::Row { name, source, netns }),
        ..Visited::new(row.address.to_string(), row.address)
    }
}
