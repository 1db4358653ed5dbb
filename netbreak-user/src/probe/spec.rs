//! One probe as it was asked for, and why it may not be possible.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::clock::{MILLISECOND, Nanos, SECOND};

use super::attempt::{Kind, Record, StreamRecord};

/// One way of visiting one target. Names are resolved elsewhere.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Index of the target in the order of the command line.
    pub target: usize,
    /// Which probe.
    pub kind: Kind,
    /// Whom it visits.
    pub address: IpAddr,
    /// Which port; `None` for icmp.
    pub port: Option<u16>,
    /// http: path (and query) of the request.
    pub http_path: String,
    /// http: value of the `Host` header.
    pub http_host: String,
    /// Between two attempts, in nanoseconds. A stream's follows from its rate.
    pub interval: Nanos,
    /// How long an answer may take, in nanoseconds.
    pub timeout: Nanos,
    /// How long attempts are made, in nanoseconds.
    pub duration: Nanos,
    /// icmp, udp: bytes of payload; fewer than [`netbreak_common::wire::HEADER_LEN`] count as that many.
    pub size: usize,
    /// Forbid fragments on the way, and on our side.
    pub dont_fragment: bool,
    /// The address to send from; `None` = the kernel's choice.
    pub source: Option<IpAddr>,
    /// The device to send through; `None` = the route's.
    pub interface: Option<String>,
    /// Tells our payloads from those of another run.
    pub run_id: u64,
    /// stream: bits of payload per second.
    pub stream_rate_bps: u64,
    /// stream: bytes of one write.
    pub stream_piece: usize,
}

impl Spec {
    /// A probe with the defaults of the command line: each 10 ms for 60 s, time-out 1 s, a stream of 10 Mbit/s in 1 KiB
    /// pieces.
    pub fn new(target: usize, kind: Kind, address: IpAddr, port: Option<u16>, run_id: u64) -> Spec {
        Spec {
            target,
            kind,
            address,
            port,
            http_path: "/".to_owned(),
            http_host: address.to_string(),
            interval: 10 * MILLISECOND,
            timeout: SECOND,
            duration: 60 * SECOND,
            size: 56,
            dont_fragment: false,
            source: None,
            interface: None,
            run_id,
            stream_rate_bps: 10_000_000,
            stream_piece: 1024,
        }
    }

    /// Nanoseconds between two attempts: the interval, or what a stream's rate and piece come to.
    pub fn pace(&self) -> Nanos {
        match self.kind {
            Kind::Stream => {
                let bits = self.stream_piece as u128 * 8 * u128::from(SECOND);
                u64::try_from(bits / u128::from(self.stream_rate_bps.max(1))).unwrap_or(Nanos::MAX)
            }
            _ => self.interval,
        }
    }

    /// The visited address and port; port 0 for icmp.
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port.unwrap_or(0))
    }

    /// A record of this probe without anything measured.
    pub(super) fn record(&self) -> Record {
        Record {
            target: self.target,
            kind: self.kind,
            address: self.address,
            port: self.port,
            attempts: Vec::new(),
            duplicates: 0,
            http_errors: (self.kind == Kind::Http).then_some(0),
            stream: (self.kind == Kind::Stream).then(StreamRecord::default),
        }
    }
}

/// Why a probe cannot be made, found before the run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No raw socket without CAP_NET_RAW.
    #[error(
        "icmp to {address} needs CAP_NET_RAW: run as root, grant it with `setcap cap_net_raw+ep`, or leave out --icmp"
    )]
    NoRawSockets {
        /// Whom it was to visit.
        address: IpAddr,
    },
    /// `--source` cannot be used.
    #[error("{kind} to {address} cannot leave from {from}: {source}; `ip address` shows this namespace's addresses",
        kind = kind.name())]
    Source {
        /// Which probe.
        kind: Kind,
        /// Whom it was to visit.
        address: IpAddr,
        /// The address to send from.
        from: IpAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// `--interface` cannot be used.
    #[error("{kind} to {address} cannot leave through {interface}: {source}; `ip link` shows this namespace's devices",
        kind = kind.name())]
    Interface {
        /// Which probe.
        kind: Kind,
        /// Whom it was to visit.
        address: IpAddr,
        /// The device to send through.
        interface: String,
        /// The kernel's word.
        source: io::Error,
    },
    /// More connections than one process can hold open.
    #[error(
        "{needed} sockets may be open at once, {limit} can be: use a longer --interval, a shorter --timeout or fewer \
         targets (or raise `ulimit -Hn`)"
    )]
    TooManySockets {
        /// What the plan may come to.
        needed: u64,
        /// What this process may have.
        limit: u64,
    },
    /// Any other refusal of the kernel.
    #[error("cannot open a socket for {kind} to {address}: {source}", kind = kind.name())]
    Socket {
        /// Which probe.
        kind: Kind,
        /// Whom it was to visit.
        address: IpAddr,
        /// The kernel's word.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_megabits_in_kibibytes_are_a_write_each_819_microseconds() {
        let spec = Spec::new(0, Kind::Stream, [127, 0, 0, 1].into(), Some(1), 1);
        assert_eq!(spec.pace(), 819_200);
    }
}
