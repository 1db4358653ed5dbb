//! One probe as it was asked for, and why it may not be possible.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::clock::{MILLISECOND, Nanos, SECOND};

use super::attempt::{Kind, Record, StreamRecord};
use super::phases::Phases;
use super::tls::TlsError;

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
    /// http, https: path (and query) of the request.
    pub http_path: String,
    /// http, https: value of the `Host` header, and the name that the server's certificate must have.
    pub http_host: String,
    /// https: take any certificate.
    pub insecure: bool,
    /// Between two attempts, in nanoseconds. A stream's follows from its rate.
    pub interval: Nanos,
    /// tcp, http, https: a closed loop of so many connections, each begun when one before it has ended or had its time, but
    /// `interval` after the one before it at the soonest. `None` = an open loop.
    pub connections: Option<usize>,
    /// How long an answer may take, in nanoseconds.
    pub timeout: Nanos,
    /// How long attempts are made, in nanoseconds.
    pub duration: Nanos,
    /// How long after the others' the first attempt is made, so that many streams do not write all at once.
    pub delay: Nanos,
    /// icmp, udp: bytes of payload; fewer than [`netbreak_common::wire::HEADER_LEN`] count as that many.
    pub size: usize,
    /// Forbid fragments on the way, and on our side.
    pub dont_fragment: bool,
    /// The addresses to send from: connections take turns, icmp and udp have the first. None = the kernel's choice.
    pub sources: Vec<IpAddr>,
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
            insecure: false,
            interval: 10 * MILLISECOND,
            connections: None,
            timeout: SECOND,
            duration: 60 * SECOND,
            delay: 0,
            size: 56,
            dont_fragment: false,
            sources: Vec::new(),
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

    /// The sources in the order in which they are tried at this turn.
    pub(super) fn sources_from(&self, turn: u64) -> impl Iterator<Item = Option<IpAddr>> {
        let count = self.sources.len();
        let first = turn.checked_rem(count as u64).unwrap_or(0) as usize;
        let some = (0..count).map(move |index| Some(self.sources[(first + index) % count]));
        some.chain((count == 0).then_some(None))
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
            http_errors: matches!(self.kind, Kind::Http | Kind::Https).then_some(0),
            tls_errors: (self.kind == Kind::Https).then_some(0),
            tls_error: None,
            phases: matches!(self.kind, Kind::Http | Kind::Https).then(Phases::default),
            stream: (self.kind == Kind::Stream).then(StreamRecord::default),
        }
    }
}

/// Bits of payload per second of each of `count` streams: they share 10 Mbit/s, but each writes at least 10 pieces of
/// 1 KiB a second.
pub fn stream_rate(count: usize) -> u64 {
    (10_000_000 / count.max(1) as u64).max(10 * 8 * 1024)
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
    /// More connections than there are local ports.
    #[error(
        "{needed} connections of one probe may be open at once, and {limit} can have a local port: {from} to {to} \
         (net.ipv4.ip_local_port_range) are {ports} for each source address, of which one probe takes {each}: name more \
         addresses of this host with --source, or use fewer --connections, a longer --interval or a shorter --timeout",
        ports = u32::from(*to) - u32::from(*from) + 1
    )]
    TooFewPorts {
        /// What the plan may come to.
        needed: u64,
        /// The first port.
        from: u16,
        /// The last port.
        to: u16,
        /// How many of them one probe may have, of each source address: others need some, too.
        each: u64,
        /// How many it may have of all of them.
        limit: u64,
    },
    /// https cannot be set up.
    #[error("https to {address}: {source}")]
    Tls {
        /// Whom it was to visit.
        address: IpAddr,
        /// Why.
        source: TlsError,
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

impl PrepareError {
    /// The kernel's number for it.
    pub(super) fn errno(&self) -> i32 {
        match self {
            PrepareError::NoRawSockets { .. } => libc::EPERM,
            PrepareError::TooManySockets { .. } => libc::EMFILE,
            PrepareError::TooFewPorts { .. } => libc::EADDRINUSE,
            PrepareError::Tls { .. } => libc::EPROTO,
            PrepareError::Source { source, .. }
            | PrepareError::Interface { source, .. }
            | PrepareError::Socket { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_megabits_in_kibibytes_are_a_write_each_819_microseconds() {
        let spec = Spec::new(0, Kind::Stream, [127, 0, 0, 1].into(), Some(1), 1);
        assert_eq!(spec.pace(), 819_200);
        assert_eq!(spec.stream_rate_bps, stream_rate(1));
        let crowd = Spec { stream_rate_bps: stream_rate(1000), ..spec };
        assert_eq!(crowd.pace(), SECOND / 10);
    }

    #[test]
    fn sources_take_turns_and_stand_in_for_each_other() {
        let mut spec = Spec::new(0, Kind::Tcp, [127, 0, 0, 1].into(), Some(1), 1);
        let turn = |spec: &Spec, turn| spec.sources_from(turn).collect::<Vec<_>>();
        assert_eq!(turn(&spec, 5), [None]);
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([127, 0, 1, last]));
        spec.sources = vec![a, b, c];
        assert_eq!(turn(&spec, 0), [Some(a), Some(b), Some(c)]);
        assert_eq!(turn(&spec, 5), [Some(c), Some(a), Some(b)]);
    }
}
