//! Where attempts died, and why.

use serde::{Deserialize, Serialize};

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
    /// The next hop's link address did not resolve, or an outdated one was used.
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
