//! An attempt and its one outcome; what a probe hands over when it is over.

use std::net::IpAddr;

use crate::clock::Nanos;

use super::phases::Phases;

/// One way of visiting a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// ICMP or ICMPv6 echo.
    Icmp,
    /// TCP connect, closed at once.
    Tcp,
    /// One HTTP/1.1 request on a connection of its own.
    Http,
    /// The same within TLS.
    Https,
    /// One datagram, echoed by `netbreak serve`.
    Udp,
    /// One long-lived TCP connection with paced data. Its attempts are its writes.
    Stream,
}

impl Kind {
    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Icmp => "icmp",
            Kind::Tcp => "tcp",
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Udp => "udp",
            Kind::Stream => "stream",
        }
    }

    /// Is each of its attempts a connection of its own?
    pub fn connects(self) -> bool {
        matches!(self, Kind::Tcp | Kind::Http | Kind::Https)
    }
}

/// What became of an attempt: exactly one of these. Times are when it was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer came before the time-out.
    Answered {
        /// When the answer arrived.
        at: Nanos,
    },
    /// The answer came after the time-out.
    Late {
        /// When the answer arrived.
        at: Nanos,
    },
    /// icmp, udp: no answer came.
    Lost,
    /// tcp, http: not finished before the time-out, and nothing came later.
    TimedOut,
    /// A RST answered our SYN: the path works, nobody listens.
    Refused {
        /// When the RST arrived.
        at: Nanos,
    },
    /// A RST (or an early end) came after the connection was established.
    Reset {
        /// When it arrived.
        at: Nanos,
    },
    /// An ICMP error came back for this attempt.
    Unreachable {
        /// When it arrived.
        at: Nanos,
        /// The errno that the kernel made of it.
        errno: i32,
    },
    /// The kernel refused to send.
    SendFailed {
        /// Why.
        errno: i32,
    },
}

/// One echo, one connect, one request, one datagram, one write of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Number within its probe, from 0, in order of the plan.
    pub seq: u64,
    /// When the plan wanted it to leave.
    pub planned: Nanos,
    /// When it was handed to the kernel.
    pub sent: Nanos,
    /// Our port (tcp, http, udp, stream) or echo identifier (icmp): with the record's address it names the flow.
    pub local_port: u16,
    /// Its end.
    pub outcome: Outcome,
}

impl Attempt {
    /// In an outage? Everything is that was not answered in time; refused is an answer of the path.
    pub fn is_unanswered(&self) -> bool {
        !matches!(self.outcome, Outcome::Answered { .. } | Outcome::Refused { .. })
    }

    /// Must the verdict say where it died (a death, or `unexplained`)?
    pub fn needs_a_death(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Lost | Outcome::TimedOut | Outcome::Unreachable { .. } | Outcome::SendFailed { .. }
        )
    }
}

/// All that one probe measured. Handed from the probe engine to the verdict.
#[derive(Debug, Clone)]
pub struct Record {
    /// Index of the target in the order of the command line.
    pub target: usize,
    /// Which probe.
    pub kind: Kind,
    /// Whom it visited.
    pub address: IpAddr,
    /// Which port; `None` for icmp.
    pub port: Option<u16>,
    /// Every attempt, ascending by `seq`.
    pub attempts: Vec<Attempt>,
    /// Answers that came a second time (counted beside the outcome).
    pub duplicates: u64,
    /// http, https: answers of the path with a status of 500 or more, or that are no HTTP. `None` for other kinds.
    pub http_errors: Option<u64>,
    /// https: answers of the path without a TLS session, such as an alert or a certificate that nobody vouches for. `None`
    /// for other kinds.
    pub tls_errors: Option<u64>,
    /// Why the first of them had none.
    pub tls_error: Option<String>,
    /// http, https: how long their parts took. `None` for other kinds.
    pub phases: Option<Phases>,
    /// Only for [`Kind::Stream`].
    pub stream: Option<StreamRecord>,
}

/// What a stream has beside its attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamRecord {
    /// Connections made: 1, and one more for each reconnection.
    pub connections: u64,
    /// Connections that ended by RST or by an early end.
    pub resets: u64,
    /// Payload bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Payload bytes that the other end acknowledged (`TCP_INFO.tcpi_bytes_acked`, less the SYN), over all connections.
    pub bytes_acked: u64,
    /// The longest time without any byte newly acknowledged while some were outstanding.
    pub longest_stall: Nanos,
}
