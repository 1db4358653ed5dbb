//! Links, neighbours and queues.

use super::ALL;
use crate::lab::Role::{Router, Server};
use crate::lab::{Expected, Fault, Need, Step, Truth};
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, device: &'static str, reason: &'static str) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Router, device: Some(device), reason })
}

/// A fault for all probes that iproute2 makes.
const fn link(
    name: &'static str,
    summary: &'static str,
    apply: &'static [Step],
    undo: &'static [Step],
) -> Fault {
    Fault {
        name,
        summary,
        needs: Need::Iproute2,
        demo: true,
        probes: ALL,
        arguments: &[],
        apply,
        undo,
        expected: None,
        truth: Truth::Everything,
    }
}

/// One request for a neighbour instead of three, a tenth of a second instead of a second.
const IMPATIENT: [Step; 2] = [
    Step::Sysctl(Router, "ipv4/neigh/r1/mcast_solicit", "1"),
    Step::Sysctl(Router, "ipv4/neigh/r1/retrans_time_ms", "100"),
];
const PATIENT: [Step; 2] = [
    Step::Sysctl(Router, "ipv4/neigh/r1/mcast_solicit", "3"),
    Step::Sysctl(Router, "ipv4/neigh/r1/retrans_time_ms", "1000"),
];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        // The link takes its routes with it, so the router knows no way: the cause is the route that is missing.
        expected: dies(Cause::Route, "r0", "IP_INNOROUTES"),
        truth: Truth::Snmp(Router, "IpExt.InNoRoutes"),
        ..link(
            "link-down",
            "the router's device towards the server is down",
            &[Step::Ip(Router, "link set r1 down")],
            &[Step::Ip(Router, "link set r1 up")],
        )
    },
    Fault {
        // Packets wait for a neighbour that cannot be asked, since the device has no carrier.
        expected: dies(Cause::Neighbour, "r1", "NEIGH_FAILED"),
        ..link(
            "link-down-server",
            "the server's device is down (IPv4)",
            &[IMPATIENT[0], IMPATIENT[1], Step::Ip(Server, "link set s0 down")],
            &[
                Step::Ip(Server, "link set s0 up"),
                Step::Ip(Server, "route add default via 10.0.2.1"),
                Step::Ip(Server, "-6 route replace default via fd00:2::1"),
                PATIENT[0],
                PATIENT[1],
            ],
        )
    },
    Fault {
        expected: dies(Cause::Neighbour, "r1", "NEIGH_FAILED"),
        ..link(
            "neighbour",
            "the server does not answer ARP",
            &[
                IMPATIENT[0],
                IMPATIENT[1],
                // A server that asks for the router would tell its own link address (`arp_process`).
                Step::Ip(Server, "neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev s0 nud permanent"),
                Step::Sysctl(Server, "ipv4/conf/s0/arp_ignore", "8"),
                Step::Ip(Router, "neigh flush dev r1"),
            ],
            &[
                Step::Sysctl(Server, "ipv4/conf/s0/arp_ignore", "0"),
                Step::Ip(Server, "neigh delete 10.0.2.1 dev s0"),
                PATIENT[0],
                PATIENT[1],
            ],
        )
    },
    Fault {
        expected: dies(Cause::Queue, "r1", "QDISC_DROP"),
        truth: Truth::Qdisc(Router, "r1"),
        // ARP must not be counted among the dead.
        ..link(
            "tbf",
            "the router's queue towards the server overflows (1 kB/s)",
            &[
                Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
                Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
                // Of another kind first: a tbf that is there already would only be changed, and go on counting.
                Step::Tc(Router, "qdisc replace dev r1 root pfifo"),
                Step::Tc(Router, "qdisc replace dev r1 root tbf rate 8kbit burst 200 limit 200"),
            ],
            // It stays, wide: its count can be read, and what waits in it leaves.
            &[
                Step::Tc(Router, "qdisc change dev r1 root tbf rate 10gbit burst 10mb limit 10mb"),
                Step::Ip(Router, "neigh delete 10.0.2.2 dev r1"),
                Step::Ip(Router, "neigh delete fd00:2::2 dev r1"),
            ],
        )
    },
];
