//! The report's model, schema `netbreak.report/1`. Field names are a contract: other programs read them.
//!
//! Times are seconds from the start of the run; a field that was not measured is absent, never 0.

use serde::{Deserialize, Serialize};

use super::{Attempts, Timeline};
use crate::probe::Kind;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "netbreak.report/1";

/// [`Change::what`] of the command that broke what was measured.
pub const TRIGGER: &str = "trigger";

/// Everything that one run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Name and version of this model: [`SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// Where, when and with which sensors it was measured.
    pub run: Run,
    /// One entry a target of the command line.
    pub targets: Vec<Target>,
    /// Every flow of the kernel's flow map, most packets first.
    pub drops: Vec<DropRow>,
    /// The exact table: all drops of the machine, by reason, device and namespace.
    pub drop_totals: Vec<DropTotal>,
    /// What changed on the machine meanwhile.
    pub changes: Vec<Change>,
    /// Traced against counted.
    pub books: Vec<Book>,
    /// What was lost while measuring.
    pub losses: Losses,
    /// The answer in one word.
    pub verdict: VerdictWord,
}

/// Where, when and with which sensors it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What tells the packets of this run from those of others, 16 hexadecimal digits; absent in reports of a netbreak that
    /// did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// Wall time of the start, RFC 3339. The only wall time of a report.
    pub started: String,
    /// How long probes ran.
    pub duration_s: f64,
    /// Inode number of the probes' network namespace.
    pub netns: u32,
    /// Its name where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// TCP segments of that namespace over the run, the probes' and everybody else's; absent when not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_segments: Option<TcpSegments>,
    /// Ended by a signal before its time?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Every sensor, also those that are off.
    pub sensors: Vec<Sensor>,
    /// Other nodes whose sightings were merged in; absent where none were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
}

/// A node that saw packets of this run pass or die.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name.
    pub host: String,
    /// Wall time there when it began to watch, RFC 3339.
    pub started: String,
    /// Attempts of this run that it saw.
    pub seen: u64,
    /// Lost attempts of the probes that it saw that nothing explained, or that had left this report's host alive.
    pub unplaced: u64,
    /// Those of them that died there.
    pub died: u64,
    /// Those of them that left it alive.
    pub passed: u64,
    /// Those of them that did not come there.
    pub not_reached: u64,
    /// Answered attempts that both hosts have the times of: what the clocks were compared by.
    pub matched: u64,
    /// How far its wall clock is ahead of this report's host; negative = behind; absent without a match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_s: Option<f64>,
    /// `offset_s` is within that much of the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_s: Option<f64>,
    /// What was lost while it watched.
    pub losses: Losses,
}

/// What the kernel counted of TCP in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TcpSegments {
    /// Sent for the first time (`Tcp.OutSegs`).
    pub out: u64,
    /// Sent again (`Tcp.RetransSegs`).
    pub retransmitted: u64,
}

/// One source of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Such as `kfree_skb`.
    pub name: String,
    /// Whether it runs.
    pub state: SensorState,
    /// Why it is not fully on; what would turn it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether a sensor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SensorState {
    /// As designed.
    On,
    /// With a part missing.
    Degraded,
    /// Not at all.
    Off,
}

/// One target of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// As typed.
    pub target: String,
    /// What it resolved to.
    pub address: String,
    /// Which row of a matrix this is; absent for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// Its probes.
    pub probes: Vec<Probe>,
}

/// A row of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the file calls it.
    pub name: String,
    /// What the file calls the source.
    pub source: String,
    /// The source's network namespace (inode number).
    pub netns: u32,
}

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
    /// Network namespace of the host that sent them (inode number).
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

/// Attempts that died at one place for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Death {
    /// How many attempts.
    pub attempts: u64,
    /// On the way out, or on the way back.
    pub leg: Leg,
    /// The class of the death.
    pub cause: Cause,
    /// Host name of the node that saw it; absent = the report's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The kernel's name of the drop reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kernel function that freed the packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Where the packet was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Index of that device in `netns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// Network namespace of that device (inode number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// The place in wire order, such as `netfilter forward`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// First death of this group.
    pub first_s: f64,
    /// Last death of this group.
    pub last_s: f64,
    /// One sentence for a person, with the next thing to look at.
    pub explain: String,
}

/// Which half of the round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// From us to the target.
    Request,
    /// From the target to us.
    Reply,
    /// Not known.
    Unknown,
}

/// The class of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A rule of nftables or iptables.
    Netfilter,
    /// No route, a blackhole, a failed reverse-path or address check.
    Route,
    /// The next hop's link address did not resolve.
    Neighbour,
    /// A device that was down, gone or re-created.
    Link,
    /// A full queue.
    Queue,
    /// A full, closed or filtering socket.
    Socket,
    /// A checksum that did not match.
    Checksum,
    /// Larger than the next link carries.
    Mtu,
    /// Hop limit used up.
    Ttl,
    /// A tc program.
    Tc,
    /// An XDP program.
    Xdp,
    /// Another BPF program.
    Bpf,
    /// Connection tracking.
    Conntrack,
    /// Open vSwitch could not hand a flow miss to userspace.
    OvsUpcall,
    /// An Open vSwitch flow dropped it.
    OvsFlow,
    /// A RST.
    Reset,
    /// netbreak itself was not scheduled in time, or had no local port or no file left.
    Starved,
    /// It left this node alive and nothing came back.
    Unseen,
    /// Anything else: reason and symbol as they are.
    Other,
}

impl Cause {
    /// The name in reports, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Netfilter => "netfilter",
            Cause::Route => "route",
            Cause::Neighbour => "neighbour",
            Cause::Link => "link",
            Cause::Queue => "queue",
            Cause::Socket => "socket",
            Cause::Checksum => "checksum",
            Cause::Mtu => "mtu",
            Cause::Ttl => "ttl",
            Cause::Tc => "tc",
            Cause::Xdp => "xdp",
            Cause::Bpf => "bpf",
            Cause::Conntrack => "conntrack",
            Cause::OvsUpcall => "ovs-upcall",
            Cause::OvsFlow => "ovs-flow",
            Cause::Reset => "reset",
            Cause::Starved => "starved",
            Cause::Unseen => "unseen",
            Cause::Other => "other",
        }
    }
}

/// Packets (segments) of one flow that died at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DropRow {
    /// Whose packets.
    pub flow: Flow,
    /// The kernel's name of the drop reason; absent where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kernel function that freed them; absent when symbols may not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Where; absent when the packet had no device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Network namespace (inode number); absent when the packet had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Segments.
    pub packets: u64,
    /// Bytes from the network header on.
    pub bytes: u64,
    /// The first of them, to the kernel's tick (1 to 10 ms); negative before the first attempt.
    pub first_s: f64,
    /// The last of them.
    pub last_s: f64,
}

/// Direction as seen on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Source address; absent for packets without an IP header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Source port, or ICMP identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Destination address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// `tcp`, `udp`, `icmp`, `icmp6`, another IP protocol's number, or `0x0806`-like for an Ethernet type.
    pub proto: String,
}

/// One row of the exact table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DropTotal {
    /// The kernel's name of the drop reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Network namespace (inode number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Segments.
    pub packets: u64,
}

/// Something that changed on the machine during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When.
    pub at_s: f64,
    /// What, in a word: `link`, `address`, `route`, `neighbour`, `process`, `trigger`, `clock`.
    pub what: String,
    /// Which device it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// In words.
    pub detail: String,
}

/// One equality between what was traced and what a kernel counter says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// What is compared.
    pub name: String,
    /// In which namespace (inode number).
    pub netns: u32,
    /// Its name where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Our side; absent when this kernel does not let it be traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<u64>,
    /// The counter's name, such as `Tcp.RetransSegs`.
    pub counter: String,
    /// The kernel's side; absent when the counter could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// Equal? Absent when one side is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
    /// Why it does not balance, or cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was lost while measuring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Events that found the ring buffer full.
    pub ring_full: u64,
    /// Segments counted in the totals whose flow found the flow map full.
    pub map_full: u64,
    /// Packets whose headers could not be read.
    pub unreadable: u64,
    /// Times that the kernel skipped a program because it interrupted itself (`recursion_misses`).
    pub missed: u64,
    /// Attempts whose way the ledger had forgotten when it was to be read.
    pub ledger: u64,
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VerdictWord {
    /// Every attempt was answered in time (or refused).
    Clean,
    /// Some were not.
    Broken,
    /// The run could not tell.
    Inconclusive,
}

impl VerdictWord {
    /// Exit status of the command.
    pub fn exit_code(self) -> u8 {
        match self {
            VerdictWord::Clean => 0,
            VerdictWord::Broken => 1,
            VerdictWord::Inconclusive => 2,
        }
    }
}
