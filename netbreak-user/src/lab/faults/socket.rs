//! What dies at its destination: full sockets, wrong checksums, an answer that is not given.

use super::ALL;
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Expected, Fault, Need, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, reason: &'static str) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Server, device: Some("s0"), reason })
}

const UNDO_NFT: &[Step] = &[Step::Nft(Router, "flush table inet netbreak")];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "ip-checksum",
        summary: "requests reach the server with a wrong IP header checksum (IPv4)",
        needs: Need::Nftables,
        demo: true,
        probes: ALL,
        arguments: &[],
        apply: &[Step::Nft(
            Router,
            table!(
                "inet",
                "postrouting priority 0",
                "oifname \"r1\" ip protocol { icmp, tcp, udp } counter name died ip checksum set 0xbad"
            ),
        )],
        undo: UNDO_NFT,
        expected: dies(Cause::Checksum, "IP_CSUM"),
        truth: Truth::Nft(Router, "inet"),
    },
    Fault {
        name: "udp-checksum",
        summary: "UDP requests reach the server with a wrong checksum",
        needs: Need::Ethtool,
        demo: false,
        probes: &[Kind::Udp],
        arguments: &[],
        // With offloading the checksum would be left to a device that never comes, and nobody would look at it.
        apply: &[
            Step::Run(Client, &["ethtool", "-K", "c0", "tx", "off"]),
            Step::Nft(
                Router,
                table!(
                    "inet",
                    "postrouting priority 0",
                    "oifname \"r1\" meta l4proto udp counter name died udp checksum set 0xbad"
                ),
            ),
        ],
        undo: &[UNDO_NFT[0], Step::Run(Client, &["ethtool", "-K", "c0", "tx", "on"])],
        expected: dies(Cause::Checksum, "UDP_CSUM"),
        truth: Truth::Nft(Router, "inet"),
    },
    Fault {
        name: "tcp-checksum",
        summary: "TCP requests reach the server with a wrong checksum",
        needs: Need::Ethtool,
        demo: false,
        probes: &[Kind::Tcp, Kind::Http, Kind::Stream],
        arguments: &[],
        apply: &[
            Step::Run(Client, &["ethtool", "-K", "c0", "tx", "off"]),
            Step::Nft(
                Router,
                table!(
                    "inet",
                    "postrouting priority 0",
                    "oifname \"r1\" meta l4proto tcp counter name died tcp checksum set 0xbad"
                ),
            ),
        ],
        undo: &[UNDO_NFT[0], Step::Run(Client, &["ethtool", "-K", "c0", "tx", "on"])],
        expected: dies(Cause::Checksum, "TCP_CSUM"),
        truth: Truth::Nft(Router, "inet"),
    },
    Fault {
        name: "icmp-checksum",
        summary: "echo requests reach the server with a wrong ICMP checksum",
        needs: Need::Nftables,
        demo: false,
        probes: &[Kind::Icmp],
        arguments: &[],
        apply: &[Step::Nft(
            Router,
            table!(
                "inet",
                "postrouting priority 0",
                "oifname \"r1\" icmp type echo-request counter name died icmp checksum set 0xbad"
            ),
        )],
        undo: UNDO_NFT,
        expected: dies(Cause::Checksum, "ICMP_CSUM"),
        truth: Truth::Nft(Router, "inet"),
    },
    Fault {
        name: "udp-buffer",
        summary: "the receive buffer of the server's socket on UDP port 9999 is full",
        needs: Need::Iproute2,
        demo: false,
        probes: &[Kind::Udp],
        arguments: &["--udp", "9999"],
        apply: &[Step::FullSocket(9999)],
        undo: &[Step::CloseSockets],
        expected: dies(Cause::Socket, "SOCKET_RCVBUFF"),
        truth: Truth::Snmp(Server, "Udp.RcvbufErrors"),
    },
    Fault {
        name: "udp-no-port",
        summary: "nobody listens on the server's UDP port 9",
        needs: Need::Iproute2,
        demo: false,
        probes: &[Kind::Udp],
        arguments: &["--udp", "9"],
        apply: &[],
        undo: &[],
        expected: dies(Cause::Socket, "NO_SOCKET"),
        truth: Truth::Snmp(Server, "Udp.NoPorts"),
    },
    Fault {
        name: "icmp-ignored",
        summary: "the server takes echo requests and answers none (IPv4)",
        needs: Need::Iproute2,
        demo: false,
        probes: &[Kind::Icmp],
        arguments: &[],
        apply: &[Step::Sysctl(Server, "ipv4/icmp_echo_ignore_all", "1")],
        undo: &[Step::Sysctl(Server, "ipv4/icmp_echo_ignore_all", "0")],
        expected: None,
        truth: Truth::Everything,
    },
];
