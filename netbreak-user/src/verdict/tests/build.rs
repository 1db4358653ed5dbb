//! Events, attempts and names, made by hand.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::slice::from_ref;

use netbreak_common::{Event, FAMILY_V4, HOPS, Hop, LEG_REPLY, LEG_REQUEST, Passage, STACK_DEPTH, sensor};

use crate::clock::Nanos;
use crate::kernel::Trails;
use crate::probe::{Attempt, Kind, Outcome, Record};
use crate::report::{Death, Path, Rst};
use crate::verdict::{self, Absence, Change, Evidence, Names, Side};
use crate::watch::{Device, Owners, Process};

#[path = "../../../tests/common/names.rs"]
mod table;

pub use table::Table;

pub const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
/// Namespace of the probes.
pub const HERE: u32 = 100;
/// Another one.
pub const ROUTER: u32 = 200;
/// The visited host's one.
pub const SERVER: u32 = 300;
/// Devices: on the router a veth, a tap and one of hardware, and one of the server.
pub const VETH: (u32, u32) = (ROUTER, 2);
pub const TAP: (u32, u32) = (ROUTER, 3);
pub const WIRE: (u32, u32) = (ROUTER, 4);
pub const SERVERS: (u32, u32) = (SERVER, 2);
/// Ports of Open vSwitch's kernel datapath on the router: one that it took, an internal one, and the datapath's own device.
pub const PORT_OF_SWITCH: (u32, u32) = (ROUTER, 6);
pub const INTERNAL: (u32, u32) = (ROUTER, 7);
const DATAPATH: (u32, u32) = (ROUTER, 5);
/// A tunnel's device on the router.
pub const TUNNEL: (u32, u32) = (ROUTER, 8);
/// A device of the probes' own host.
pub const HOME: (u32, u32) = (HERE, 2);
pub const NOWHERE: (u32, u32) = (0, 0);
/// Our port, or echo identifier.
pub const PORT: u16 = 4711;
/// The visited port.
pub const SERVICE: u16 = 7000;
/// Time-out of the attempts.
pub const TIMEOUT: Nanos = 1_000;

pub const REASONS: [&str; 15] = [
    "NETFILTER_DROP",
    "NO_SOCKET",
    "SOCKET_FILTER",
    "OTHERHOST",
    "IP_INHDR",
    "IP_CSUM",
    "SOCKET_RCVBUFF",
    "IP_OUTNOROUTES",
    "IP_INNOROUTES",
    "NEIGH_FAILED",
    "NOT_SPECIFIED",
    "OVS_DROP_LAST_ACTION",
    "DEV_READY",
    "OVS_DROP_METER",
    "TCP_INVALID_SYN",
];
pub const SYMBOLS: [&str; 17] = [
    "nft_do_chain",
    "nf_hook_slow",
    "ip_forward",
    "ping_rcv",
    "packet_rcv",
    "ip_rcv_core",
    "ip_output",
    "raw_rcv",
    "icmp_rcv",
    "tcp_v4_rcv",
    "packet_recvmsg",
    "ovs_dp_process_packet",
    "do_execute_actions",
    "__udp4_lib_rcv",
    "geneve_udp_encap_recv",
    "tcp_validate_incoming",
    "__neigh_event_send",
];

/// The number of a reason.
pub fn reason(name: &str) -> u32 {
    REASONS.iter().position(|known| *known == name).unwrap() as u32 + 1
}

/// The address of a function.
pub fn address(name: &str) -> u64 {
    (SYMBOLS.iter().position(|known| *known == name).unwrap() as u64 + 1) * 1000
}

/// A kernel that has all of them: reasons count from 1, functions from 1 in thousands.
pub fn names() -> Table {
    Table {
        reasons: REASONS.iter().map(|name| (reason(name), (*name).to_owned())).collect(),
        devices: [
            (VETH, "d0", "veth", None),
            (TAP, "d0", "tun", None),
            (SERVERS, "s0", "veth", None),
            (DATAPATH, "ovs-system", "openvswitch", None),
            (INTERNAL, "ovn0", "openvswitch", None),
            (TUNNEL, "genev_sys_6081", "geneve", Some(DATAPATH.1)),
            (PORT_OF_SWITCH, "p1h", "veth", Some(DATAPATH.1)),
        ]
        .map(|(at, name, kind, master)| {
            (at, Device { name: name.to_owned(), kind: Some(kind.to_owned()), master })
        })
        .into(),
        symbols: SYMBOLS.iter().map(|name| (address(name), (*name).to_owned())).collect(),
        namespaces: [(ROUTER, "router".to_owned())].into(),
        addresses: [((SERVER, IpAddr::V4(REMOTE)), SERVERS.1), ((HERE, IpAddr::V4(LOCAL)), HOME.1)].into(),
    }
}

fn bytes(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address.octets());
    bytes
}

/// A request of ours that dies at `time` in the router's forward hook: vary it.
pub fn event(kind: Kind, time: Nanos, attempt: u64) -> Event {
    let (protocol, service) = match kind {
        Kind::Icmp => (1, 0),
        Kind::Udp => (17, SERVICE),
        _ => (6, SERVICE),
    };
    let mut device = [0; 16];
    device[..2].copy_from_slice(b"r0");
    Event {
        time,
        location: address("nft_do_chain"),
        attempt,
        stack: [0; STACK_DEPTH],
        reason: reason("NETFILTER_DROP"),
        ifindex: 2,
        netns: ROUTER,
        bytes: 84,
        source: bytes(LOCAL),
        destination: bytes(REMOTE),
        device,
        source_port: PORT,
        destination_port: service,
        segments: 1,
        probe: 0,
        sequence: 0,
        sensor: sensor::DROP,
        family: FAMILY_V4,
        protocol,
        leg: LEG_REQUEST,
        flags: 0,
        attempt_known: 1,
        state: 0,
        pad: 0,
    }
}

/// The same packet on its way back.
pub fn reply(event: Event) -> Event {
    let is_echo = event.protocol == 1;
    Event {
        source: event.destination,
        destination: event.source,
        // An echo reply has its request's identifier.
        source_port: if is_echo { event.source_port } else { event.destination_port },
        destination_port: if is_echo { 0 } else { event.source_port },
        leg: LEG_REPLY,
        ..event
    }
}

/// The same packet, freed by `symbol` for `name`, called by `callers` (innermost first).
pub fn freed(event: Event, name: &str, symbol: &str, callers: &[&str]) -> Event {
    let mut stack = [0; STACK_DEPTH];
    stack[0] = address(symbol);
    for (frame, caller) in stack[1..].iter_mut().zip(callers) {
        *frame = address(caller);
    }
    Event { reason: reason(name), location: address(symbol), stack, ..event }
}

/// An attempt that left at `sent`.
pub fn attempt(seq: u64, sent: Nanos, outcome: Outcome) -> Attempt {
    Attempt { seq, planned: sent, sent, local_port: PORT, outcome }
}

/// What a probe measured.
pub fn record(kind: Kind, attempts: Vec<Attempt>) -> Record {
    Record {
        target: 0,
        kind,
        address: IpAddr::V4(REMOTE),
        port: (kind != Kind::Icmp).then_some(SERVICE),
        attempts,
        duplicates: 0,
        http_errors: None,
        tls_errors: None,
        tls_error: None,
        phases: None,
        stream: None,
    }
}

/// The verdict on one probe.
pub fn deaths(record: &Record, events: &[Event]) -> (Vec<Death>, u64) {
    deaths_seen(record, events, &Trails::default())
}

/// The verdict on one probe whose packets were followed.
pub fn deaths_seen(record: &Record, events: &[Event], trails: &Trails) -> (Vec<Death>, u64) {
    deaths_amid(record, events, trails, &[])
}

/// The verdict on one probe whose packets were followed while something changed.
pub fn deaths_amid(
    record: &Record,
    events: &[Event],
    trails: &Trails,
    changes: &[Change],
) -> (Vec<Death>, u64) {
    with_evidence(record, events, trails, changes, |evidence| {
        let judged = verdict::deaths(evidence, 0);
        (judged.deaths, judged.unexplained)
    })
}

/// The verdict on one probe of a run that started at `start`.
pub fn with_start(start: Nanos, record: &Record, events: &[Event]) -> Vec<Death> {
    with_evidence(record, events, &Trails::default(), &[], |evidence| {
        verdict::deaths(&Evidence { start, ..*evidence }, 0).deaths
    })
}

/// The RSTs of one probe.
pub fn resets_of(record: &Record, events: &[Event]) -> Vec<Rst> {
    with_evidence(record, events, &Trails::default(), &[], |evidence| verdict::resets(evidence, 0))
}

/// The path of one probe.
pub fn path_of(record: &Record, trails: &Trails) -> Option<Path> {
    with_evidence(record, &[], trails, &[], |evidence| verdict::path(evidence, 0))
}

/// What else a run gathered.
#[derive(Default)]
pub struct Around {
    pub changes: Vec<Change>,
    pub absences: Vec<Absence>,
    pub daemons: Vec<Process>,
    pub owners: Owners,
    pub sides: BTreeMap<u32, Side>,
    pub misses: u64,
}

/// The verdict on one probe with all that was around.
pub fn deaths_around(record: &Record, events: &[Event], trails: &Trails, around: &Around) -> Vec<Death> {
    with_all(from_ref(record), events, trails, around, |evidence| verdict::deaths(evidence, 0)).deaths
}

/// What is said of late attempts of one probe.
pub fn late_around(record: &Record, trails: &Trails, around: &Around) -> Option<String> {
    with_all(from_ref(record), &[], trails, around, |evidence| verdict::deaths(evidence, 0).late)
}

/// The same, where some of their packets were dropped.
pub fn late_dropped(record: &Record, events: &[Event], trails: &Trails) -> Option<String> {
    with_all(from_ref(record), events, trails, &Around::default(), |evidence| {
        verdict::deaths(evidence, 0).late
    })
}

fn with_evidence<T>(
    record: &Record,
    events: &[Event],
    trails: &Trails,
    changes: &[Change],
    judge: impl FnOnce(&Evidence) -> T,
) -> T {
    let around = Around { changes: changes.to_vec(), ..Around::default() };
    with_all(from_ref(record), events, trails, &around, judge)
}

/// What `judge` makes of probes with all that was around.
pub fn with_all<T>(
    records: &[Record],
    events: &[Event],
    trails: &Trails,
    around: &Around,
    judge: impl FnOnce(&Evidence) -> T,
) -> T {
    let names = names();
    let (timeout, netns) = (TIMEOUT, HERE);
    judge(&Evidence {
        start: 0,
        timeout,
        netns,
        records,
        events,
        trails,
        changes: &around.changes,
        daemons: &around.daemons,
        owners: &around.owners,
        absences: &around.absences,
        sides: &around.sides,
        misses: around.misses,
        names: &names,
    })
}

/// A hop at `time`, at a device unless it is a socket or freed memory.
pub fn hop(time: Nanos, stage: u8, (netns, ifindex): (u32, u32)) -> Hop {
    Hop { time, stage, netns, ifindex, destination: REMOTE.octets(), ..Hop::default() }
}

/// What the ledger has of an attempt of the first probe on one leg.
pub fn passage(attempt: u64, hops: &[Hop]) -> Passage {
    let mut passage =
        Passage { attempt: attempt + 1, count: hops.len() as u32, pad: 0, hops: [Hop::default(); HOPS] };
    passage.hops[..hops.len()].copy_from_slice(hops);
    passage
}
