//! Rules of nftables, at every hook of a request's and a reply's way.

use super::{ALL, FAULT, TCP, V4};
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Effect, Expected, Fault, Need, Role, Step, Truth};
use crate::probe::Kind;
use crate::report::{Cause, Leg};

/// The answer where a rule frees the packet. In forward its device is still the one that it came in by (`ip_output`
/// sets the next one), in output it has none yet.
pub(super) const fn dies(role: Role, device: Option<&'static str>) -> Option<Expected> {
    let reasons = &["NETFILTER_DROP"];
    Some(Expected { cause: Cause::Netfilter, leg: Leg::Request, role, device, reasons })
}

/// A drop for all probes, in one table whose chain the undo empties.
macro_rules! drops {
    ($name:literal, $summary:literal, $role:ident $device:expr, $family:literal $hook:literal, $rules:expr) => {
        Fault {
            name: $name,
            summary: $summary,
            needs: Need::Nftables,
            probes: ALL,
            apply: &[Step::Nft($role, table!($family, $hook, $rules))],
            undo: &[Step::Nft($role, concat!("flush table ", $family, " netbreak"))],
            expected: dies($role, $device),
            truth: Truth::Nft($role, $family, "netbreak"),
            mirrors: true,
            ..FAULT
        }
    };
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        demo: false,
        ..drops!(
            "nft-before-nat",
            "the router drops requests in nft prerouting, before it rewrites any",
            Router Some("r0"),
            "inet" "prerouting priority -300",
            requests!("iifname \"r0\"", "drop")
        )
    },
    Fault {
        demo: false,
        ..drops!(
            "nft-after-nat",
            "the router drops requests in nft postrouting, after it has rewritten what it does",
            Router Some("r1"),
            "inet" "postrouting priority 300",
            requests!("oifname \"r1\"", "drop")
        )
    },
    drops!(
        "nft-forward",
        "the router drops requests in nft forward",
        Router Some("r0"),
        "inet" "forward priority 0",
        requests!("oifname \"r1\"", "drop")
    ),
    Fault {
        effect: Effect::KillsSome,
        ..drops!(
            "nft-forward-random",
            "the router drops half of the requests in nft forward, at random",
            Router Some("r0"),
            "inet" "forward priority 0",
            requests!("oifname \"r1\" numgen random mod 2 0", "drop")
        )
    },
    Fault {
        effect: Effect::KillsSome,
        demo: false,
        ..drops!(
            "nft-forward-most",
            "the router drops nine of ten requests in nft forward, at random",
            Router Some("r0"),
            "inet" "forward priority 0",
            requests!("oifname \"r1\" numgen random mod 10 < 9", "drop")
        )
    },
    Fault {
        effect: Effect::KillsSome,
        demo: false,
        ..drops!(
            "nft-limit",
            "the router drops requests over a rate in nft forward",
            Router Some("r0"),
            "inet" "forward priority 0",
            requests!("oifname \"r1\" limit rate over 20/second burst 5 packets", "drop")
        )
    },
    drops!(
        "nft-prerouting",
        "the router drops requests in nft prerouting",
        Router Some("r0"),
        "inet" "prerouting priority 0",
        requests!("iifname \"r0\"", "drop")
    ),
    drops!(
        "nft-postrouting",
        "the router drops requests in nft postrouting",
        Router Some("r1"),
        "inet" "postrouting priority 0",
        requests!("oifname \"r1\"", "drop")
    ),
    drops!(
        "nft-input",
        "the server drops requests in nft input",
        Server Some("s0"),
        "inet" "input priority 0",
        requests!("iifname \"s0\"", "drop")
    ),
    drops!(
        "nft-prerouting-server",
        "the server drops requests in nft prerouting",
        Server Some("s0"),
        "inet" "prerouting priority 0",
        requests!("iifname \"s0\"", "drop")
    ),
    drops!(
        "nft-output",
        "the client drops its own requests in nft output",
        Client None,
        "inet" "output priority 0",
        requests!("oifname \"c0\"", "drop")
    ),
    Fault {
        demo: false,
        ..drops!(
            "nft-postrouting-client",
            "the client drops its own requests in nft postrouting",
            Client Some("c0"),
            "inet" "postrouting priority 0",
            requests!("oifname \"c0\"", "drop")
        )
    },
    drops!(
        "nft-reject",
        "the router rejects requests with an ICMP error",
        Router Some("r0"),
        "inet" "forward priority 0",
        requests!("oifname \"r1\"", "reject")
    ),
    Fault {
        probes: TCP,
        demo: false,
        effect: Effect::Refuses,
        mirrors: false,
        ..drops!(
            "nft-reject-reset",
            "the router answers TCP requests with a RST",
            Router Some("r0"),
            "inet" "forward priority 0",
            "oifname \"r1\" meta l4proto tcp counter name died reject with tcp reset"
        )
    },
    Fault {
        probes: TCP,
        demo: false,
        mirrors: false,
        // The server hears the RST, and the client nothing.
        expected: Some(Expected {
            cause: Cause::Netfilter,
            leg: Leg::Reply,
            role: Router,
            device: Some("r1"),
            reasons: &["NETFILTER_DROP"],
        }),
        ..drops!(
            "nft-reject-reset-reply",
            "the router answers TCP replies with a RST",
            Router None,
            "inet" "forward priority 0",
            "oifname \"r0\" meta l4proto tcp counter name died reject with tcp reset"
        )
    },
    drops!(
        "nft-ingress",
        "the router drops requests in nft netdev ingress, before it looks at them",
        Router Some("r0"),
        "netdev" "ingress device r0 priority 0",
        requests!("", "drop")
    ),
    Fault {
        // Tracking that saw no request knows nothing of its answer.
        probes: &[Kind::Icmp, Kind::Tcp, Kind::Http],
        families: V4,
        demo: false,
        apply: &[Step::Nft(
            Router,
            "add table inet netbreak\ndelete table inet netbreak\ntable inet netbreak {\n counter died { }\n\
             chain untracked {\n type filter hook prerouting priority -300;\n iifname \"r0\" notrack\n }\n\
             chain probes {\n type filter hook forward priority 0;\n\
             oifname \"r0\" ct state invalid counter name died drop\n }\n}\n",
        )],
        mirrors: false,
        expected: Some(Expected {
            cause: Cause::Netfilter,
            leg: Leg::Reply,
            role: Router,
            device: Some("r1"),
            reasons: &["NETFILTER_DROP"],
        }),
        ..drops!(
            "nft-invalid",
            "the router tracks no requests, and drops their answers as invalid (IPv4)",
            Router None,
            "inet" "forward priority 0",
            ""
        )
    },
];
