//! Addresses and ports that the router rewrites: no attempt is lost, but its packets look otherwise on the far side.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::FAULT;
use crate::lab::Role::{Client, Router};
use crate::lab::{Effect, Fault, Need, Service, Step};
use crate::probe::Kind;

/// Rules of the router in a table of their own, which is gone afterwards.
macro_rules! rewrites {
    ($name:literal, $summary:literal, $chains:expr) => {
        Fault {
            name: $name,
            summary: $summary,
            needs: Need::Nftables,
            demo: false,
            effect: Effect::Spares,
            apply: &[Step::Nft(Router, concat!("table inet rewrites {\n", $chains, "}\n"))],
            undo: &[Step::Nft(Router, "delete table inet rewrites")],
            ..FAULT
        }
    };
}

/// The nat chain of a hook.
macro_rules! chain {
    ($hook:literal $priority:literal, $($rule:expr),+ $(,)?) => {
        concat!("chain ", $hook, " {\n type nat hook ", $hook, " priority ", $priority, ";\n", $($rule, "\n",)+ "}\n")
    };
}

/// Requests for ports of the addresses `$to` go to the server.
macro_rules! to_server {
    ($to:literal, $to_v6:literal, $stream:literal $tcp:literal $http:literal $udp:literal) => {
        concat!(
            to_server!("ip" $to "tcp", $stream, "10.0.2.2:5201"),
            to_server!("ip" $to "tcp", $tcp, "10.0.2.2:7000"),
            to_server!("ip" $to "tcp", $http, "10.0.2.2:8080"),
            to_server!("ip" $to "udp", $udp, "10.0.2.2:4000"),
            to_server!("ip6" $to_v6 "tcp", $stream, "[fd00:2::2]:5201"),
            to_server!("ip6" $to_v6 "tcp", $tcp, "[fd00:2::2]:7000"),
            to_server!("ip6" $to_v6 "tcp", $http, "[fd00:2::2]:8080"),
            to_server!("ip6" $to_v6 "udp", $udp, "[fd00:2::2]:4000"),
        )
    };
    ($family:literal $to:literal $protocol:literal, $port:literal, $server:literal) => {
        concat!($family, " daddr ", $to, " ", $protocol, " dport ", $port, " dnat ", $family, " to ", $server, "\n")
    };
}

/// As a Service of Kubernetes: an address that nobody has.
const SERVICE: Service = Service {
    v4: Ipv4Addr::new(10, 96, 0, 10),
    v6: Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0x10),
    ports: &[(5201, 82), (7000, 80), (8080, 81), (4000, 53)],
};

/// As a NodePort: the router's own address.
const NODE_PORT: Service = Service {
    v4: Ipv4Addr::new(10, 0, 1, 1),
    v6: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1),
    ports: &[(5201, 30_082), (7000, 30_080), (8080, 30_081), (4000, 30_053)],
};

const LOCAL_PORTS: &str = "ipv4/ip_local_port_range";

pub(super) const FAULTS: &[Fault] = &[
    // Few ports on both sides: connections get ports that other ones of the same probe have on this side.
    Fault {
        name: "masquerade-random",
        summary: "the router hides the client's address behind its own, and ports behind random ones, some in use",
        needs: Need::Nftables,
        demo: false,
        effect: Effect::Spares,
        apply: &[
            Step::Sysctl(Client, LOCAL_PORTS, "40000 40199"),
            Step::Nft(
                Router,
                concat!(
                    "table inet rewrites {\n",
                    chain!(
                        "postrouting" "100",
                        "oifname \"r1\" meta l4proto tcp masquerade to :40000-40199 random",
                        "oifname \"r1\" meta l4proto udp masquerade to :40000-40199 random",
                        "oifname \"r1\" meta l4proto { icmp, icmpv6 } masquerade random",
                    ),
                    "}\n"
                ),
            ),
        ],
        undo: &[
            Step::Nft(Router, "delete table inet rewrites"),
            // The kernel's (`inet_init_net`, net/ipv4/af_inet.c).
            Step::Sysctl(Client, LOCAL_PORTS, "32768 60999"),
        ],
        ..FAULT
    },
    rewrites!(
        "masquerade-ports",
        "the router hides the client's address behind its own, and ports behind some of its own",
        chain!(
            "postrouting" "100",
            "oifname \"r1\" meta l4proto tcp masquerade to :40000-49999",
            "oifname \"r1\" meta l4proto udp masquerade to :40000-49999",
            "oifname \"r1\" meta l4proto { icmp, icmpv6 } masquerade",
        )
    ),
    Fault {
        service: Some(&SERVICE),
        ..rewrites!(
            "service",
            "the router sends what is for a service's address on to the server, at other ports (DNAT)",
            chain!(
                "prerouting" "-100",
                to_server!("10.96.0.10", "fd00:96::10", "82" "80" "81" "53"),
                "ip daddr 10.96.0.10 icmp type echo-request dnat ip to 10.0.2.2",
                "ip6 daddr fd00:96::10 icmpv6 type echo-request dnat ip6 to fd00:2::2",
            )
        )
    },
    Fault {
        service: Some(&NODE_PORT),
        // Whoever pings a node means the node.
        probes: &[Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream],
        ..rewrites!(
            "node-port",
            "the router sends what is for ports of its own on to the server, as from itself (DNAT and SNAT)",
            concat!(
                chain!(
                    "prerouting" "-100",
                    to_server!("10.0.1.1", "fd00:1::1", "30082" "30080" "30081" "30053")
                ),
                chain!("postrouting" "100", "oifname \"r1\" ct status dnat masquerade"),
            )
        )
    },
];
