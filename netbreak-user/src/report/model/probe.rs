//! What became of one probe.

use serde::{Deserialize, Serialize};

use super::{Death, Leg};
use crate::{
    probe::Kind,
    report::{Attempts, Timeline},
};

/// One probe of a target. `sent` = answered + late + lost + timed_out + refused + reset + unreachable + send_failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Which way of visiting.
    pub kind: Kind,
    /// The visited port; absent for icmp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Attempts.
    pub sent: u64,
    /// Answered in time.
    pub answered: u64,
    /// No answer (icmp, udp).
    pub lost: u64,
    /// Answered after the time-out.
    pub late: u64,
    /// Answers that came again.
    pub duplicate: u64,
    /// RST to a SYN.
    pub refused: u64,
    /// RST later.
    pub reset: u64,
    /// An ICMP error came back.
    pub unreachable: u64,
    /// No answer (tcp, http).
    pub timed_out: u64,
    /// The kernel refused to send.
    pub send_failed: u64,
    /// HTTP answers with a status of 500 or more (they are answers of the path).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_errors: Option<u64>,
    /// https: answers without a TLS session, such as an alert or a certificate that nobody vouches for (they are answers of
    /// the path).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_errors: Option<u64>,
    /// Why the first of them had none; absent where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_error: Option<String>,
    /// http, https: how long the parts of the attempts answered in time took; absent where no part was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases_us: Option<PhasesUs>,
    /// Round-trip times in microseconds; absent when nothing was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<RttUs>,
    /// How much later than planned its attempts left, in microseconds; absent for a stream, and when there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_delay_us: Option<ScheduleDelayUs>,
    /// Runs of attempts that were not answered in time.
    pub outages: Vec<Outage>,
    /// Retransmitted segments of this probe's flows; absent when not traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<Retransmits>,
    /// Who sent RSTs for this probe's connections, most first; absent where none was seen. Not those by which the probe
    /// itself closes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rsts: Vec<Rst>,
    /// The long-lived connection; absent for other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// How far attempts that were answered late had got when their time was over, and what held them up, in words; absent
    /// where there are none, and where nothing was seen of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_explain: Option<String>,
    /// The way that its packets take; absent without `--path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// Where attempts died. Σ attempts + `unexplained` = lost + timed_out + unreachable + send_failed.
    pub deaths: Vec<Death>,
    /// Lost attempts that nothing explains.
    pub unexplained: u64,
    /// The same over time; absent in reports of a netbreak that had none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Single attempts, by which another node's sightings are matched; absent in reports of a netbreak that had none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Attempts>,
}

/// Round-trip times in microseconds, of the attempts answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RttUs {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

/// The parts of a visit, in microseconds: each begins where the one before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PhasesUs {
    /// From the SYN to the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<RttUs>,
    /// To the end of the TLS handshake; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RttUs>,
    /// To the first byte of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<RttUs>,
}

/// RSTs that one host sent for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rst {
    /// How many.
    pub segments: u64,
    /// On which leg they set out: `reply` from the target's side, `request` from the probe's.
    pub leg: Leg,
    /// Network namespace of the host that sent them (inode number); absent where nobody on this node was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// State of the connection's socket there, such as `ESTABLISHED`; absent where there was no socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The kernel's name of the reason; absent on kernels that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the first was sent, in seconds.
    pub first_s: f64,
    /// When the last was sent, in seconds.
    pub last_s: f64,
}

/// The way of a probe's packets through this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// Answered attempts that went this way, of those that were looked at.
    pub sample: u64,
    /// Every stage in wire order, then those that only lost attempts passed.
    pub stages: Vec<PathStage>,
}

/// One stage of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PathStage {
    /// On which leg.
    pub leg: Leg,
    /// Which stage.
    pub stage: String,
    /// Name of the device; absent where there is none, or its name is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its index; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// Network namespace (inode number); absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Time since the stage before; absent for the first one, and where only lost attempts passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<SinceUs>,
    /// Lost attempts that were seen here last.
    pub stopped: u64,
}

/// Time since the stage before, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SinceUs {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Real send time minus planned send time, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleDelayUs {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

/// A maximal run of attempts that were not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// When its first attempt was sent.
    pub start_s: f64,
    /// When the first attempt after it was sent (the end of the run if there was none).
    pub end_s: f64,
    /// `end_s - start_s`.
    pub duration_s: f64,
    /// How many attempts.
    pub attempts: u64,
}

/// Retransmitted segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retransmits {
    /// All of them, as `Tcp.RetransSegs` counts.
    pub segments: u64,
    /// SYNs among them.
    pub syn: u64,
}

/// What a stream has beside its attempts (its writes).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Connections made: 1, and one more for each reconnection.
    pub connections: u64,
    /// Connections that ended by RST or an early end.
    pub resets: u64,
    /// Payload bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Payload bytes acknowledged by the other end.
    pub bytes_acked: u64,
    /// Longest time without progress while bytes were outstanding.
    pub longest_stall_s: f64,
}
