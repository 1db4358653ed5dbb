//! From everything that was gathered to the report.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use netbreak_common::{Event, FAMILY_NONE, sensor};

use super::{
    Source, Visited,
    books::{self, Snapshot},
    changes::Changes,
    dead::{self, Anchor, Headers},
    names::Names,
};
use crate::{
    clock::{Nanos, SECOND, seconds_since},
    kernel::{
        PATH, PID_1, PlaceRow, Reasons, Symbols, Tables, Tracer, Trails, UPCALL,
        prerequisites::{self, Facts},
    },
    pcapng::Packet,
    probe::{Counts, Kind, Phases, Record, Rtt, ScheduleDelay, outages},
    report::{
        DropRow, DropTotal, Flow, Losses, Outage, PhasesUs, Probe, Report, RttUs, Run, SCHEMA,
        ScheduleDelayUs, Sensor, SensorState, Stream, Target, VerdictWord,
    },
    run_id,
    verdict::{self, Evidence, Names as _},
};

/// Everything that was gathered.
pub(super) struct Gathered<'a> {
    pub targets: &'a [Visited],
    pub sources: &'a [Source],
    pub netns_names: Vec<(u32, String)>,
    pub netns_left_out: usize,
    pub records: &'a [Record],
    pub events: &'a [Event],
    pub events_lost: u64,
    pub headers: &'a Headers,
    pub anchor: Anchor,
    pub trails: &'a Trails,
    pub path: bool,
    pub changes: Changes,
    pub tracer: Option<&'a Tracer>,
    pub tables: Option<Tables>,
    pub misses: u64,
    pub before: Snapshot,
    pub after: Snapshot,
    pub symbols: Symbols,
    pub started: jiff::Timestamp,
    pub start: Nanos,
    pub end: Nanos,
    pub interrupted: bool,
    pub trigger_failed: bool,
}

/// The report; and into `packets` what the file of `--pcap` has.
pub(super) fn report(gathered: Gathered, packets: &mut Vec<Packet>) -> Report {
    let no_reasons = Reasons::default();
    let reasons = gathered.tracer.map_or(&no_reasons, Tracer::reasons);
    let names = Names::new(&gathered.symbols, reasons, gathered.netns_names.clone(), &gathered.changes);
    let absences = gathered.changes.absences();
    let changes = gathered.changes.events();
    let sides = books::sides(&gathered.before, &gathered.after);
    // By the index of a probe: its namespace.
    let homes: Vec<u32> = gathered
        .sources
        .iter()
        .flat_map(|source| std::iter::repeat_n(source.netns.inode(), source.specs.len()))
        .collect();
    let netns = gathered.sources.first().map_or(0, |source| source.netns.inode());
    let specs = gathered.sources.iter().flat_map(|source| &source.specs);
    let run_id = specs.clone().next().map(|spec| run_id::name(spec.run_id));
    let evidence = Evidence {
        start: gathered.start,
        timeout: specs.map(|spec| spec.timeout).max().unwrap_or(0),
        netns,
        records: gathered.records,
        events: gathered.events,
        trails: gathered.trails,
        changes: &changes,
        daemons: gathered.changes.daemons(),
        owners: gathered.changes.owners(),
        absences: &absences,
        sides: &sides,
        misses: gathered.misses,
        names: &names,
    };
    let targets: Vec<Target> = gathered
        .targets
        .iter()
        .enumerate()
        .map(|(index, visited)| Target {
            target: visited.typed.clone(),
            address: visited.address.to_string(),
            row: visited.row.clone(),
            probes: gathered
                .records
                .iter()
                .zip(&homes)
                .enumerate()
                .filter(|(_, (record, _))| record.target == index)
                .map(|(probe_index, (record, &netns))| {
                    probe(&gathered, &evidence.of(netns), probe_index, record, packets)
                })
                .collect(),
        })
        .collect();
    let seen: BTreeSet<u32> = gathered.events.iter().map(|event| event.netns).collect();
    let concerned = seen.iter().chain(&homes).copied().collect();
    let sensor_named = |name: &str| gathered.tracer?.sensors().iter().find(|sensor| sensor.name == name);
    let hidden = sensor_named(PID_1).and_then(|sensor| sensor.why.as_deref());
    let upcalls_off = sensor_named(UPCALL).filter(|sensor| sensor.state == SensorState::Off);
    let no_upcalls = upcalls_off.and_then(|sensor| sensor.why.as_deref());
    let own = books::own_numbers(gathered.records.iter().zip(homes));
    let books = books::books(&own, &seen, &gathered.before, &gathered.after, hidden, no_upcalls, &names);
    let tcp_segments = books::tcp_segments(netns, &gathered.before, &gathered.after);
    let verdict = verdict_word(&targets, gathered.trigger_failed);
    let failed = failed(&gathered);
    let tables = gathered.tables.unwrap_or_default();
    let mut sensors = gathered.tracer.map_or_else(no_kernel, |tracer| tracer.sensors().to_vec());
    sensors.extend(other_sensors(gathered.tracer, &gathered.symbols));
    sensors.push(sensor("counters", &failed));
    sensors.push(sensor("changes", &gathered.changes.failed()));
    Report {
        schema: SCHEMA.to_owned(),
        run: Run {
            run_id,
            host: host(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            started: gathered.started.to_string(),
            duration_s: seconds_since(gathered.start, gathered.end),
            netns,
            netns_name: names.netns(netns),
            tcp_segments,
            interrupted: gathered.interrupted,
            sensors,
            nodes: Vec::new(),
        },
        targets,
        drops: drops(&tables, gathered.start, &names),
        drop_totals: drop_totals(&tables, &names),
        changes: gathered.changes.of(&concerned, gathered.start, &names),
        books,
        losses: Losses {
            ring_full: tables.losses.ring_full + gathered.events_lost,
            ledger: gathered.trails.overwritten,
            ..losses(&tables, gathered.misses)
        },
        verdict,
    }
}

/// What the kernel side lost.
pub(super) fn losses(tables: &Tables, misses: u64) -> Losses {
    Losses {
        ring_full: tables.losses.ring_full,
        map_full: dropped(tables).map(|place| place.overflow).sum(),
        unreadable: tables.losses.unreadable,
        ledger: 0,
        missed: misses,
    }
}

fn probe(
    gathered: &Gathered,
    evidence: &Evidence,
    index: usize,
    record: &Record,
    packets: &mut Vec<Packet>,
) -> Probe {
    let counts = Counts::of(&record.attempts);
    let judged = verdict::deaths(evidence, index);
    packets.extend(dead::packets(gathered.headers, gathered.anchor, index, record, &judged));
    let resent = gathered.tracer.and_then(|_| verdict::resent(evidence, index, record));
    let run = (gathered.start, gathered.end);
    let timeline = verdict::timeline(run, record, &judged, resent.as_deref());
    let attempts = verdict::listed(gathered.start, index as u32, record, &judged);
    let seconds = |at: Nanos| seconds_since(gathered.start, at);
    let outages = outages(record.kind, &record.attempts, gathered.end);
    Probe {
        kind: record.kind,
        port: record.port,
        sent: counts.sent,
        answered: counts.answered,
        lost: counts.lost,
        late: counts.late,
        duplicate: record.duplicates,
        refused: counts.refused,
        reset: counts.reset,
        unreachable: counts.unreachable,
        timed_out: counts.timed_out,
        send_failed: counts.send_failed,
        http_errors: record.http_errors,
        tls_errors: record.tls_errors,
        tls_error: record.tls_error.clone(),
        phases_us: record.phases.and_then(phases),
        rtt_us: Rtt::of(&record.attempts).map(rtt),
        schedule_delay_us: ScheduleDelay::of(record.kind, &record.attempts).map(|delay| ScheduleDelayUs {
            p50: delay.p50,
            p99: delay.p99,
            max: delay.max,
        }),
        outages: outages
            .iter()
            .map(|outage| Outage {
                start_s: seconds(outage.start),
                end_s: seconds(outage.end),
                duration_s: seconds(outage.end) - seconds(outage.start),
                attempts: outage.attempts(),
            })
            .collect(),
        retransmits: gathered.tracer.and_then(|_| verdict::retransmits(evidence, index, record)),
        rsts: verdict::resets(evidence, index),
        stream: record.stream.as_ref().filter(|_| record.kind == Kind::Stream).map(|stream| Stream {
            connections: stream.connections,
            resets: stream.resets,
            bytes_sent: stream.bytes_sent,
            bytes_acked: stream.bytes_acked,
            longest_stall_s: stream.longest_stall as f64 / SECOND as f64,
        }),
        late_explain: judged.late,
        path: gathered.path.then(|| verdict::path(evidence, index)).flatten(),
        attempts: Some(attempts),
        deaths: judged.deaths,
        unexplained: judged.unexplained,
        timeline: Some(timeline),
    }
}

fn rtt(rtt: Rtt) -> RttUs {
    RttUs { min: rtt.min, p50: rtt.p50, p90: rtt.p90, p99: rtt.p99, max: rtt.max }
}

/// `None` if no connection came about.
fn phases(phases: Phases) -> Option<PhasesUs> {
    phases.connect?;
    Some(PhasesUs {
        connect: phases.connect.map(rtt),
        tls: phases.tls.map(rtt),
        first_byte: phases.first_byte.map(rtt),
    })
}

/// Where the trigger did not do its work, answers do not tell what it would have broken.
fn verdict_word(targets: &[Target], trigger_failed: bool) -> VerdictWord {
    let probes = || targets.iter().flat_map(|target| &target.probes);
    if probes().all(|probe| probe.sent == 0) {
        VerdictWord::Inconclusive
    } else if probes().all(|probe| probe.unanswered() == 0) {
        if trigger_failed { VerdictWord::Inconclusive } else { VerdictWord::Clean }
    } else {
        VerdictWord::Broken
    }
}

fn dropped(tables: &Tables) -> impl Iterator<Item = &PlaceRow> {
    tables.places.iter().filter(|place| place.key.sensor == sensor::DROP)
}

fn drops(tables: &Tables, start: Nanos, names: &Names) -> Vec<DropRow> {
    let places: HashMap<u32, &PlaceRow> = dropped(tables).map(|place| (place.id, place)).collect();
    let mut rows: Vec<DropRow> = tables
        .flows
        .iter()
        .filter_map(|flow| {
            let place = places.get(&flow.place)?;
            Some(DropRow {
                flow: flow_at(place, flow.addresses, (flow.source_port, flow.destination_port)),
                reason: names.drop_reason(place.key.reason),
                symbol: names.symbol(place.key.location),
                device: place.device.clone(),
                netns: (place.key.netns != 0).then_some(place.key.netns),
                packets: flow.packets,
                bytes: flow.bytes,
                first_s: seconds_since(start, flow.first),
                last_s: seconds_since(start, flow.last),
            })
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.packets));
    rows
}

/// A flow in words.
pub(crate) fn flow_at(
    place: &PlaceRow,
    addresses: Option<(IpAddr, IpAddr)>,
    (source_port, destination_port): (u16, u16),
) -> Flow {
    let (source, destination) = addresses.unzip();
    let proto = protocol(place, source_port);
    let has_ports = matches!(proto.as_str(), "tcp" | "udp" | "dccp" | "sctp" | "udplite");
    let has_id = matches!(proto.as_str(), "icmp" | "icmp6");
    Flow {
        src: source.map(|address| address.to_string()),
        sport: (has_ports || has_id).then_some(source_port),
        dst: destination.map(|address| address.to_string()),
        dport: has_ports.then_some(destination_port),
        proto,
    }
}

/// The name of an IP protocol, or of an Ethernet type for packets without an IP header.
fn protocol(place: &PlaceRow, ether_type: u16) -> String {
    if place.key.family == FAMILY_NONE {
        return match ether_type {
            0x0806 => "arp".to_owned(),
            other => format!("{other:#06x}"),
        };
    }
    match place.key.protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        58 => "icmp6",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string(),
    }
    .to_owned()
}

fn drop_totals(tables: &Tables, names: &Names) -> Vec<DropTotal> {
    let mut totals: BTreeMap<(Option<String>, Option<String>, u32), u64> = BTreeMap::new();
    for place in dropped(tables) {
        let reason = names.drop_reason(place.key.reason).filter(|_| place.id != 0);
        *totals.entry((reason, place.device.clone(), place.key.netns)).or_default() += place.packets;
    }
    let row = |((reason, device, netns), packets)| DropTotal {
        reason,
        device,
        netns: (netns != 0).then_some(netns),
        packets,
    };
    let mut rows: Vec<DropTotal> = totals.into_iter().map(row).filter(|row| row.packets > 0).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.packets));
    rows
}

/// What a run has that was told to do without; [`super::run_untraced`] says it differently.
const NOTHING_LOADED: &str =
    "--no-kernel was given: nothing was loaded into the kernel, and deaths have no place";

fn no_kernel() -> Vec<Sensor> {
    vec![Sensor {
        name: "kfree_skb".to_owned(),
        state: SensorState::Off,
        why: Some(NOTHING_LOADED.to_owned()),
    }]
}

/// What is no program, but can be missing as well.
pub(super) fn other_sensors(tracer: Option<&Tracer>, symbols: &Symbols) -> Vec<Sensor> {
    let mut sensors = Vec::new();
    let mut add =
        |name: &str, state, why: Option<String>| sensors.push(Sensor { name: name.to_owned(), state, why });
    if let Some(tracer) = tracer {
        match tracer.reasons().number("NO_SOCKET") {
            Some(_) => add("drop reasons", SensorState::On, None),
            None => {
                add("drop reasons", SensorState::Off, Some("this kernel's kfree_skb tells none".to_owned()))
            }
        }
        if !tracer.sensors().iter().any(|sensor| PATH.contains(&sensor.name.as_str())) {
            add(
                "path",
                SensorState::Off,
                Some("--no-path was given: what was not dropped has no place".to_owned()),
            );
        }
        if symbols.is_empty() {
            add("symbols", SensorState::Off, Some(prerequisites::explain_no_symbols(&Facts::read())));
        } else {
            add("symbols", SensorState::On, None);
        }
        match tracer.registry().failed() {
            0 => {}
            failed => {
                add(
                    "probe flows",
                    SensorState::Degraded,
                    Some(format!("{failed} flows found the map of probe flows full")),
                );
            }
        }
    }
    sensors
}

/// What could not be read of the kernel's counters.
fn failed(gathered: &Gathered) -> Vec<String> {
    let few_files = (gathered.netns_left_out > 0).then(|| {
        format!(
            "{} network namespaces were not looked at: raise `ulimit -Hn`, a quarter of it is theirs",
            gathered.netns_left_out
        )
    });
    few_files.into_iter().chain(gathered.before.failed().iter().cloned()).collect()
}

/// A sensor that is degraded by each of its failures.
fn sensor(name: &str, failed: &[String]) -> Sensor {
    let why = failed.first().map(|first| match failed.len() - 1 {
        0 => first.clone(),
        more => format!("{first} (and {more} more)"),
    });
    let state = if why.is_some() { SensorState::Degraded } else { SensorState::On };
    Sensor { name: name.to_owned(), state, why }
}

/// The name of this host.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
