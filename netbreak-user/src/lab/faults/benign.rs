//! What makes copies of packets, which die everywhere while the packet lives: no attempt is lost.

use super::FAULT;
use crate::lab::Role::{Router, Server};
use crate::lab::{Effect, Fault, Need, Step};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "packet-sockets",
        summary: "a packet socket is open on every device, and nobody reads it",
        demo: false,
        effect: Effect::Spares,
        apply: &[Step::PacketSockets],
        undo: &[Step::Close],
        ..FAULT
    },
    Fault {
        name: "duplicates",
        summary: "the router sends every request twice",
        needs: Need::Nftables,
        demo: false,
        effect: Effect::Spares,
        apply: &[Step::Nft(
            Router,
            "table ip doubles {\n chain requests {\n type filter hook prerouting priority -200;\n\
             iifname \"r0\" dup to 10.0.2.2 device \"r1\"\n }\n}\n\
             table ip6 doubles {\n chain requests {\n type filter hook prerouting priority -200;\n\
             iifname \"r0\" ip6 nexthdr { tcp, udp } dup to fd00:2::2 device \"r1\"\n\
             iifname \"r0\" icmpv6 type echo-request dup to fd00:2::2 device \"r1\"\n }\n}\n",
        )],
        undo: &[Step::Nft(Router, "delete table ip doubles\ndelete table ip6 doubles")],
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "masquerade",
        summary: "the router hides the client's address behind its own",
        needs: Need::Nftables,
        demo: false,
        effect: Effect::Spares,
        apply: &[Step::Nft(
            Router,
            "table inet hides {\n chain requests {\n type nat hook postrouting priority 100;\n\
             oifname \"r1\" masquerade\n }\n}\n",
        )],
        undo: &[Step::Nft(Router, "delete table inet hides")],
        ..FAULT
    },
    Fault {
        name: "routing-rules",
        summary: "the server asks a table first that has no route to the client",
        demo: false,
        effect: Effect::Spares,
        apply: &[
            Step::Ip(Server, "route add 10.0.99.0/24 dev s0 table 99"),
            Step::Ip(Server, "-6 route add fd00:99::/64 dev s0 table 99"),
            Step::Ip(Server, "rule add priority 99 lookup 99"),
            Step::Ip(Server, "-6 rule add priority 99 lookup 99"),
        ],
        undo: &[
            Step::Ip(Server, "rule delete priority 99"),
            Step::Ip(Server, "-6 rule delete priority 99"),
            Step::Ip(Server, "route flush table 99"),
            Step::Ip(Server, "-6 route flush table 99"),
        ],
        ..FAULT
    },
    Fault {
        name: "bridge",
        summary: "the router's link to the server is a port of a bridge that floods, and another port hears all requests",
        demo: false,
        effect: Effect::Spares,
        // It forgets every address at once, and has the one of the port that it takes the place of. The router goes on
        // knowing its neighbours.
        apply: &[
            Step::Ip(
                Router,
                "link add br0 address 02:00:00:00:02:01 type bridge ageing_time 0 mcast_snooping 0",
            ),
            Step::Ip(Router, "link add p0 type veth peer name p1"),
            Step::Ip(Router, "link set p0 master br0"),
            Step::Ip(Router, "link set p0 up"),
            Step::Ip(Router, "link set p1 up"),
            Step::Ip(Router, "link set r1 master br0"),
            Step::Ip(Router, "link set br0 up"),
            Step::Ip(Router, "address delete 10.0.2.1/24 dev r1"),
            Step::Ip(Router, "address delete fd00:2::1/64 dev r1"),
            Step::Ip(Router, "address add 10.0.2.1/24 dev br0"),
            Step::Ip(Router, "address add fd00:2::1/64 dev br0 nodad"),
            Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev br0 nud reachable"),
            Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:02:02 dev br0 nud reachable"),
            Step::Ip(Server, "neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev s0 nud reachable"),
            Step::Ip(Server, "neigh replace fd00:2::1 lladdr 02:00:00:00:02:01 dev s0 nud reachable"),
        ],
        undo: &[
            Step::Ip(Router, "link set r1 nomaster"),
            Step::Ip(Router, "link delete br0"),
            Step::Ip(Router, "link delete p0"),
            Step::Ip(Router, "address add 10.0.2.1/24 dev r1"),
            Step::Ip(Router, "address add fd00:2::1/64 dev r1 nodad"),
        ],
        ..FAULT
    },
];
