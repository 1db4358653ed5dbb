//! Rules of nftables and iptables, at every hook of a request's and a reply's way.

use super::ALL;
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Expected, Fault, Need, Role, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

/// The answer where a rule frees the packet.
const fn dies(leg: Leg, role: Role, device: Option<&'static str>) -> Option<Expected> {
    Some(Expected { cause: Cause::Netfilter, leg, role, device, reason: "NETFILTER_DROP" })
}

/// A drop for all probes, in one table whose chain the undo empties.
const fn drops(
    name: &'static str,
    summary: &'static str,
    apply: &'static [Step],
    undo: &'static [Step],
    expected: Option<Expected>,
    truth: Truth,
) -> Fault {
    Fault {
        name,
        summary,
        needs: Need::Nftables,
        demo: true,
        probes: ALL,
        arguments: &[],
        apply,
        undo,
        expected,
        truth,
    }
}

const FLUSH: &str = "flush table inet netbreak";

/// In a chain of its own, whose count outlives the undo.
const IPTABLES: &str = "iptables -w -N netbreak 2>/dev/null; iptables -w -F netbreak && \
    iptables -w -A netbreak -j DROP && iptables -w -I FORWARD -o r1 -j netbreak";

pub(super) const FAULTS: &[Fault] = &[
    drops(
        "nft-forward",
        "the router drops requests in nft forward",
        &[Step::Nft(Router, table!("inet", "forward priority 0", "oifname \"r1\" counter name died drop"))],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Request, Router, Some("r1")),
        Truth::Nft(Router, "inet"),
    ),
    drops(
        "nft-forward-reply",
        "the router drops replies in nft forward",
        &[Step::Nft(Router, table!("inet", "forward priority 0", "oifname \"r0\" counter name died drop"))],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Reply, Router, Some("r0")),
        Truth::Nft(Router, "inet"),
    ),
    drops(
        "nft-forward-random",
        "the router drops half of the requests in nft forward, at random",
        &[Step::Nft(
            Router,
            table!(
                "inet",
                "forward priority 0",
                "oifname \"r1\" numgen random mod 2 0 counter name died drop"
            ),
        )],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Request, Router, Some("r1")),
        Truth::Nft(Router, "inet"),
    ),
    drops(
        "nft-prerouting",
        "the router drops requests in nft prerouting",
        &[Step::Nft(
            Router,
            table!(
                "inet",
                "prerouting priority 0",
                "iifname \"r0\" meta l4proto { icmp, tcp, udp } counter name died drop\niifname \"r0\" icmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Request, Router, Some("r0")),
        Truth::Nft(Router, "inet"),
    ),
    drops(
        "nft-postrouting",
        "the router drops requests in nft postrouting",
        &[Step::Nft(
            Router,
            table!(
                "inet",
                "postrouting priority 0",
                "oifname \"r1\" meta l4proto { icmp, tcp, udp } counter name died drop\noifname \"r1\" icmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Request, Router, Some("r1")),
        Truth::Nft(Router, "inet"),
    ),
    drops(
        "nft-input",
        "the server drops requests in nft input",
        &[Step::Nft(
            Server,
            table!(
                "inet",
                "input priority 0",
                "iifname \"s0\" meta l4proto { icmp, tcp, udp } counter name died drop\niifname \"s0\" icmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Server, FLUSH)],
        dies(Leg::Request, Server, Some("s0")),
        Truth::Nft(Server, "inet"),
    ),
    drops(
        "nft-prerouting-server",
        "the server drops requests in nft prerouting",
        &[Step::Nft(
            Server,
            table!(
                "inet",
                "prerouting priority 0",
                "iifname \"s0\" meta l4proto { icmp, tcp, udp } counter name died drop\niifname \"s0\" icmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Server, FLUSH)],
        dies(Leg::Request, Server, Some("s0")),
        Truth::Nft(Server, "inet"),
    ),
    drops(
        "nft-output-server",
        "the server drops replies in nft output",
        &[Step::Nft(
            Server,
            table!(
                "inet",
                "output priority 0",
                "oifname \"s0\" meta l4proto { icmp, tcp, udp } counter name died drop\noifname \"s0\" icmpv6 type echo-reply counter name died drop"
            ),
        )],
        &[Step::Nft(Server, FLUSH)],
        dies(Leg::Reply, Server, None),
        Truth::Nft(Server, "inet"),
    ),
    drops(
        "nft-output",
        "the client drops its own requests in nft output: sending fails",
        &[Step::Nft(
            Client,
            table!(
                "inet",
                "output priority 0",
                "oifname \"c0\" meta l4proto { icmp, tcp, udp } counter name died drop\noifname \"c0\" icmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Client, FLUSH)],
        dies(Leg::Request, Client, None),
        Truth::Nft(Client, "inet"),
    ),
    drops(
        "nft-reject",
        "the router rejects requests with an ICMP error",
        &[Step::Nft(Router, table!("inet", "forward priority 0", "oifname \"r1\" counter name died reject"))],
        &[Step::Nft(Router, FLUSH)],
        dies(Leg::Request, Router, Some("r1")),
        Truth::Nft(Router, "inet"),
    ),
    Fault {
        probes: &[Kind::Tcp, Kind::Http, Kind::Stream],
        demo: false,
        ..drops(
            "nft-reject-reset",
            "the router answers TCP requests with a RST",
            &[Step::Nft(
                Router,
                table!(
                    "inet",
                    "forward priority 0",
                    "oifname \"r1\" meta l4proto tcp counter name died reject with tcp reset"
                ),
            )],
            &[Step::Nft(Router, FLUSH)],
            dies(Leg::Request, Router, Some("r1")),
            Truth::Nft(Router, "inet"),
        )
    },
    drops(
        "nft-ingress",
        "the router drops requests in nft netdev ingress, before it looks at them",
        &[Step::Nft(
            Router,
            table!(
                "netdev",
                "ingress device r0 priority 0",
                "meta l4proto { icmp, tcp, udp } counter name died drop\nicmpv6 type echo-request counter name died drop"
            ),
        )],
        &[Step::Nft(Router, "flush table netdev netbreak")],
        dies(Leg::Request, Router, Some("r0")),
        Truth::Nft(Router, "netdev"),
    ),
    Fault {
        needs: Need::Iptables,
        demo: false,
        ..drops(
            "iptables-forward",
            "the router drops requests in iptables FORWARD (IPv4)",
            &[Step::Run(Router, &["sh", "-c", IPTABLES])],
            &[Step::Run(Router, &["iptables", "-w", "-D", "FORWARD", "-o", "r1", "-j", "netbreak"])],
            dies(Leg::Request, Router, Some("r1")),
            Truth::Iptables(Router, "filter", "netbreak"),
        )
    },
];
