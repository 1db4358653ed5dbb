//! What the routes of an end itself forbid: there never is a packet.

use super::FAULT;
use crate::lab::Role::{Client, Server};
use crate::lab::{Expected, Fault, Role, Step};
use crate::report::{Cause, Leg};

const fn fails(leg: Leg, role: Role, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause: Cause::Route, leg, role, device: None, reasons })
}

/// A route of a kind that carries nothing, at one end.
macro_rules! forbidden {
    ("sender", $kind:literal, $errno:literal) => {
        forbidden!(
            "sender-",
            "the client's own route to the server",
            $kind,
            [Client, Leg::Request, "10.0.2.2/32", "fd00:2::2/128"],
            $errno
        )
    };
    ("replier", $kind:literal, $errno:literal) => {
        forbidden!(
            "replier-",
            "the server's own route to the client",
            $kind,
            [Server, Leg::Reply, "10.0.1.2/32", "fd00:1::2/128"],
            $errno
        )
    };
    ($end:literal, $route:literal, $kind:literal, [$role:ident, $leg:expr, $v4:literal, $v6:literal], $errno:literal) => {
        Fault {
            name: concat!($end, $kind),
            summary: concat!($route, " is of kind ", $kind),
            demo: false,
            apply: &[
                Step::Ip($role, concat!("route add ", $kind, " ", $v4)),
                Step::Ip($role, concat!("-6 route add ", $kind, " ", $v6)),
            ],
            undo: &[
                Step::Ip($role, concat!("route delete ", $kind, " ", $v4)),
                Step::Ip($role, concat!("-6 route delete ", $kind, " ", $v6)),
            ],
            expected: fails($leg, $role, &[$errno]),
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
    forbidden!("sender", "unreachable", "EHOSTUNREACH"),
    forbidden!("sender", "prohibit", "EACCES"),
    forbidden!("sender", "blackhole", "EINVAL"),
    Fault {
        name: "replier-no-route",
        summary: "the server has no route to the client: it cannot answer",
        demo: false,
        apply: &[Step::Ip(Server, "route delete default"), Step::Ip(Server, "-6 route delete default")],
        undo: &[
            Step::Ip(Server, "route add default via 10.0.2.1"),
            Step::Ip(Server, "-6 route add default via fd00:2::1"),
        ],
        expected: fails(Leg::Reply, Server, &["ENETUNREACH"]),
        ..FAULT
    },
    forbidden!("replier", "unreachable", "EHOSTUNREACH"),
    forbidden!("replier", "prohibit", "EACCES"),
    forbidden!("replier", "blackhole", "EINVAL"),
];
