//! Programs of tc and XDP.

use super::FAULT;
use crate::lab::Role::Router;
use crate::lab::{Expected, Fault, Step, Truth, XdpMode};
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, device: &'static str, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Router, device: Some(device), reasons })
}

/// Classic BPF on an Ethernet frame: 2 (`TC_ACT_SHOT`) for IPv4 and for IPv6 but hop-by-hop options and ICMPv6 other than
/// echoes, so ARP, neighbour and multicast listener discovery pass.
macro_rules! shoots {
    ($device:literal, $hook:literal) => {
        &[
            Step::Run(
                Router,
                &["sh", "-c", concat!("tc qdisc delete dev ", $device, " clsact 2>/dev/null; tc qdisc add dev ", $device, " clsact")],
            ),
            Step::Run(
                Router,
                &[
                    "tc", "filter", "add", "dev", $device, $hook, "bpf", "direct-action", "bytecode",
                    "11,40 0 0 12,21 8 0 2048,21 0 6 34525,48 0 0 20,21 4 0 0,21 0 4 58,48 0 0 54,21 2 0 128,21 1 0 129,6 0 0 0,6 0 0 2",
                ],
            ),
        ]
    };
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "tc-ingress",
        summary: "the router drops requests in a BPF filter of tc ingress",
        apply: shoots!("r0", "ingress"),
        undo: &[Step::Tc(Router, "filter delete dev r0 ingress")],
        expected: dies(Cause::Tc, "r0", &["TC_INGRESS"]),
        truth: Truth::Qdisc(Router, "r0", "clsact"),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "tc-egress",
        summary: "the router drops requests in a BPF filter of tc egress",
        apply: shoots!("r1", "egress"),
        undo: &[Step::Tc(Router, "filter delete dev r1 egress")],
        expected: dies(Cause::Tc, "r1", &["TC_EGRESS"]),
        truth: Truth::Qdisc(Router, "r1", "clsact"),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "xdp-generic",
        summary: "an XDP program in generic mode drops requests at the router",
        apply: &[Step::Xdp(Router, "r0", XdpMode::Generic)],
        undo: &[Step::Close],
        // XDP has no reason of its own on all kernels.
        expected: dies(Cause::Xdp, "r0", &["NOT_SPECIFIED", "XDP"]),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "xdp-native",
        summary: "an XDP program in native mode drops requests at the router",
        apply: &[Step::Xdp(Router, "r0", XdpMode::Native)],
        undo: &[Step::Close],
        expected: dies(Cause::Xdp, "r0", &["NOT_SPECIFIED", "XDP"]),
        mirrors: true,
        ..FAULT
    },
];
