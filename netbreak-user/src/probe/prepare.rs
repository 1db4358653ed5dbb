//! What needs privileges or may be impossible is done before the run: sockets, timers, the limit of open files.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock::{Nanos, SECOND};

use super::FlowRegistry;
use super::attempt::Kind;
use super::datagram::Opened;
use super::spec::{PrepareError, Spec};
use super::{icmp, ticker, udp};

/// How long a connect or a request may go on after its time-out, to tell late from timed out.
pub(super) const GRACE: Nanos = 3 * SECOND;

/// Connections that one probe holds open at most: fewer than the 28,232 ports of `ip_local_port_range`.
const MAX_VISITS: u64 = 16_384;

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
    /// tcp and http.
    Visits {
        /// Connections open at the same time.
        limit: usize,
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
    let with_grace = specs
        .iter()
        .map(|spec| sockets(spec, spec.timeout.saturating_add(GRACE)).min(MAX_VISITS))
        .sum::<u64>();
    let needed = specs.iter().map(|spec| sockets(spec, spec.timeout)).sum::<u64>() + specs.len() as u64;
    // A quarter is for the network namespaces that are looked at.
    let limit = (files - files / 4).saturating_sub(RESERVED_FILES);
    if let Some(most) =
        specs.iter().map(|spec| sockets(spec, spec.timeout)).max().filter(|most| *most > MAX_VISITS)
    {
        return Err(PrepareError::TooManySockets { needed: most, limit: MAX_VISITS });
    }
    if needed > limit {
        return Err(PrepareError::TooManySockets { needed, limit });
    }
    // Where files are scarce nobody waits for late answers.
    Ok(Patience(if with_grace + specs.len() as u64 <= limit { GRACE } else { 0 }))
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
    let open = |(index, spec): (u32, Spec)| {
        let spec = Arc::new(spec);
        let probe = match spec.kind {
            Kind::Icmp => Probe::Icmp(icmp::open(&spec, index, &registry)?),
            Kind::Udp => Probe::Udp(udp::open(&spec, index, &registry)?),
            Kind::Tcp | Kind::Http => {
                let limit = sockets(&spec, spec.timeout.saturating_add(grace)).min(MAX_VISITS);
                check_binding(&spec)?;
                Probe::Visits { limit: limit as usize }
            }
            Kind::Stream => {
                check_binding(&spec)?;
                Probe::Stream
            }
        };
        let timer = ticker::open().map_err(|source| PrepareError::Socket {
            kind: spec.kind,
            address: spec.address,
            source,
        })?;
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
            if let Probe::Visits { limit } = &mut ready.probe {
                *limit = most;
            }
        }
    }
}

/// A connection's source and device are tried before the run, not found wrong by each attempt.
fn check_binding(spec: &Spec) -> Result<(), PrepareError> {
    super::connect::open(spec).map(drop)
}

/// How many sockets a probe may have open when each lives for up to `life`.
fn sockets(spec: &Spec, life: Nanos) -> u64 {
    match spec.kind {
        Kind::Icmp | Kind::Udp | Kind::Stream => 1,
        Kind::Tcp | Kind::Http => {
            let at_once = life / spec.interval.max(1) + 1;
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
