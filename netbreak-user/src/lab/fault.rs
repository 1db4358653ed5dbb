//! What a fault is: how it is brought about and undone, and what the kernel then shows.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Role, Step};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

/// A way to break the lab.
#[derive(Debug)]
pub struct Fault {
    /// For `--fault`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What must be installed.
    pub needs: Need,
    /// May `netbreak demo` show it? Its five probes go to a `netbreak serve` that it knows nothing of.
    pub demo: bool,
    /// The probes that it hits.
    pub probes: &'static [Kind],
    /// The address families that it hits.
    pub families: &'static [Family],
    /// What becomes of those probes.
    pub effect: Effect,
    /// What `netbreak run` must be told besides the probe, such as a size.
    pub arguments: &'static [&'static str],
    /// Whom the probes must visit for it to concern them, if it is not the server itself.
    pub service: Option<&'static Service>,
    /// How it is brought about. The step that starts it is the last one that touches packets.
    pub apply: &'static [Step],
    /// How it is undone. The count of the dead stays.
    pub undo: &'static [Step],
    /// What the verdict must say about lost attempts. `None`: none is lost.
    pub expected: Option<Expected>,
    /// Who knows how many died.
    pub truth: Truth,
    /// Has it an image that hits replies? The table of faults then has both.
    pub mirrors: bool,
}

/// An address of which the router makes the server's, and ports of it that are other ones at the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// Ports of the server, each with the service's.
    pub ports: &'static [(u16, u16)],
}

impl Service {
    /// The service's port that leads to this one of the server.
    pub fn port(&self, server: u16) -> Option<u16> {
        self.ports.iter().find(|(of_server, _)| *of_server == server).map(|(_, port)| *port)
    }
}

/// An address family of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: &'static [Family] = &[Family::V4, Family::V6];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// What becomes of the probes while a fault is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Every attempt is lost.
    KillsAll,
    /// Some are lost, some are answered.
    KillsSome,
    /// Every attempt is refused, which is an answer of the path; the packets that were refused are counted.
    Refuses,
    /// Every attempt is answered, whatever else there is to see.
    Spares,
}

/// A program beside iproute2, which the lab needs anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing else.
    Iproute2,
    /// `nft`.
    Nftables,
    /// `iptables` with its backends.
    Iptables,
    /// `nft` and `ethtool`.
    Ethtool,
}

impl Need {
    /// The programs, as they are called.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Need::Iproute2 => &["ip", "tc"],
            Need::Nftables => &["ip", "tc", "nft"],
            Need::Iptables => &["ip", "tc", "iptables", "iptables-legacy", "ip6tables-legacy"],
            Need::Ethtool => &["ip", "tc", "nft", "ethtool"],
        }
    }
}

/// Where a packet dies, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Class of the death.
    pub cause: Cause,
    /// Which way the packet went.
    pub leg: Leg,
    /// In which namespace.
    pub role: Role,
    /// Device of the packet; `None` where it has none.
    pub device: Option<&'static str>,
    /// The reasons that the kernel may give (as of 6.18), or the errno. Empty: it frees no packet as dropped, so that only
    /// the way that a packet took can tell.
    pub reasons: &'static [&'static str],
}

/// Who knows how many packets died of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The nft counter `died` of this family and table.
    Nft(Role, &'static str, &'static str),
    /// The sum of these SNMP counters, since the fault was brought about. Nothing else in the lab raises them.
    Snmp(Role, &'static [&'static str]),
    /// The drops of the qdisc of this device: `root`, or `clsact`.
    Qdisc(Role, &'static str, &'static str),
    /// The packets of an iptables rule: the program, the table, and the chain whose first rule it is.
    Iptables(Role, &'static str, &'static str, &'static str),
    /// Nobody: it is every packet of that leg sent while the fault was there.
    Everything,
}
