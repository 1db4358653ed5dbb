//! Probes: what is sent on purpose, when, and what became of it.
//!
//! `plan`, `tracker`, `outage`, `stats` and `wire` are pure: time is an argument and nothing here is sent.
//! `icmp`, `tcp`, `http`, `udp` and `stream` do the IO; [`FlowRegistry`] is their only way to the kernel side.

mod attempt;
mod connect;
mod datagram;
mod http;
mod icmp;
#[cfg(test)]
mod io_tests;
mod ledger;
pub mod outage;
pub mod plan;
mod prepare;
mod run;
mod socket;
mod spec;
pub mod stats;
mod stream;
mod ticker;
pub mod tracker;
mod udp;
mod visits;
pub mod wire;

pub use attempt::{Attempt, Kind, Outcome, Record, StreamRecord};
pub use outage::outages;
pub use prepare::{Prepared, prepare};
pub use run::{Progress, run};
pub use spec::{PrepareError, Spec};
pub use stats::{Counts, Rtt, ScheduleDelay};

use std::net::IpAddr;

/// A flow of ours, as the kernel side must know it before its first packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeFlow {
    /// IP protocol number of the packets: ICMP 1, TCP 6, UDP 17, ICMPv6 58.
    pub protocol: u8,
    /// The address that the probe visits.
    pub remote: IpAddr,
    /// The port that it visits; 0 for icmp.
    pub remote_port: u16,
    /// Our port, or the identifier of our echo requests (host byte order).
    pub local_port: u16,
}

/// Whose packets a flow carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Index of the probe within the run.
    pub probe: u32,
    /// The attempt; `None` where a flow carries those of many.
    pub attempt: Option<u64>,
}

/// Where probes make their flows known. The kernel side implements it; without a kernel side it does nothing.
pub trait FlowRegistry: Send + Sync {
    /// From now on packets of `flow`, in both directions, make events. Must be called before its first packet leaves.
    fn register(&self, flow: ProbeFlow, owner: Owner);
    /// No packet of `flow` is of interest any more.
    fn forget(&self, flow: ProbeFlow);
    /// The attempt was answered, or it has had its time without an answer. What the kernel side knows of its way will be
    /// written over before long: now it can be read.
    fn settled(&self, probe: u32, attempt: u64, answered: bool);
}
