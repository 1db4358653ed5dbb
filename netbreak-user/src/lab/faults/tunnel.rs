//! A tunnel between router and server: their link carries nothing but its packets, and the addresses that the probes know
//! are those of its ends, `v1` and `v0`. A fault of the link's devices then hits the outer packets.

use std::net::Ipv4Addr;

use super::FAULT;
use crate::lab::Role::{Router, Server};
use crate::lab::{Effect, Expected, Fault, Need, Role, Step, Truth};
use crate::report::{Cause, Leg};

/// `$make` makes the devices `v1` and `v0`, with the link addresses 02:00:00:00:03:01 and …:02. Neighbours
/// are known beforehand, so that each packet in the tunnel is a probe's.
macro_rules! tunnel {
    ($name:literal, $summary:literal, [$($make:expr),+ $(,)?]) => {
        Fault {
            name: $name,
            summary: $summary,
            demo: false,
            effect: Effect::Spares,
            apply: &[
                Step::Ip(Router, "address add 10.0.9.1/24 dev r1"),
                Step::Ip(Server, "address add 10.0.9.2/24 dev s0"),
                Step::Ip(Router, "neigh replace 10.0.9.2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
                Step::Ip(Server, "neigh replace 10.0.9.1 lladdr 02:00:00:00:02:01 dev s0 nud permanent"),
                $($make,)+
                Step::Ip(Router, "link set v1 up"),
                Step::Ip(Server, "link set v0 up"),
                Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:03:02 dev v1 nud permanent"),
                Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:03:02 dev v1 nud permanent"),
                Step::Ip(Server, "neigh replace 10.0.2.1 lladdr 02:00:00:00:03:01 dev v0 nud permanent"),
                Step::Ip(Server, "neigh replace fd00:2::1 lladdr 02:00:00:00:03:01 dev v0 nud permanent"),
                Step::Ip(Router, "address delete 10.0.2.1/24 dev r1"),
                Step::Ip(Router, "address delete fd00:2::1/64 dev r1"),
                Step::Ip(Router, "address add 10.0.2.1/24 dev v1"),
                Step::Ip(Router, "address add fd00:2::1/64 dev v1 nodad"),
                Step::Ip(Server, "address delete 10.0.2.2/24 dev s0"),
                Step::Ip(Server, "address delete fd00:2::2/64 dev s0"),
                Step::Ip(Server, "address add 10.0.2.2/24 dev v0"),
                Step::Ip(Server, "address add fd00:2::2/64 dev v0 nodad"),
                Step::Ip(Server, "route replace default via 10.0.2.1 dev v0"),
                Step::Ip(Server, "-6 route replace default via fd00:2::1 dev v0"),
            ],
            undo: &[
                // Sockets of the tunnel, if it has any.
                Step::Close,
                Step::Run(Router, &["sh", "-c", "ip link delete v1 2>/dev/null; :"]),
                Step::Run(Server, &["sh", "-c", "ip link delete v0 2>/dev/null; :"]),
                Step::Ip(Router, "address flush dev r1 scope global"),
                Step::Ip(Server, "address flush dev s0 scope global"),
                Step::Ip(Router, "neigh flush dev r1 nud all"),
                Step::Ip(Server, "neigh flush dev s0 nud all"),
                Step::Ip(Router, "address add 10.0.2.1/24 dev r1"),
                Step::Ip(Router, "address add fd00:2::1/64 dev r1 nodad"),
                Step::Ip(Server, "address add 10.0.2.2/24 dev s0"),
                Step::Ip(Server, "address add fd00:2::2/64 dev s0 nodad"),
                Step::Ip(Server, "route replace default via 10.0.2.1 dev s0"),
                Step::Ip(Server, "-6 route replace default via fd00:2::1 dev s0"),
            ],
            ..FAULT
        }
    };
}

/// The ends of the underlay.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 2);

pub(super) const FAULTS: &[Fault] = &[
    tunnel!(
        "vxlan",
        "the router's link to the server is a VXLAN",
        [
            // Only frames for the other end's link address know where to go: no multicast is wrapped.
            Step::Ip(
                Router,
                "link add v1 address 02:00:00:00:03:01 type vxlan id 77 local 10.0.9.1 dev r1 dstport 4789 nolearning",
            ),
            Step::Ip(
                Server,
                "link add v0 address 02:00:00:00:03:02 type vxlan id 77 local 10.0.9.2 dev s0 dstport 4789 nolearning",
            ),
            Step::Run(Router, &["bridge", "fdb", "add", "02:00:00:00:03:02", "dev", "v1", "dst", "10.0.9.2"]),
            Step::Run(Server, &["bridge", "fdb", "add", "02:00:00:00:03:01", "dev", "v0", "dst", "10.0.9.1"]),
        ]
    ),
    tunnel!(
        "vxlan-v6",
        "the router's link to the server is a VXLAN over IPv6",
        [
            Step::Ip(Router, "address add fd00:9::1/64 dev r1 nodad"),
            Step::Ip(Server, "address add fd00:9::2/64 dev s0 nodad"),
            Step::Ip(Router, "neigh replace fd00:9::2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
            Step::Ip(Server, "neigh replace fd00:9::1 lladdr 02:00:00:00:02:01 dev s0 nud permanent"),
            Step::Ip(
                Router,
                "link add v1 address 02:00:00:00:03:01 type vxlan id 77 local fd00:9::1 dev r1 dstport 4789 nolearning",
            ),
            Step::Ip(
                Server,
                "link add v0 address 02:00:00:00:03:02 type vxlan id 77 local fd00:9::2 dev s0 dstport 4789 nolearning",
            ),
            Step::Run(
                Router,
                &["bridge", "fdb", "add", "02:00:00:00:03:02", "dev", "v1", "dst", "fd00:9::2"]
            ),
            Step::Run(
                Server,
                &["bridge", "fdb", "add", "02:00:00:00:03:01", "dev", "v0", "dst", "fd00:9::1"]
            ),
        ]
    ),
    tunnel!(
        "geneve",
        "the router's link to the server is a Geneve tunnel of two processes",
        [
            Step::Geneve(Router, "v1", ROUTER, SERVER),
            Step::Geneve(Server, "v0", SERVER, ROUTER),
            Step::Ip(Router, "link set v1 address 02:00:00:00:03:01 mtu 1450"),
            Step::Ip(Server, "link set v0 address 02:00:00:00:03:02 mtu 1450"),
        ]
    ),
];

/// Counts and drops answers to all probes.
macro_rules! replies {
    ($where:literal) => {
        concat!(
            $where,
            " meta l4proto { tcp, udp } counter name died drop\n",
            $where,
            " icmp type echo-reply counter name died drop\n",
            $where,
            " icmpv6 type echo-reply counter name died drop"
        )
    };
}

/// A drop of probe packets inside the tunnel.
macro_rules! drops {
    ($name:literal, $summary:literal, $leg:ident, $role:ident $device:expr, $hook:literal, $rules:expr) => {
        Fault {
            name: $name,
            summary: $summary,
            needs: Need::Nftables,
            demo: false,
            apply: &[Step::Nft($role, table!("inet", $hook, $rules))],
            undo: &[Step::Nft($role, "flush table inet netbreak")],
            expected: dies(Leg::$leg, $role, $device),
            truth: Truth::Nft($role, "inet", "netbreak"),
            ..FAULT
        }
    };
}

const fn dies(leg: Leg, role: Role, device: Option<&'static str>) -> Option<Expected> {
    Some(Expected { cause: Cause::Netfilter, leg, role, device, reasons: &["NETFILTER_DROP"] })
}

pub(super) const INSIDE: &[Fault] = &[
    drops!(
        "tunnel-forward",
        "the router drops requests on their way into the tunnel, in nft forward",
        Request,
        Router Some("r0"),
        "forward priority 0",
        requests!("oifname \"v1\"", "drop")
    ),
    drops!(
        "tunnel-input",
        "the server drops requests that came out of the tunnel, in nft input",
        Request,
        Server Some("v0"),
        "input priority 0",
        requests!("iifname \"v0\"", "drop")
    ),
    drops!(
        "tunnel-output-reply",
        "the server drops replies on their way into the tunnel, in nft output",
        Reply,
        Server None,
        "output priority 0",
        replies!("oifname \"v0\"")
    ),
    drops!(
        "tunnel-forward-reply",
        "the router drops replies that came out of the tunnel, in nft forward",
        Reply,
        Router Some("v1"),
        "forward priority 0",
        replies!("iifname \"v1\"")
    ),
];
