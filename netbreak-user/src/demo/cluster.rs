//! The cluster of two nodes: the eleven rows of kube-ovn's tables while something happens to its switches.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};

use super::{follow_all, list, served::Server};
use crate::{
    cli::DemoOvn0,
    clock::{Nanos, SECOND},
    lab::ovs::{
        Datapath,
        cluster::{
            Cluster, EVENTS, Place, PortType, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Setup,
            Visit, event,
        },
    },
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::{Kind, Spec},
    progress::Progress,
    report::{self, VerdictWord},
    run::{Break, End, Plan, Source, Visited, Work, measure, publish},
    serve,
    stdout::write_stdout,
};

/// Before the event, and how long all must have been answered after it for the run to end.
const QUIET: Nanos = 2 * SECOND;
/// What each stream sends between two attempts of another probe, in bits: 1 Mbit/s at the default interval.
const STREAM_BITS: u64 = 20_000;

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
    let ovn0 = match options.ovn0 {
        DemoOvn0::Internal => PortType::Internal,
        DemoOvn0::Veth => PortType::Veth,
    };
    let cluster = Cluster::new(Setup { ovn0, ..Setup::new(Datapath::of_this_kernel()) })?;
    let serve = |(place, address): (Place, Ipv4Addr)| {
        let mut config = serve::Config::new(address.into());
        (config.tcp, config.stream) = (SERVER_CONNECT.to_vec(), SERVER_STREAM.to_vec());
        Server::start(cluster.namespace(place), config)
    };
    let _servers = SERVERS.into_iter().map(serve).collect::<Result<Vec<_>>>()?;
    let (targets, sources) = visits(&cluster, options)?;
    let netns_names = cluster.names().map(|(inode, name)| (inode, name.to_owned())).to_vec();
    let cluster = Arc::new(Mutex::new(cluster));
    let broken = Arc::clone(&cluster);
    let happen = move || broken.lock().unwrap_or_else(PoisonError::into_inner).happen(event);
    let work = Work::Own { name: format!("`{}` on both nodes", event.name), work: Box::new(happen) };
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
        end: End::Signals,
    })?;
    publish(&measured.report, &options.output, files)?;
    Ok(measured.report.verdict)
}

/// The rows, and their probes by source. What is visited in two ways is one row.
fn visits(cluster: &Cluster, options: &DemoOptions) -> Result<(Vec<Visited>, Vec<Source>)> {
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
            duration: options.duration,
            interval: options.interval,
            stream_rate_bps: STREAM_BITS * SECOND / options.interval.max(1),
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
