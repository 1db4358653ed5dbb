//! Routes that are wrong or missing, and what else the IP layer refuses to carry.

use super::ALL;
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Expected, Fault, Need, Role, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, role: Role, device: &'static str, reason: &'static str) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role, device: Some(device), reason })
}

/// Requests are counted and marked in one nft transaction, which is what starts and ends the fault; the mark's
/// table was there before. So the count is exact, although these routes raise no SNMP counter (`ip_error` in
/// net/ipv4/route.c).
const MARK: Step = Step::Nft(
    Router,
    table!(
        "inet",
        "prerouting priority -150",
        "iifname \"r0\" meta l4proto { icmp, tcp, udp } counter name died meta mark set 77\n\
     iifname \"r0\" icmpv6 type echo-request counter name died meta mark set 77"
    ),
);
const UNMARK: &[Step] = &[
    Step::Nft(Router, "flush table inet netbreak"),
    Step::Ip(Router, "rule delete fwmark 77 table 77"),
    Step::Ip(Router, "-6 rule delete fwmark 77 table 77"),
    Step::Ip(Router, "route flush table 77"),
    Step::Ip(Router, "-6 route flush table 77"),
];

/// A fault of the router's routing for all probes.
const fn route(name: &'static str, summary: &'static str, apply: &'static [Step]) -> Fault {
    Fault {
        name,
        summary,
        needs: Need::Nftables,
        demo: true,
        probes: ALL,
        arguments: &[],
        apply,
        undo: UNMARK,
        // Route errors have no reason of their own; the kernel's default is NOT_SPECIFIED.
        expected: dies(Cause::Route, Router, "r0", "NOT_SPECIFIED"),
        truth: Truth::Nft(Router, "inet"),
    }
}

macro_rules! marked {
    ($kind:literal) => {
        &[
            Step::Ip(Router, concat!("route add ", $kind, " default table 77")),
            Step::Ip(Router, concat!("-6 route add ", $kind, " default table 77")),
            Step::Ip(Router, "rule add fwmark 77 table 77"),
            Step::Ip(Router, "-6 rule add fwmark 77 table 77"),
            MARK,
        ]
    };
}

pub(super) const FAULTS: &[Fault] = &[
    route("route-blackhole", "the router has a blackhole route for requests", marked!("blackhole")),
    route("route-unreachable", "the router has an unreachable route for requests", marked!("unreachable")),
    route("route-prohibit", "the router has a prohibit route for requests", marked!("prohibit")),
    Fault {
        needs: Need::Iproute2,
        undo: &[Step::Ip(Router, "route add 10.0.2.0/24 dev r1 proto kernel scope link src 10.0.2.1")],
        expected: dies(Cause::Route, Router, "r0", "IP_INNOROUTES"),
        truth: Truth::Snmp(Router, "IpExt.InNoRoutes"),
        ..route(
            "route-missing",
            "the router has no route to the server (IPv4)",
            &[Step::Ip(Router, "route delete 10.0.2.0/24 dev r1")],
        )
    },
    Fault {
        needs: Need::Iproute2,
        undo: &[Step::Sysctl(Router, "ipv4/ip_forward", "1")],
        expected: dies(Cause::Route, Router, "r0", "IP_INADDRERRORS"),
        truth: Truth::Snmp(Router, "Ip.InAddrErrors"),
        ..route(
            "forwarding-off",
            "the router does not forward (ip_forward = 0)",
            &[Step::Sysctl(Router, "ipv4/ip_forward", "0")],
        )
    },
    Fault {
        needs: Need::Iproute2,
        undo: &[
            Step::Ip(Server, "route delete 10.0.1.2/32 dev lo"),
            Step::Sysctl(Server, "ipv4/conf/s0/rp_filter", "0"),
        ],
        expected: dies(Cause::Route, Server, "s0", "IP_RPFILTER"),
        truth: Truth::Snmp(Server, "TcpExt.IPReversePathFilter"),
        ..route(
            "rp-filter",
            "the server expects the client behind another device (strict rp_filter)",
            &[
                Step::Sysctl(Server, "ipv4/conf/s0/rp_filter", "1"),
                Step::Ip(Server, "route add 10.0.1.2/32 dev lo"),
            ],
        )
    },
    Fault {
        undo: &[Step::Nft(Router, "flush table inet netbreak")],
        expected: dies(Cause::Ttl, Router, "r0", "IP_INHDR"),
        ..route(
            "ttl",
            "requests reach the router with their last hop used up (TTL 1, IPv4)",
            &[Step::Nft(
                Router,
                table!(
                    "inet",
                    "prerouting priority -150",
                    "iifname \"r0\" ip protocol { icmp, tcp, udp } counter name died ip ttl set 1"
                ),
            )],
        )
    },
    Fault {
        demo: false,
        probes: &[Kind::Icmp, Kind::Udp],
        arguments: &["--size", "1400", "--dont-fragment"],
        // A client that hears of the smaller MTU stops sending; the usual trouble is one that never hears.
        apply: &[
            Step::Nft(
                Client,
                table!("inet", "prerouting priority -150", "icmp type destination-unreachable drop"),
            ),
            Step::Ip(Router, "link set r1 mtu 1300"),
        ],
        undo: &[Step::Ip(Router, "link set r1 mtu 1500"), Step::Nft(Client, "flush table inet netbreak")],
        expected: dies(Cause::Mtu, Router, "r0", "PKT_TOO_BIG"),
        truth: Truth::Snmp(Router, "Ip.FragFails"),
        ..route("mtu", "the router's next link is too narrow, and its ICMP errors do not arrive (IPv4)", &[])
    },
];
