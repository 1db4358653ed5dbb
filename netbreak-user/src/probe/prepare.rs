//! What needs privileges or may be impossible is done before the run: sockets, timers, the limit of open files.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock::{Nanos, SECOND};

use super::FlowRegistry;
use super::attempt::Kind;
use super::datagram::Opened;
use super::spec::{PrepareError, Spec};
use super::tls::Tls;
use super::visit::Shared;
use super::visits::Visiting;
use super::{closer, icmp, poller, ports, ticker, udp};

/// How long a connect or a request may go on after its time-out, to tell late from timed out.
pub(super) const GRACE: Nanos = 3 * SECOND;

/// Of the local ports one probe may hold all but one in so many: others need some, too.
const SPARED: u64 = 10;

/// Open files that are not probes' sockets: maps, programs and reports. Timers are counted with the probes.
const RESERVED_FILES: u64 = 128;

/// Probes that are ready to run, with everything open that needs privileges. Belongs to the thread that made it.
pub struct Prepared {
    /// Index of the first of them within the run.
    pub(super) first: u32,
    pub(super) probes: Vec<Ready>,
    pub(super) registry: Arc<dyn FlowRegistry>,
}

pub(super) struct Ready {
    pub(super) spec: Arc<Spec>,
    pub(super) timer: OwnedFd,
    pub(super) probe: Probe,
}

pub(super) enum Probe {
    Icmp(Opened<icmp::Echoes>),
    Udp(Opened<udp::Datagrams>),
    /// tcp, http and https.
    Visits {
        visiting: Box<Visiting>,
        poller: OwnedFd,
    },
    Stream,
}

/// How long the probes of a run may wait for late answers: all of them share the limit of open files.
#[derive(Debug, Clone, Copy)]
pub struct Patience(Nanos);

/// What the probes of a run can do together. Raises the soft limit of open files to the hard one.
///
/// # Errors
/// More sockets than this process may open.
pub fn patience(specs: &[&Spec]) -> Result<Patience, PrepareError> {
    let files = raise_file_limit();
    let most = |spec: &Spec| u64::from(u16::MAX) * spec.sources.len().max(1) as u64;
    let with_grace = specs
        .iter()
        .map(|spec| sockets(spec, spec.timeout.saturating_add(GRACE)).min(most(spec)))
        .sum::<u64>();
    // A timer and a poller of each, and what a closed loop is still closing.
    let loops = specs.iter().filter(|spec| spec.connections.is_some()).count();
    let own = (specs.len() * 2 + loops * closer::MOST_OPEN) as u64;
    let needed = specs.iter().map(|spec| sockets(spec, spec.timeout)).sum::<u64>() + own;
    // A quarter is for the network namespaces that are looked at.
    let limit = (files - files / 4).saturating_sub(RESERVED_FILES);
    if needed > limit {
        return Err(PrepareError::TooManySockets { needed, limit });
    }
    // Where files are scarce nobody waits for late answers.
    Ok(Patience(if with_grace + own <= limit { GRACE } else { 0 }))
}

/// Opens what the probes need, in the calling thread's network namespace. `first` is the index of the first one within
/// the run.
///
/// # Errors
/// The first probe that cannot be made.
pub fn prepare(
    specs: Vec<Spec>,
    first: u32,
    Patience(grace): Patience,
    registry: Arc<dyn FlowRegistry>,
) -> Result<Prepared, PrepareError> {
    // The namespace's own.
    let range = ports::local_range();
    let open = |(index, spec): (u32, Spec)| {
        let spec = Arc::new(spec);
        let probe = match spec.kind {
            Kind::Icmp => Probe::Icmp(icmp::open(&spec, index, &registry)?),
            Kind::Udp => Probe::Udp(udp::open(&spec, index, &registry)?),
            Kind::Tcp | Kind::Http | Kind::Https => {
                let ports = ports_of(&spec, &range)?;
                let limit = sockets(&spec, spec.timeout.saturating_add(grace)).min(ports) as usize;
                check_binding(&spec)?;
                let tls = (spec.kind == Kind::Https).then(|| Tls::new(&spec.http_host, !spec.insecure));
                let tls =
                    tls.transpose().map_err(|source| PrepareError::Tls { address: spec.address, source })?;
                let (shared, registry) = (Shared::new(Arc::clone(&spec), tls), Arc::clone(&registry));
                let poller = poller::open().map_err(|source| refused(&spec, source))?;
                // With few in flight their server has to be woken for each, and needs the other CPU itself.
                let closes_beside = spec.connections.is_some_and(|width| width >= closer::BATCH)
                    && limit + closer::MOST_OPEN <= ports as usize;
                let visiting = Visiting { shared, index, limit, closes_beside, registry };
                Probe::Visits { visiting: Box::new(visiting), poller }
            }
            Kind::Stream => {
                check_binding(&spec)?;
                Probe::Stream
            }
        };
        let timer = ticker::open().map_err(|source| refused(&spec, source))?;
        Ok(Ready { spec, timer, probe })
    };
    let probes = (first..).zip(specs).map(open).collect::<Result<_, _>>()?;
    Ok(Prepared { first, probes, registry })
}

#[cfg(test)]
impl Prepared {
    /// A smaller limit than what would take many connections to reach.
    pub(super) fn limit_visits(&mut self, most: usize) {
        for ready in &mut self.probes {
            if let Probe::Visits { visiting, .. } = &mut ready.probe {
                visiting.limit = most;
            }
        }
    }
}

/// Local ports that the probe's connections may hold at once.
fn ports_of(spec: &Spec, range: &RangeInclusive<u16>) -> Result<u64, PrepareError> {
    let ports = range.len() as u64;
    let each = ports - ports / SPARED;
    let limit = each * spec.sources.len().max(1) as u64;
    let needed = sockets(spec, spec.timeout);
    if needed > limit {
        let (from, to) = (*range.start(), *range.end());
        return Err(PrepareError::TooFewPorts { needed, limit, each, from, to });
    }
    Ok(limit)
}

fn refused(spec: &Spec, source: io::Error) -> PrepareError {
    PrepareError::Socket { kind: spec.kind, address: spec.address, source }
}

/// A connection's sources and device are tried before the run, not found wrong by each attempt.
fn check_binding(spec: &Spec) -> Result<(), PrepareError> {
    spec.sources_from(0).try_for_each(|source| match super::connect::open(spec, source) {
        // No port is free now: that may change, and each attempt says so.
        Err(error) if error.errno() == libc::EADDRINUSE => Ok(()),
        opened => opened.map(drop),
    })
}

/// How many sockets a probe may have open when each lives for up to `life`.
fn sockets(spec: &Spec, life: Nanos) -> u64 {
    match spec.kind {
        Kind::Icmp | Kind::Udp | Kind::Stream => 1,
        Kind::Tcp | Kind::Http | Kind::Https => {
            let at_once = match spec.connections {
                // One that has had its time makes room in the loop, and stays open for a while.
                Some(width) => width as u64 * life.div_ceil(spec.timeout.max(1)),
                None => life / spec.interval.max(1) + 1,
            };
            at_once.min(spec.duration.div_ceil(spec.interval.max(1))).max(1)
        }
    }
}

fn raise_file_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}
