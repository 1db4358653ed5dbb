//! The cluster of two nodes: the eleven rows of kube-ovn's tables, and a reload of its switches.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};

use super::{follow_all, list, served::Server};
use crate::{
    clock::{MILLISECOND, Nanos, SECOND},
    lab::ovs::{
        Datapath,
        cluster::{Cluster, Place, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Setup, Visit},
    },
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::{Kind, Spec},
    progress::Progress,
    report,
    report::VerdictWord,
    run::{Break, Plan, Source, Visited, Work, measure, publish},
    serve,
    stdout::write_stdout,
};

const EVENT: (&str, &str) =
    ("reload", "ovs-vswitchd and ovn-controller of both nodes end, and start again one after the other");

/// How long ovs-vswitchd is down.
const DOWN: Duration = Duration::from_secs(1);
/// How long it then runs without ovn-controller.
const EMPTY: Duration = Duration::from_secs(1);
/// Before the reload, and how long all must have been answered after it.
const QUIET: Nanos = 2 * SECOND;
/// Time between two attempts of a probe: a switch in userspace carries them all, on one CPU perhaps.
const INTERVAL: Nanos = 20 * MILLISECOND;
/// Of each stream, in bits per second.
const STREAM_RATE: u64 = 1_000_000;

pub(super) fn run(options: &DemoOptions) -> Result<VerdictWord> {
    if options.list {
        write_stdout(&list(&[EVENT], EVENT.0))?;
        return Ok(VerdictWord::Clean);
    }
    if let Some(other) = options.fault.as_deref().filter(|name| *name != EVENT.0) {
        bail!(
            "--fault {other}: no such fault of this lab; `netbreak demo --lab ovn-cluster --list` shows them"
        );
    }
    let files = Files::open(&options.output)?;
    let cluster = Cluster::new(Setup::new(Datapath::of_this_kernel()))?;
    let serve = |(place, address): (Place, std::net::Ipv4Addr)| {
        let mut config = serve::Config::new(address.into());
        (config.tcp, config.stream) = (SERVER_CONNECT.to_vec(), SERVER_STREAM.to_vec());
        Server::start(cluster.namespace(place), config)
    };
    let _servers = SERVERS.into_iter().map(serve).collect::<Result<Vec<_>>>()?;
    let (targets, sources) = rows(&cluster, options.duration)?;
    let netns_names = cluster.names().map(|(inode, name)| (inode, name.to_owned())).to_vec();
    let cluster = Arc::new(Mutex::new(cluster));
    let reloaded = Arc::clone(&cluster);
    let reload = move || reloaded.lock().unwrap_or_else(PoisonError::into_inner).reload(DOWN, EMPTY);
    let work = Work::Own { name: "the reload of both nodes".to_owned(), work: Box::new(reload) };
    let measured = measure(Plan {
        targets,
        tracer: Some(follow_all(&sources)),
        sources,
        path: options.path,
        trigger: Some(Break { work, lead_in: QUIET, quiet_for: QUIET }),
        progress: Progress::new(false),
        netns_names,
        give_up_privileges: false,
        started: Box::new(|_| ()),
    })?;
    publish(&measured.report, &options.output, files)?;
    Ok(measured.report.verdict)
}

/// The rows, and their probes by source. What is visited in two ways is one row.
fn rows(cluster: &Cluster, duration: Nanos) -> Result<(Vec<Visited>, Vec<Source>)> {
    let run_id = u64::from(std::process::id());
    let mut targets: Vec<Visited> = Vec::new();
    let mut sources: Vec<(Place, Source)> = Vec::new();
    for row in &ROWS {
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
            duration,
            interval: INTERVAL,
            stream_rate_bps: STREAM_RATE,
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
