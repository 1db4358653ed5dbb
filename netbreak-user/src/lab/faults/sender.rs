//! What a sender's own routes forbid: there never is a packet.

use super::FAULT;
use crate::lab::Role::{Client, Server};
use crate::lab::{Expected, Fault, Role, Step};
use crate::report::{Cause, Leg};

const fn fails(leg: Leg, role: Role, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause: Cause::Route, leg, role, device: None, reasons })
}

/// A route of a kind that carries nothing, at the client.
macro_rules! forbidden {
    ($kind:literal, $errno:literal) => {
        Fault {
            name: concat!("sender-", $kind),
            summary: concat!("the client's own route to the server is of kind ", $kind),
            demo: false,
            apply: &[
                Step::Ip(Client, concat!("route add ", $kind, " 10.0.2.2/32")),
                Step::Ip(Client, concat!("-6 route add ", $kind, " fd00:2::2/128")),
            ],
            undo: &[
                Step::Ip(Client, concat!("route delete ", $kind, " 10.0.2.2/32")),
                Step::Ip(Client, concat!("-6 route delete ", $kind, " fd00:2::2/128")),
            ],
            expected: fails(Leg::Request, Client, &[$errno]),
            ..FAULT
        }
    };
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "sender-no-route",
        summary: "the client has no route to the server",
        demo: false,
        apply: &[Step::Ip(Client, "route delete default"), Step::Ip(Client, "-6 route delete default")],
        undo: &[
            Step::Ip(Client, "route add default via 10.0.1.1"),
            Step::Ip(Client, "-6 route add default via fd00:1::1"),
        ],
        expected: fails(Leg::Request, Client, &["ENETUNREACH"]),
        ..FAULT
    },
    forbidden!("unreachable", "EHOSTUNREACH"),
    forbidden!("prohibit", "EACCES"),
    forbidden!("blackhole", "EINVAL"),
    Fault {
        name: "replier-no-route",
        summary: "the server has no route to the client: it cannot answer",
        demo: false,
        apply: &[Step::Ip(Server, "route delete default"), Step::Ip(Server, "-6 route delete default")],
        undo: &[
            Step::Ip(Server, "route add default via 10.0.2.1"),
            Step::Ip(Server, "-6 route add default via fd00:2::1"),
        ],
        expected: fails(Leg::Reply, Server, &[]),
        ..FAULT
    },
];
