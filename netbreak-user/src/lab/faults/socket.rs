//! What dies at its destination: full sockets, wrong checksums, an answer that is not given.

use super::{FAULT, TCP, V4, V6};
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Effect, Expected, Family, Fault, Need, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Server, device: Some("s0"), reasons })
}

const UNDO_NFT: Step = Step::Nft(Router, "flush table inet netbreak");
const COUNT: Truth = Truth::Nft(Router, "inet", "netbreak");

/// With offloading the checksum would be left to a device that never comes, and nobody would look at it.
const NO_OFFLOAD: Step = Step::Run(Client, &["ethtool", "-K", "c0", "tx", "off"]);
const OFFLOAD: Step = Step::Run(Client, &["ethtool", "-K", "c0", "tx", "on"]);

/// The router spoils a checksum of requests that leave it: by one bit, since a constant is right for one packet of 65,536.
macro_rules! spoils {
    ($name:literal, $summary:literal, $reason:literal, $packets:literal, $spoil:literal) => {
        Fault {
            name: $name,
            summary: $summary,
            needs: Need::Ethtool,
            demo: false,
            apply: &[
                NO_OFFLOAD,
                Step::Nft(
                    Router,
                    table!(
                        "inet",
                        "postrouting priority 0",
                        concat!("oifname \"r1\" ", $packets, " counter name died ", $spoil)
                    ),
                ),
            ],
            undo: &[UNDO_NFT, OFFLOAD],
            expected: dies(Cause::Checksum, &[$reason]),
            truth: COUNT,
            mirrors: true,
            ..FAULT
        }
    };
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        needs: Need::Nftables,
        demo: true,
        families: V4,
        apply: &[Step::Nft(
            Router,
            table!(
                "inet",
                "postrouting priority 0",
                "oifname \"r1\" ip protocol { tcp, udp } counter name died ip checksum set ip checksum ^ 1\n\
                 oifname \"r1\" icmp type echo-request counter name died ip checksum set ip checksum ^ 1"
            ),
        )],
        undo: &[UNDO_NFT],
        ..spoils!(
            "ip-checksum",
            "requests reach the server with a wrong IP header checksum (IPv4)",
            "IP_CSUM",
            "",
            ""
        )
    },
    Fault {
        probes: &[Kind::Udp],
        ..spoils!(
            "udp-checksum",
            "UDP requests reach the server with a wrong checksum",
            "UDP_CSUM",
            "meta l4proto udp",
            "udp checksum set udp checksum ^ 1"
        )
    },
    Fault {
        probes: TCP,
        ..spoils!(
            "tcp-checksum",
            "TCP requests reach the server with a wrong checksum",
            "TCP_CSUM",
            "meta l4proto tcp",
            "tcp checksum set tcp checksum ^ 1"
        )
    },
    Fault {
        probes: &[Kind::Icmp],
        families: V4,
        mirrors: false,
        ..spoils!(
            "icmp-checksum",
            "echo requests reach the server with a wrong ICMP checksum (IPv4)",
            "ICMP_CSUM",
            "icmp type echo-request",
            "icmp checksum set icmp checksum ^ 1"
        )
    },
    Fault {
        probes: &[Kind::Icmp],
        families: V6,
        mirrors: false,
        ..spoils!(
            "icmpv6-checksum",
            "echo requests reach the server with a wrong ICMPv6 checksum (IPv6)",
            "ICMP_CSUM",
            "icmpv6 type echo-request",
            "icmpv6 checksum set icmpv6 checksum ^ 1"
        )
    },
    Fault {
        name: "udp-buffer",
        summary: "the receive buffer of the server's socket on UDP port 9999 is full",
        demo: false,
        probes: &[Kind::Udp],
        families: V4,
        arguments: &["--udp", "9999"],
        apply: &[Step::FullSocket(9999)],
        undo: &[Step::Close],
        expected: dies(Cause::Socket, &["SOCKET_RCVBUFF"]),
        truth: Truth::Snmp(Server, &["Udp.RcvbufErrors"]),
        ..FAULT
    },
    Fault {
        name: "udp-no-port",
        summary: "nobody listens on the server's UDP port 9",
        demo: false,
        probes: &[Kind::Udp],
        arguments: &["--udp", "9"],
        expected: dies(Cause::Socket, &["NO_SOCKET"]),
        truth: Truth::Snmp(Server, &["Udp.NoPorts", "Udp6NoPorts"]),
        ..FAULT
    },
    Fault {
        name: "tcp-no-port",
        summary: "nobody listens on the server's TCP port 9",
        demo: false,
        probes: &[Kind::Tcp],
        effect: Effect::Refuses,
        needs: Need::Nftables,
        arguments: &["--tcp", "9"],
        // What it refuses is counted by the answers.
        apply: &[Step::Nft(
            Server,
            table!("inet", "output priority 0", "oifname \"s0\" tcp sport 9 counter name died"),
        )],
        undo: &[Step::Nft(Server, "flush table inet netbreak")],
        expected: dies(Cause::Socket, &["NO_SOCKET"]),
        truth: Truth::Nft(Server, "inet", "netbreak"),
        ..FAULT
    },
    Fault {
        name: "accept-queue",
        summary: "the accept queue of the server's socket on TCP port 9998 is full",
        demo: false,
        probes: &[Kind::Tcp],
        families: V4,
        arguments: &["--tcp", "9998"],
        apply: &[Step::FullBacklog(9998)],
        undo: &[Step::Close],
        // The SYN is consumed, not dropped (`tcp_conn_request` in net/ipv4/tcp_input.c).
        expected: dies(Cause::Socket, &[]),
        truth: Truth::Snmp(Server, &["TcpExt.ListenOverflows"]),
        ..FAULT
    },
    Fault {
        name: "syn-queue",
        summary: "the SYN queue of the server's socket on TCP port 9997 is full, without SYN cookies",
        needs: Need::Nftables,
        demo: false,
        probes: &[Kind::Tcp],
        families: V4,
        arguments: &["--tcp", "9997"],
        apply: &[
            Step::Sysctl(Server, "ipv4/tcp_syncookies", "0"),
            Step::Nft(Server, table!("inet", "output priority 0", "oifname \"lo\" tcp sport 9997 drop")),
            Step::HalfOpen(9997),
        ],
        undo: &[
            Step::Close,
            Step::Nft(Server, "flush table inet netbreak"),
            Step::Sysctl(Server, "ipv4/tcp_syncookies", "1"),
        ],
        // As above.
        expected: dies(Cause::Socket, &[]),
        truth: Truth::Snmp(Server, &["TcpExt.TCPReqQFullDrop"]),
        ..FAULT
    },
    Fault {
        name: "icmp-ignored",
        summary: "the server takes echo requests and answers none",
        demo: false,
        probes: &[Kind::Icmp],
        families: Family::ALL,
        apply: &[
            Step::Sysctl(Server, "ipv4/icmp_echo_ignore_all", "1"),
            Step::Sysctl(Server, "ipv6/icmp/echo_ignore_all", "1"),
        ],
        undo: &[
            Step::Sysctl(Server, "ipv4/icmp_echo_ignore_all", "0"),
            Step::Sysctl(Server, "ipv6/icmp/echo_ignore_all", "0"),
        ],
        // They are consumed as if they were answered (`icmp_rcv` in net/ipv4/icmp.c).
        expected: dies(Cause::Socket, &[]),
        ..FAULT
    },
];
