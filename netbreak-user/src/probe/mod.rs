//! Probes: what is sent on purpose, when, and what became of it.
//!
//! `plan`, `pace`, `tracker`, `outage`, `stats`, `response` and `wire` are pure: time is an argument and nothing here is
//! sent. `icmp`, `udp`, `visits` (tcp, http, https) and `stream` do the IO; [`FlowRegistry`] is their only way to the kernel side.

mod attempt;
mod closer;
mod connect;
mod datagram;
mod icmp;
#[cfg(test)]
mod io_tests;
mod ledger;
pub mod outage;
mod pace;
mod parted;
mod phases;
pub mod plan;
mod poller;
mod ports;
mod prepare;
mod pulse;
mod response;
mod run;
mod slots;
mod socket;
mod spec;
pub mod stats;
mod stream;
mod ticker;
mod tls;
pub mod tracker;
mod udp;
mod visit;
mod visits;
pub mod wire;

pub use attempt::{Attempt, Kind, Outcome, Record, StreamRecord};
pub use outage::{left, outages};
pub use parted::TOLD_WITHIN;
pub use phases::Phases;
pub use prepare::{Patience, Prepared, patience, prepare};
pub use pulse::Pulse;
pub use run::{Progress, run};
pub use spec::{PrepareError, Spec, stream_rate};
pub use stats::{Counts, Rtt, ScheduleDelay};
pub use tls::TlsError;

use std::net::SocketAddr;

/// A TCP connection of ours, as the kernel side must know it before its SYN leaves. Echoes and datagrams tell by their
/// payload whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeFlow {
    /// What the probe visits.
    pub remote: SocketAddr,
    /// Our port.
    pub local_port: u16,
}

/// Whose packets a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Index of the probe within the run.
    pub probe: u32,
    /// The attempt; of a stream the one whose bytes come first on this connection.
    pub attempt: u64,
    /// Stream: bytes of each attempt. 0 = all segments are of the one attempt.
    pub piece: u32,
}

/// Where probes make their flows known. The kernel side implements it; without a kernel side it does nothing.
pub trait FlowRegistry: Send + Sync {
    /// From now on segments of `flow`, in both directions, are known as ours. Must be called before its SYN leaves.
    /// Returns false where a probe in another namespace has the same flow: that needs another port.
    #[must_use]
    fn register(&self, flow: ProbeFlow, owner: Owner) -> bool;
    /// No segment of `flow` is of interest any more.
    fn forget(&self, flow: ProbeFlow);
    /// The attempt was answered, or it has had its time without an answer. What the kernel side knows of its way will be
    /// written over before long: now it can be read.
    fn settled(&self, probe: u32, attempt: u64, answered: bool);
}
