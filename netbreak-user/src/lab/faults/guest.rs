//! What needs a machine of its own, since it changes all of it, or modules that many kernels are built without.

use super::FAULT;
use crate::lab::Role::Router;
use crate::lab::{Effect, Expected, Fault, Need, Step, Truth};
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, device: &'static str, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Router, device: Some(device), reasons })
}

/// ARP and neighbour discovery are packets as well, which must not be among the dead.
const KNOWN: [Step; 2] = [
    Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
    Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
];
const UNKNOWN: [Step; 2] =
    [Step::Ip(Router, "neigh delete 10.0.2.2 dev r1"), Step::Ip(Router, "neigh delete fd00:2::2 dev r1")];

/// Enters a connection of nobody's into the table.
macro_rules! resident {
    ($port:literal) => {
        &[
            "conntrack",
            "-I",
            "-p",
            "udp",
            "-s",
            "10.9.0.1",
            "-d",
            "10.9.0.2",
            "--sport",
            $port,
            "--dport",
            "9",
            "--timeout",
            "600",
            "--status",
            "ASSURED",
        ]
    };
}

/// The limit is the whole machine's (`nf_conntrack_standalone_init_sysctl`).
const MOST_CONNECTIONS: &str = "netfilter/nf_conntrack_max";

const RESIDENTS: [&[&str]; 2] = [resident!("1"), resident!("2")];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "conntrack-full",
        summary: "the router's table of connections is full",
        needs: Need::Nftables,
        apply: &[
            Step::Nft(
                Router,
                "table inet tracked {\n chain requests {\n type filter hook prerouting priority 0;\n\
                 ct state new accept\n }\n}\n",
            ),
            // Two connections that make no room for others (`early_drop` spares those that are assured).
            Step::Run(Router, RESIDENTS[0]),
            Step::Run(Router, RESIDENTS[1]),
            Step::Machine(MOST_CONNECTIONS, "1"),
        ],
        undo: &[Step::Machine(MOST_CONNECTIONS, "65536"), Step::Nft(Router, "delete table inet tracked")],
        expected: dies(Cause::Conntrack, "r0", &["NETFILTER_DROP"]),
        truth: Truth::Snmp(Router, &["Conntrack.drop"]),
        ..FAULT
    },
    Fault {
        name: "netem-loss",
        summary: "the router's queue for requests loses half of them (netem)",
        effect: Effect::KillsSome,
        apply: &[KNOWN[0], KNOWN[1], Step::Tc(Router, "qdisc replace dev r1 root netem loss 50%")],
        // It stays, so that its count can be read.
        undo: &[Step::Tc(Router, "qdisc change dev r1 root netem loss 0%"), UNKNOWN[0], UNKNOWN[1]],
        expected: dies(Cause::Queue, "r1", &["QDISC_DROP"]),
        truth: Truth::Qdisc(Router, "r1", "root"),
        ..FAULT
    },
    Fault {
        name: "netem-limit",
        summary: "the router's queue for requests delays them and has room for two (netem)",
        effect: Effect::KillsSome,
        apply: &[KNOWN[0], KNOWN[1], Step::Tc(Router, "qdisc replace dev r1 root netem delay 200ms limit 2")],
        undo: &[
            Step::Tc(Router, "qdisc change dev r1 root netem delay 0ms limit 1000"),
            UNKNOWN[0],
            UNKNOWN[1],
        ],
        expected: dies(Cause::Queue, "r1", &["QDISC_DROP", "QDISC_OVERLIMIT"]),
        truth: Truth::Qdisc(Router, "r1", "root"),
        ..FAULT
    },
    Fault {
        name: "u32",
        summary: "the router drops requests by a u32 filter of tc ingress",
        apply: &[
            Step::Tc(Router, "qdisc add dev r0 clsact"),
            Step::Tc(
                Router,
                "filter add dev r0 ingress protocol ip prio 1 u32 match ip dst 10.0.2.2/32 action drop",
            ),
            Step::Tc(
                Router,
                "filter add dev r0 ingress protocol ipv6 prio 2 u32 match ip6 dst fd00:2::2/128 action drop",
            ),
        ],
        undo: &[Step::Tc(Router, "filter delete dev r0 ingress")],
        expected: dies(Cause::Tc, "r0", &["TC_INGRESS"]),
        truth: Truth::Qdisc(Router, "r0", "clsact"),
        ..FAULT
    },
];
