//! Rules of iptables, of both of its backends.

use super::netfilter::dies;
use super::{FAULT, V4, V6};
use crate::lab::Role::{Client, Router, Server};
use crate::lab::{Effect, Fault, Need, Step, Truth};

/// A drop in a chain of its own, whose count outlives the undo. `$packets` says which packets of `$chain` go there.
macro_rules! drops {
    (
        $name:literal, $summary:literal, $role:ident $device:expr, $program:literal $table:literal $chain:literal,
        $packets:literal
    ) => {
        Fault {
            name: $name,
            summary: $summary,
            needs: Need::Iptables,
            demo: false,
            families: V4,
            apply: &[Step::Run(
                $role,
                &[
                    "sh",
                    "-c",
                    concat!(
                        "i='",
                        $program,
                        " -w -t ",
                        $table,
                        "'; $i -N netbreak 2>/dev/null; $i -F netbreak && \
                     $i -A netbreak -j DROP && $i -I ",
                        $chain,
                        " ",
                        $packets,
                        " -j netbreak"
                    ),
                ],
            )],
            undo: &[Step::Run(
                $role,
                &[
                    "sh",
                    "-c",
                    concat!($program, " -w -t ", $table, " -D ", $chain, " ", $packets, " -j netbreak"),
                ],
            )],
            expected: dies($role, $device),
            truth: Truth::Iptables($role, $program, $table, "netbreak"),
            mirrors: true,
            ..FAULT
        }
    };
}

pub(super) const FAULTS: &[Fault] = &[
    drops!(
        "iptables-forward",
        "the router drops requests in iptables FORWARD (IPv4)",
        Router Some("r0"),
        "iptables" "filter" "FORWARD",
        "-o r1"
    ),
    drops!(
        "iptables-legacy-forward",
        "the router drops requests in iptables-legacy FORWARD (IPv4)",
        Router Some("r0"),
        "iptables-legacy" "filter" "FORWARD",
        "-o r1"
    ),
    Fault {
        effect: Effect::KillsSome,
        ..drops!(
            "iptables-legacy-random",
            "the router drops half of the requests in iptables-legacy FORWARD, at random (IPv4)",
            Router Some("r0"),
            "iptables-legacy" "filter" "FORWARD",
            "-o r1 -m statistic --mode random --probability 0.5"
        )
    },
    drops!(
        "iptables-legacy-raw",
        "the router drops requests in iptables-legacy raw PREROUTING (IPv4)",
        Router Some("r0"),
        "iptables-legacy" "raw" "PREROUTING",
        "-i r0"
    ),
    drops!(
        "iptables-legacy-postrouting",
        "the router drops requests in iptables-legacy mangle POSTROUTING (IPv4)",
        Router Some("r1"),
        "iptables-legacy" "mangle" "POSTROUTING",
        "-o r1"
    ),
    drops!(
        "iptables-legacy-input",
        "the server drops requests in iptables-legacy INPUT (IPv4)",
        Server Some("s0"),
        "iptables-legacy" "filter" "INPUT",
        "-i s0"
    ),
    drops!(
        "iptables-legacy-output",
        "the client drops its own requests in iptables-legacy OUTPUT (IPv4)",
        Client None,
        "iptables-legacy" "filter" "OUTPUT",
        "-o c0"
    ),
    Fault {
        families: V6,
        ..drops!(
            "ip6tables-legacy-forward",
            "the router drops requests in ip6tables-legacy FORWARD (IPv6)",
            Router Some("r0"),
            "ip6tables-legacy" "filter" "FORWARD",
            "-o r1"
        )
    },
];
