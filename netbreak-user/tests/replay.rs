//! What a run recorded is judged again: without kernel, clock or root, on any machine.
//!
//! `tests/data/*.json` hold records and events of real runs. To record one again, as root:
//! `cargo test -p netbreak-user --test replay -- --ignored`.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use netbreak_common::{Event, sensor};
use netbreak_user::clock::{MILLISECOND, Nanos};
use netbreak_user::kernel::{KernelBtf, Options, Reasons, Symbols, Trails};
use netbreak_user::lab::{Lab, Role, SERVER_V4, find};
use netbreak_user::netns::Namespace;
use netbreak_user::probe::{Attempt, Kind, Outcome, Record, Spec};
use netbreak_user::progress::Progress;
use netbreak_user::report::{Cause, Death, Leg};
use netbreak_user::run::{End, Plan, Source, Visited, measure};
use netbreak_user::verdict::{self, Evidence, Names};
use netbreak_user::watch::{Device, Owners};
use serde::{Deserialize, Serialize};

#[path = "common/names.rs"]
mod names;

/// Where the recordings are.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// What the recorded run was called.
const RUN_ID: u64 = 1;

/// A run, as far as the verdict wants to know it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    start: Nanos,
    timeout: Nanos,
    netns: u32,
    /// The bytes of each event, in hexadecimal.
    events: Vec<String>,
    probes: Vec<Probe>,
    /// What the kernel called the numbers in the events.
    symbols: HashMap<u64, String>,
    reasons: HashMap<u32, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    kind: Kind,
    address: IpAddr,
    port: Option<u16>,
    local_port: u16,
    /// When each attempt left, and when its answer came.
    attempts: Vec<(Nanos, Option<Nanos>)>,
}

fn to_hex(event: &Event) -> String {
    // SAFETY: an `Event` has no padding but explicit: all of its bytes are initialized.
    let bytes: [u8; size_of::<Event>()] = unsafe { std::mem::transmute(*event) };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Event {
    let byte = |index: usize| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap();
    let bytes: [u8; size_of::<Event>()] = std::array::from_fn(byte);
    // SAFETY: every bit pattern is a valid `Event`.
    unsafe { std::mem::transmute(bytes) }
}

/// The deaths of each probe, and what stays unexplained.
fn replay(name: &str) -> Vec<(Kind, Vec<Death>, u64)> {
    let text = std::fs::read_to_string(format!("{DATA}/{name}.json")).unwrap();
    let recording: Recording = serde_json::from_str(&text).unwrap();
    let events: Vec<Event> = recording.events.iter().map(|text| from_hex(text)).collect();
    let record = |probe: &Probe| Record {
        target: 0,
        kind: probe.kind,
        address: probe.address,
        port: probe.port,
        attempts: (0..)
            .zip(&probe.attempts)
            .map(|(seq, (sent, answered))| Attempt {
                seq,
                planned: *sent,
                sent: *sent,
                local_port: probe.local_port,
                outcome: answered.map_or(Outcome::Lost, |at| Outcome::Answered { at }),
            })
            .collect(),
        duplicates: 0,
        http_errors: None,
        tls_errors: None,
        tls_error: None,
        phases: None,
        stream: None,
    };
    let records: Vec<Record> = recording.probes.iter().map(record).collect();
    let names =
        names::Table { symbols: recording.symbols, reasons: recording.reasons, ..names::Table::default() };
    let evidence = Evidence {
        start: recording.start,
        timeout: recording.timeout,
        netns: recording.netns,
        records: &records,
        events: &events,
        trails: &Trails::default(),
        changes: &[],
        daemons: &[],
        owners: &Owners::default(),
        absences: &[],
        sides: &BTreeMap::new(),
        misses: 0,
        names: &names,
    };
    let judged = |(probe, record): (usize, &Record)| {
        let judged = verdict::deaths(&evidence, probe);
        (record.kind, judged.deaths, judged.unexplained)
    };
    records.iter().enumerate().map(judged).collect()
}

#[test]
fn half_of_the_requests_dropped_in_forward() {
    let judged = replay("nft-forward-random");
    // What the rule counted when it was recorded.
    let attempts: Vec<(Kind, u64)> =
        judged.iter().map(|(kind, deaths, _)| (*kind, deaths.iter().map(|d| d.attempts).sum())).collect();
    assert_eq!(attempts, [(Kind::Icmp, ICMP), (Kind::Udp, UDP)]);
    for (kind, deaths, unexplained) in judged {
        assert_eq!((deaths.len(), unexplained), (1, 0), "{kind:?}: {deaths:?}");
        let death = &deaths[0];
        assert_eq!((death.leg, death.cause), (Leg::Request, Cause::Netfilter));
        assert_eq!(death.reason.as_deref(), Some("NETFILTER_DROP"));
        assert_eq!(death.symbol.as_deref(), Some("nft_do_chain"));
        assert_eq!(death.stage.as_deref(), Some("netfilter forward"));
        assert_eq!(death.device.as_deref(), Some("r0"));
        assert!(0.0 < death.first_s && death.first_s < death.last_s && death.last_s < 0.2, "{death:?}");
    }
}

/// Records `tests/data/nft-forward-random.json`.
#[test]
#[ignore = "needs root, and overwrites a recording"]
fn records_half_of_the_requests_dropped_in_forward() {
    let mut lab = Lab::new().unwrap();
    let fault = find("nft-forward-random").unwrap();
    let server = Namespace::open(lab.namespace(Role::Server).path()).unwrap();
    let mut config = netbreak_user::serve::Config::new(SERVER_V4.into());
    config.udp = vec![4000];
    let (open, is_open) = std::sync::mpsc::channel();
    // The process ends with the test.
    std::thread::spawn(move || {
        server.enter().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(netbreak_user::serve::serve(config, move |_| open.send(()).unwrap()))
    });
    is_open.recv().unwrap();
    lab.apply(fault).unwrap();
    let spec = |(kind, port)| Spec {
        interval: 5 * MILLISECOND,
        timeout: 100 * MILLISECOND,
        duration: 100 * MILLISECOND,
        ..Spec::new(0, kind, SERVER_V4.into(), port, RUN_ID)
    };
    let (started, start) = std::sync::mpsc::channel();
    let netns = Namespace::open(lab.namespace(Role::Client).path()).unwrap();
    let inode = netns.inode();
    let measured = measure(Plan {
        targets: vec![Visited::new("server", SERVER_V4)],
        sources: vec![Source {
            netns: Arc::new(netns),
            specs: [(Kind::Icmp, None), (Kind::Udp, Some(4000))].into_iter().map(spec).collect(),
        }],
        tracer: Some(Options::default()),
        path: false,
        trigger: None,
        progress: Progress::new(true),
        netns_names: Vec::new(),
        give_up_privileges: false,
        started: Box::new(move |start| started.send(start).unwrap()),
        end: End::Signals,
    })
    .unwrap();
    let symbols = Symbols::read().unwrap();
    let reasons = Reasons::read(&KernelBtf::open().unwrap());
    let events = || measured.events.iter();
    let addresses = events().flat_map(|event| event.stack.into_iter().chain([event.location]));
    let drops = events().filter(|event| event.sensor == sensor::DROP).map(|event| event.reason);
    let recording = Recording {
        start: start.recv().unwrap(),
        timeout: 100 * MILLISECOND,
        netns: inode,
        events: events().map(to_hex).collect(),
        probes: measured.records.iter().map(probe).collect(),
        symbols: addresses.filter_map(|a| Some((a, symbols.resolve(a)?.to_owned()))).collect(),
        reasons: drops.filter_map(|reason| Some((reason, reasons.drop(reason)?))).collect(),
    };
    println!("{:?} died by the kernel's count", lab.read_truth(fault).unwrap());
    let text = serde_json::to_string_pretty(&recording).unwrap();
    std::fs::write(format!("{DATA}/nft-forward-random.json"), text + "\n").unwrap();
}

fn probe(record: &Record) -> Probe {
    let answered = |outcome| match outcome {
        Outcome::Answered { at } => Some(at),
        _ => None,
    };
    Probe {
        kind: record.kind,
        address: record.address,
        port: record.port,
        local_port: record.attempts[0].local_port,
        attempts: record.attempts.iter().map(|a| (a.sent, answered(a.outcome))).collect(),
    }
}

/// Dead echoes of the recording.
const ICMP: u64 = 13;
/// Dead datagrams of the recording.
const UDP: u64 = 9;
