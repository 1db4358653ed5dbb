//! Routes that are wrong or missing on the way, and what else the IP layer refuses to carry.

use super::{FAULT, V4, V6};
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Expected, Fault, Need, Role, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

const fn dies(
    cause: Cause,
    role: Role,
    device: &'static str,
    reasons: &'static [&'static str],
) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role, device: Some(device), reasons })
}

/// Requests are counted and marked in one nft transaction, which is what starts and ends the fault; the mark's
/// table was there before. So the count is exact, although these routes raise no SNMP counter (`ip_error` in
/// net/ipv4/route.c).
const MARK: Step = Step::Nft(
    Router,
    table!("inet", "prerouting priority -150", requests!("iifname \"r0\"", "meta mark set 77")),
);
const UNMARK: &[Step] = &[
    Step::Nft(Router, "flush table inet netbreak"),
    Step::Ip(Router, "rule delete fwmark 77 table 77"),
    Step::Ip(Router, "-6 rule delete fwmark 77 table 77"),
    Step::Ip(Router, "route flush table 77"),
    Step::Ip(Router, "-6 route flush table 77"),
];

/// A route of a kind that carries nothing, for the router's marked requests.
macro_rules! marked {
    ($kind:literal) => {
        Fault {
            name: concat!("route-", $kind),
            summary: concat!("the router's route for requests is of kind ", $kind),
            needs: Need::Nftables,
            apply: &[
                Step::Ip(Router, concat!("route add ", $kind, " default table 77")),
                Step::Ip(Router, concat!("-6 route add ", $kind, " default table 77")),
                Step::Ip(Router, "rule add fwmark 77 table 77"),
                Step::Ip(Router, "-6 rule add fwmark 77 table 77"),
                MARK,
            ],
            undo: UNMARK,
            // Such routes have no reason of their own in IPv4; the kernel's default is NOT_SPECIFIED.
            expected: dies(Cause::Route, Router, "r0", &["NOT_SPECIFIED", "IP_INNOROUTES", "IP_OUTNOROUTES"]),
            truth: Truth::Nft(Router, "inet", "netbreak"),
            mirrors: true,
            ..FAULT
        }
    };
}

/// Packets of 1400 bytes, which may not be cut; and a client that never hears that they are too big, as it is where
/// firewalls drop ICMP. One that hears it stops sending.
const BIG: &[&str] = &["--size", "1400", "--dont-fragment"];
const DEAF: Step = Step::Nft(
    Client,
    table!(
        "inet",
        "prerouting priority -150",
        "icmp type destination-unreachable drop\nicmpv6 type packet-too-big drop"
    ),
);
const HEARING: Step = Step::Nft(Client, "flush table inet netbreak");

pub(super) const FAULTS: &[Fault] = &[
    marked!("blackhole"),
    marked!("unreachable"),
    marked!("prohibit"),
    Fault {
        name: "route-missing",
        summary: "the router has no route for requests (IPv4)",
        families: V4,
        apply: &[Step::Ip(Router, "route delete 10.0.2.0/24 dev r1")],
        undo: &[Step::Ip(Router, "route add 10.0.2.0/24 dev r1 proto kernel scope link src 10.0.2.1")],
        expected: dies(Cause::Route, Router, "r0", &["IP_INNOROUTES"]),
        truth: Truth::Snmp(Router, &["IpExt.InNoRoutes"]),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "route-missing-v6",
        summary: "the router has no route for requests (IPv6)",
        families: V6,
        demo: false,
        apply: &[Step::Ip(Router, "-6 route delete fd00:2::/64 dev r1")],
        undo: &[Step::Ip(Router, "-6 route add fd00:2::/64 dev r1 proto kernel metric 256")],
        expected: dies(Cause::Route, Router, "r0", &["NOT_SPECIFIED", "IP_INNOROUTES", "IP_OUTNOROUTES"]),
        truth: Truth::Snmp(Router, &["Ip6InNoRoutes"]),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "forwarding-off",
        summary: "the router does not forward (ip_forward = 0)",
        families: V4,
        apply: &[Step::Sysctl(Router, "ipv4/ip_forward", "0")],
        undo: &[Step::Sysctl(Router, "ipv4/ip_forward", "1")],
        expected: dies(Cause::Route, Router, "r0", &["IP_INADDRERRORS"]),
        truth: Truth::Snmp(Router, &["Ip.InAddrErrors"]),
        ..FAULT
    },
    Fault {
        name: "forwarding-off-v6",
        summary: "the router does not forward (forwarding = 0, IPv6)",
        families: V6,
        demo: false,
        apply: &[Step::Sysctl(Router, "ipv6/conf/all/forwarding", "0")],
        undo: &[Step::Sysctl(Router, "ipv6/conf/all/forwarding", "1")],
        expected: dies(Cause::Route, Router, "r0", &["NOT_SPECIFIED", "IP_INADDRERRORS"]),
        ..FAULT
    },
    Fault {
        name: "rp-filter",
        summary: "the server expects the client behind another device (strict rp_filter)",
        families: V4,
        apply: &[
            Step::Sysctl(Server, "ipv4/conf/s0/rp_filter", "1"),
            Step::Ip(Server, "route add 10.0.1.2/32 dev lo"),
        ],
        undo: &[
            Step::Ip(Server, "route delete 10.0.1.2/32 dev lo"),
            Step::Sysctl(Server, "ipv4/conf/s0/rp_filter", "0"),
        ],
        expected: dies(Cause::Route, Server, "s0", &["IP_RPFILTER"]),
        truth: Truth::Snmp(Server, &["TcpExt.IPReversePathFilter"]),
        ..FAULT
    },
    Fault {
        name: "address-removed",
        summary: "the server has lost its address (IPv4)",
        families: V4,
        demo: false,
        apply: &[
            // It does not answer for the address either; a router that remembers goes on for a while.
            Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
            Step::Ip(Server, "address delete 10.0.2.2/24 dev s0"),
        ],
        undo: &[
            Step::Ip(Server, "address add 10.0.2.2/24 dev s0"),
            Step::Ip(Server, "route add default via 10.0.2.1"),
            Step::Ip(Router, "neigh delete 10.0.2.2 dev r1"),
        ],
        expected: dies(Cause::Route, Server, "s0", &["IP_INADDRERRORS"]),
        truth: Truth::Snmp(Server, &["Ip.InAddrErrors"]),
        ..FAULT
    },
    Fault {
        name: "ttl",
        summary: "requests reach the router with their last hop used up",
        needs: Need::Nftables,
        apply: &[Step::Nft(
            Router,
            table!(
                "inet",
                "prerouting priority -150",
                "iifname \"r0\" ip protocol { tcp, udp } counter name died ip ttl set 1\n\
                 iifname \"r0\" icmp type echo-request counter name died ip ttl set 1\n\
                 iifname \"r0\" ip6 nexthdr { tcp, udp } counter name died ip6 hoplimit set 1\n\
                 iifname \"r0\" icmpv6 type echo-request counter name died ip6 hoplimit set 1"
            ),
        )],
        undo: &[Step::Nft(Router, "flush table inet netbreak")],
        expected: dies(Cause::Ttl, Router, "r0", &["IP_INHDR"]),
        truth: Truth::Nft(Router, "inet", "netbreak"),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "mtu",
        summary: "the router's next link is too narrow, and its ICMP errors do not arrive (IPv4)",
        needs: Need::Nftables,
        demo: false,
        probes: &[Kind::Icmp, Kind::Udp],
        families: V4,
        arguments: BIG,
        apply: &[DEAF, Step::Ip(Router, "link set r1 mtu 1300")],
        undo: &[Step::Ip(Router, "link set r1 mtu 1500"), HEARING],
        expected: dies(Cause::Mtu, Router, "r0", &["PKT_TOO_BIG"]),
        truth: Truth::Snmp(Router, &["Ip.FragFails"]),
        ..FAULT
    },
    Fault {
        name: "mtu-route",
        summary: "the router's route for requests is too narrow, and its ICMP errors do not arrive (IPv4)",
        needs: Need::Nftables,
        demo: false,
        // The kernel lets the router cut its echo replies (`IP_PMTUDISC_DONT` in `icmp_init`, net/ipv4/icmp.c).
        probes: &[Kind::Udp],
        families: V4,
        arguments: BIG,
        apply: &[DEAF, Step::Ip(Router, "route add 10.0.2.2/32 dev r1 mtu lock 1300")],
        undo: &[Step::Ip(Router, "route delete 10.0.2.2/32 dev r1"), HEARING],
        expected: dies(Cause::Mtu, Router, "r0", &["PKT_TOO_BIG"]),
        truth: Truth::Snmp(Router, &["Ip.FragFails"]),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "mtu-route-v6",
        summary: "the router's route for requests is too narrow, and its ICMP errors do not arrive (IPv6)",
        needs: Need::Nftables,
        demo: false,
        probes: &[Kind::Icmp, Kind::Udp],
        families: V6,
        arguments: BIG,
        apply: &[DEAF, Step::Ip(Router, "-6 route add fd00:2::2/128 dev r1 mtu lock 1300")],
        undo: &[Step::Ip(Router, "-6 route delete fd00:2::2/128 dev r1"), HEARING],
        // It has the next device already (`ip6_forward` in net/ipv6/ip6_output.c).
        expected: dies(Cause::Mtu, Router, "r1", &["PKT_TOO_BIG"]),
        truth: Truth::Snmp(Router, &["Ip6InTooBigErrors"]),
        mirrors: true,
        ..FAULT
    },
];
