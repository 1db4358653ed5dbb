//! A report of a run that never was: 60 s, 100 attempts a second, five probes.

use std::collections::HashMap;

use netbreak_user::clock::{MILLISECOND, Nanos, SECOND, seconds_since};
use netbreak_user::probe::{Attempt, Counts, Kind, Outcome, Record, Rtt, outages};
use netbreak_user::report::{
    Book, Cause, Change, Death, DropRow, DropTotal, Flow, Leg, Losses, Outage, Probe, Report, Retransmits,
    RttUs, Run, SCHEMA, Sensor, SensorState, Target, VerdictWord,
};
use netbreak_user::verdict::{Judged, timeline};

const START: Nanos = 5 * SECOND;
const END: Nanos = START + 60 * SECOND;
const PACE: Nanos = 10 * MILLISECOND;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// From 20 s to 25 s everything, of two causes; and one attempt at 40 s.
    Break,
    /// Half of all attempts, of two causes.
    Random,
}

/// Numbers that look random, and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

pub fn synthetic(loss: Loss) -> Report {
    let kinds = [
        (Kind::Icmp, None),
        (Kind::Tcp, Some(7000)),
        (Kind::Http, Some(80)),
        (Kind::Udp, Some(4000)),
        (Kind::Stream, Some(5201)),
    ];
    let mut dice = Dice(7);
    let probes: Vec<Probe> =
        kinds.into_iter().map(|(kind, port)| probe(loss, kind, port, &mut dice)).collect();
    let drops = probes.iter().flat_map(|probe| &probe.deaths).enumerate();
    let drops: Vec<DropRow> = drops.map(|(index, death)| drop_row(index, death)).collect();
    let packets = drops.iter().map(|row| row.packets).sum();
    let change = |at_s, what: &str, device: Option<&str>, detail: &str| Change {
        at_s,
        what: what.into(),
        device: device.map(Into::into),
        detail: detail.into(),
    };
    Report {
        schema: SCHEMA.into(),
        run: Run {
            run_id: None,
            host: "node-1".into(),
            kernel: "6.18.5".into(),
            started: "2026-01-02T03:04:05.678901234Z".into(),
            duration_s: 60.0,
            netns: 4_026_531_840,
            netns_name: Some("client".into()),
            tcp_segments: None,
            interrupted: false,
            nodes: vec![],
            sensors: vec![
                Sensor { name: "kfree_skb".into(), state: SensorState::On, why: None },
                Sensor {
                    name: "symbols".into(),
                    state: SensorState::Off,
                    why: Some("`kptr_restrict` is 2".into()),
                },
            ],
        },
        targets: vec![Target { target: "server".into(), address: "10.0.2.2".into(), row: None, probes }],
        drops,
        drop_totals: vec![DropTotal {
            reason: Some("NETFILTER_DROP".into()),
            device: Some("r0".into()),
            netns: Some(4_026_532_340),
            packets,
        }],
        changes: vec![
            change(19.998, "link", Some("r0"), "went down, in router"),
            change(20.0, "trigger", None, "started: kubectl ko reload"),
            change(24.99, "link", Some("r0"), "up again, in router"),
        ],
        books: vec![Book {
            name: "retransmitted segments".into(),
            netns: 4_026_531_840,
            netns_name: Some("client".into()),
            traced: Some(12),
            counter: "Tcp.RetransSegs".into(),
            counted: Some(13),
            balanced: Some(false),
            why: None,
        }],
        losses: Losses { missed: 2, ..Losses::default() },
        verdict: VerdictWord::Broken,
    }
}

fn probe(loss: Loss, kind: Kind, port: Option<u16>, dice: &mut Dice) -> Probe {
    let mut attempts = Vec::new();
    let mut of: HashMap<u64, usize> = HashMap::new();
    for seq in 0..6_000 {
        let planned = START + seq * PACE;
        let sent = planned + dice.below(200_000);
        let since = planned - START;
        let is_lost = match loss {
            Loss::Break => (20 * SECOND..25 * SECOND).contains(&since) || since == 40 * SECOND,
            Loss::Random => dice.below(2) == 0,
        };
        let outcome = match kind {
            _ if !is_lost => {
                Outcome::Answered { at: sent + 80_000 + dice.below(400_000) * (1 + dice.below(4)) }
            }
            Kind::Stream => Outcome::Late { at: sent + 3 * SECOND },
            Kind::Icmp | Kind::Udp => Outcome::Lost,
            Kind::Tcp | Kind::Http | Kind::Https => Outcome::TimedOut,
        };
        if is_lost && kind != Kind::Stream {
            of.insert(seq, usize::from(since >= 24 * SECOND));
        }
        attempts.push(Attempt { seq, planned, sent, local_port: 1, outcome });
    }
    let counts = Counts::of(&attempts);
    let causes =
        [(Cause::Netfilter, "a rule dropped them: look at `nft list ruleset`"), (Cause::Route, "no route")];
    let mut deaths: Vec<Death> = Vec::new();
    for (index, (cause, explain)) in causes.into_iter().enumerate() {
        let attempts = of.values().filter(|death| **death == index).count() as u64;
        if attempts > 0 {
            deaths.push(death(attempts, cause, explain));
        }
    }
    let outages = outages(kind, &attempts, END).into_iter().map(|outage| {
        let (start_s, end_s) = (seconds_since(START, outage.start), seconds_since(START, outage.end));
        Outage { start_s, end_s, duration_s: end_s - start_s, attempts: outage.attempts() }
    });
    let outages = outages.collect();
    let resent: Option<Vec<(Nanos, u64)>> = port.filter(|_| kind != Kind::Udp).map(|_| {
        (0..200).map(|_| (START + 20 * SECOND + dice.below(8 * SECOND), 1 + dice.below(3))).collect()
    });
    let rtt = Rtt::of(&attempts).unwrap();
    let judged = Judged { deaths, of, ..Judged::default() };
    let record = Record {
        target: 0,
        kind,
        address: "10.0.2.2".parse().unwrap(),
        port,
        attempts,
        duplicates: 0,
        http_errors: None,
        tls_errors: None,
        tls_error: None,
        phases: None,
        stream: None,
    };
    Probe {
        late_explain: None,
        kind,
        port,
        sent: counts.sent,
        answered: counts.answered,
        lost: counts.lost,
        late: counts.late,
        duplicate: 0,
        refused: 0,
        reset: 0,
        unreachable: 0,
        timed_out: counts.timed_out,
        send_failed: 0,
        http_errors: None,
        tls_errors: None,
        tls_error: None,
        phases_us: None,
        rtt_us: Some(RttUs { min: rtt.min, p50: rtt.p50, p90: rtt.p90, p99: rtt.p99, max: rtt.max }),
        schedule_delay_us: None,
        outages,
        rsts: Vec::new(),
        retransmits: resent.as_ref().map(|resent| Retransmits {
            segments: resent.iter().map(|(_, segments)| segments).sum(),
            syn: 0,
        }),
        stream: None,
        path: None,
        timeline: Some(timeline((START, END), &record, &judged, resent.as_deref())),
        attempts: None,
        deaths: judged.deaths,
        unexplained: 0,
    }
}

fn death(attempts: u64, cause: Cause, explain: &str) -> Death {
    Death {
        attempts,
        leg: Leg::Request,
        cause,
        node: None,
        reason: Some("NETFILTER_DROP".into()),
        symbol: Some("nft_do_chain".into()),
        device: Some("r0".into()),
        ifindex: Some(2),
        netns: Some(4_026_532_340),
        netns_name: Some("router".into()),
        stage: Some("netfilter forward".into()),
        first_s: 20.0,
        last_s: 25.0,
        explain: explain.into(),
    }
}

fn drop_row(index: usize, death: &Death) -> DropRow {
    DropRow {
        flow: Flow {
            src: Some("10.0.1.2".into()),
            sport: Some(40_000 + index as u16),
            dst: Some("10.0.2.2".into()),
            dport: Some(7000),
            proto: "tcp".into(),
        },
        reason: death.reason.clone(),
        symbol: death.symbol.clone(),
        device: death.device.clone(),
        netns: death.netns,
        packets: death.attempts,
        bytes: death.attempts * 60,
        first_s: death.first_s,
        last_s: death.last_s,
    }
}
