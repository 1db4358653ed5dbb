//! Links, neighbours and queues.

use super::{FAULT, V4, V6};
use crate::lab::Role::{Router, Server};
use crate::lab::{Effect, Expected, Fault, Need, Step, Truth};
use crate::report::{Cause, Leg};

const fn dies(cause: Cause, device: &'static str, reasons: &'static [&'static str]) -> Option<Expected> {
    Some(Expected { cause, leg: Leg::Request, role: Router, device: Some(device), reasons })
}

const NEIGHBOUR: Option<Expected> =
    dies(Cause::Neighbour, "r1", &["NEIGH_FAILED", "NEIGH_QUEUEFULL", "QUEUE_PURGE", "NOT_SPECIFIED"]);
/// The reasons of `ip_error` in net/ipv4/route.c and of `ip6_pkt_drop` in net/ipv6/route.c.
const NO_ROUTE: Option<Expected> =
    dies(Cause::Route, "r0", &["IP_INNOROUTES", "IP_OUTNOROUTES", "NOT_SPECIFIED"]);
const NO_ROUTE_COUNT: Truth = Truth::Snmp(Router, &["IpExt.InNoRoutes", "Ip6InNoRoutes"]);

/// One request for a neighbour instead of three, a tenth of a second instead of a second.
const IMPATIENT: [Step; 4] = [
    Step::Sysctl(Router, "ipv4/neigh/r1/mcast_solicit", "1"),
    Step::Sysctl(Router, "ipv4/neigh/r1/retrans_time_ms", "100"),
    Step::Sysctl(Router, "ipv6/neigh/r1/mcast_solicit", "1"),
    Step::Sysctl(Router, "ipv6/neigh/r1/retrans_time_ms", "100"),
];
const PATIENT: [Step; 4] = [
    Step::Sysctl(Router, "ipv4/neigh/r1/mcast_solicit", "3"),
    Step::Sysctl(Router, "ipv4/neigh/r1/retrans_time_ms", "1000"),
    Step::Sysctl(Router, "ipv6/neigh/r1/mcast_solicit", "3"),
    Step::Sysctl(Router, "ipv6/neigh/r1/retrans_time_ms", "1000"),
];

/// A server that asks for the router would tell its own link address (`arp_process`), so it need not ask; and one that
/// does not answer.
const SILENT: [Step; 3] = [
    Step::Ip(Server, "neigh replace 10.0.2.1 lladdr 02:00:00:00:02:01 dev s0 nud permanent"),
    Step::Sysctl(Server, "ipv4/conf/s0/arp_ignore", "8"),
    Step::Ip(Router, "neigh flush dev r1"),
];
const ANSWERING: [Step; 2] =
    [Step::Sysctl(Server, "ipv4/conf/s0/arp_ignore", "0"), Step::Ip(Server, "neigh delete 10.0.2.1 dev s0")];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "link-down",
        summary: "the router's device towards the server is down",
        // The link takes its routes with it, so the router knows no way: the cause is the route that is missing.
        apply: &[Step::Ip(Router, "link set r1 down")],
        undo: &[Step::Ip(Router, "link set r1 up")],
        expected: NO_ROUTE,
        truth: NO_ROUTE_COUNT,
        ..FAULT
    },
    Fault {
        name: "link-deleted",
        summary: "the router's link to the server is deleted, as it is when the server's namespace goes",
        demo: false,
        apply: &[Step::Ip(Server, "link delete s0")],
        undo: &[Step::Reconnect],
        expected: NO_ROUTE,
        truth: NO_ROUTE_COUNT,
        ..FAULT
    },
    Fault {
        name: "link-down-server",
        summary: "the server's device is down (IPv4)",
        families: V4,
        // Packets wait for a neighbour that cannot be asked, since the device has no carrier.
        apply: &[IMPATIENT[0], IMPATIENT[1], Step::Ip(Server, "link set s0 down")],
        undo: &[
            Step::Ip(Server, "link set s0 up"),
            Step::Ip(Server, "route add default via 10.0.2.1"),
            Step::Ip(Server, "-6 route replace default via fd00:2::1"),
            PATIENT[0],
            PATIENT[1],
        ],
        expected: NEIGHBOUR,
        ..FAULT
    },
    Fault {
        name: "neighbour",
        summary: "the server does not answer ARP",
        families: V4,
        apply: &[IMPATIENT[0], IMPATIENT[1], SILENT[0], SILENT[1], SILENT[2]],
        undo: &[ANSWERING[0], ANSWERING[1], PATIENT[0], PATIENT[1]],
        expected: NEIGHBOUR,
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "neighbour-queue",
        summary: "the server does not answer ARP, and one packet at a time may wait for it",
        families: V4,
        demo: false,
        apply: &[
            Step::Sysctl(Router, "ipv4/neigh/r1/unres_qlen", "1"),
            IMPATIENT[1],
            SILENT[0],
            SILENT[1],
            SILENT[2],
        ],
        undo: &[
            ANSWERING[0],
            ANSWERING[1],
            PATIENT[1],
            Step::Sysctl(Router, "ipv4/neigh/r1/unres_qlen", "101"),
        ],
        expected: NEIGHBOUR,
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "neighbour-v6",
        summary: "the server does not answer neighbour solicitations (IPv6)",
        needs: Need::Nftables,
        families: V6,
        demo: false,
        apply: &[
            IMPATIENT[2],
            IMPATIENT[3],
            Step::Ip(Server, "neigh replace fd00:2::1 lladdr 02:00:00:00:02:01 dev s0 nud permanent"),
            Step::Nft(Server, table!("inet", "input priority 0", "icmpv6 type nd-neighbor-solicit drop")),
            Step::Ip(Router, "neigh flush dev r1"),
        ],
        undo: &[
            Step::Nft(Server, "flush table inet netbreak"),
            Step::Ip(Server, "neigh delete fd00:2::1 dev s0"),
            PATIENT[2],
            PATIENT[3],
        ],
        expected: NEIGHBOUR,
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "neighbour-outdated",
        summary: "the router has an outdated link address of the server",
        apply: &[
            Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:77 dev r1 nud permanent"),
            Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:02:77 dev r1 nud permanent"),
        ],
        undo: &[
            Step::Ip(Router, "neigh delete 10.0.2.2 dev r1"),
            Step::Ip(Router, "neigh delete fd00:2::2 dev r1"),
        ],
        expected: Some(Expected {
            cause: Cause::Neighbour,
            leg: Leg::Request,
            role: Server,
            device: Some("s0"),
            reasons: &["OTHERHOST"],
        }),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "dnat-nobody",
        summary: "the router sends requests on to an address that nobody has (DNAT, IPv4)",
        needs: Need::Nftables,
        families: V4,
        demo: false,
        apply: &[
            IMPATIENT[0],
            IMPATIENT[1],
            Step::Nft(
                Router,
                "table inet elsewhere {\n chain requests {\n type nat hook prerouting priority -100;\n\
                 iifname \"r0\" ip daddr 10.0.2.2 dnat ip to 10.0.2.77\n }\n}\n",
            ),
        ],
        undo: &[Step::Nft(Router, "delete table inet elsewhere"), PATIENT[0], PATIENT[1]],
        expected: NEIGHBOUR,
        ..FAULT
    },
    Fault {
        name: "tbf",
        summary: "the router's queue for requests overflows (1 kB/s)",
        effect: Effect::KillsSome,
        // ARP must not be counted among the dead.
        apply: &[
            Step::Ip(Router, "neigh replace 10.0.2.2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
            Step::Ip(Router, "neigh replace fd00:2::2 lladdr 02:00:00:00:02:02 dev r1 nud permanent"),
            // Of another kind first: a tbf that is there already would only be changed, and go on counting.
            Step::Tc(Router, "qdisc replace dev r1 root pfifo"),
            Step::Tc(Router, "qdisc replace dev r1 root tbf rate 8kbit burst 200 limit 200"),
        ],
        // It stays, wide: its count can be read, and what waits in it leaves.
        undo: &[
            Step::Tc(Router, "qdisc change dev r1 root tbf rate 10gbit burst 10mb limit 10mb"),
            Step::Ip(Router, "neigh delete 10.0.2.2 dev r1"),
            Step::Ip(Router, "neigh delete fd00:2::2 dev r1"),
        ],
        expected: dies(Cause::Queue, "r1", &["QDISC_DROP", "QDISC_OVERLIMIT"]),
        truth: Truth::Qdisc(Router, "r1", "root"),
        mirrors: true,
        ..FAULT
    },
    Fault {
        name: "tap",
        summary: "the router sends requests into a TAP device that nobody reads",
        demo: false,
        apply: &[
            Step::Ip(Router, "tuntap add tap0 mode tap"),
            Step::Ip(Router, "link set tap0 up"),
            Step::Ip(Router, "neigh add 10.0.2.2 lladdr 02:00:00:00:02:02 dev tap0 nud permanent"),
            Step::Ip(Router, "neigh add fd00:2::2 lladdr 02:00:00:00:02:02 dev tap0 nud permanent"),
            Step::Ip(Router, "route add 10.0.2.2/32 dev tap0"),
            Step::Ip(Router, "-6 route add fd00:2::2/128 dev tap0"),
        ],
        undo: &[Step::Ip(Router, "tuntap delete tap0 mode tap")],
        expected: dies(Cause::Queue, "tap0", &["QDISC_DROP"]),
        mirrors: true,
        ..FAULT
    },
];
