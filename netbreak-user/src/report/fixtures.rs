//! Reports for the tests of checks and renderers.

use super::*;
use crate::probe::Kind;

/// All of them, with their names.
pub(crate) fn all() -> [(&'static str, Report); 8] {
    [
        ("clean", clean()),
        ("broken", broken()),
        ("interrupted", interrupted()),
        ("without_kernel", without_kernel()),
        ("many_flows", many_flows()),
        ("matrix", matrix()),
        ("nothing_sent", nothing_sent()),
        ("merged", merged()),
    ]
}

fn s(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn probe(kind: Kind, port: Option<u16>, sent: u64) -> Probe {
    Probe {
        kind,
        port,
        sent,
        answered: sent,
        lost: 0,
        late: 0,
        duplicate: 0,
        refused: 0,
        reset: 0,
        unreachable: 0,
        timed_out: 0,
        send_failed: 0,
        http_errors: (kind == Kind::Http).then_some(0),
        tls_errors: None,
        tls_error: None,
        phases_us: None,
        rtt_us: Some(RttUs { min: 31.0, p50: 52.0, p90: 71.0, p99: 93.5, max: 312.0 }),
        schedule_delay_us: (kind != Kind::Stream).then_some(ScheduleDelayUs {
            p50: 61.5,
            p99: 74.0,
            max: 913.0,
        }),
        outages: vec![],
        rsts: Vec::new(),
        retransmits: (!matches!(kind, Kind::Icmp | Kind::Udp)).then_some(Retransmits { segments: 0, syn: 0 }),
        stream: None,
        late_explain: None,
        path: None,
        deaths: vec![],
        unexplained: 0,
        timeline: None,
        attempts: None,
    }
}

/// All probes with the timeline that their sums allow: what was not answered left from 3 s on.
fn in_time(mut report: Report) -> Report {
    for probe in report.targets.iter_mut().flat_map(|target| &mut target.probes) {
        probe.timeline = Some(timeline(probe));
    }
    report
}

fn timeline(probe: &Probe) -> Timeline {
    const BINS: usize = 80;
    let spread = |count: u64, bins: std::ops::Range<usize>| {
        let mut counted = Counted::default();
        let width = bins.len() as u64;
        for (index, bin) in (0..).zip(bins) {
            let here = count / width + u64::from(index < count % width);
            if here > 0 {
                counted.push(bin as u32, here);
            }
        }
        counted
    };
    let broken = 30..50;
    let answered = if probe.unanswered() > 0 { 0..broken.start } else { 0..BINS };
    let (late, reset) = (spread(probe.late, broken.clone()), spread(probe.reset, broken.clone()));
    let deaths: Vec<Counted> =
        probe.deaths.iter().map(|death| spread(death.attempts, broken.clone())).collect();
    let unexplained = spread(probe.unexplained, broken.clone());
    let refused = spread(probe.refused, broken);
    let answered = spread(probe.answered, answered);
    let mut sent = vec![0; BINS];
    let fates = [&late, &reset, &unexplained, &refused, &answered];
    for (bin, count) in fates.into_iter().chain(&deaths).flat_map(Counted::iter) {
        sent[bin as usize] += count;
    }
    let rtt_us = RttBins {
        min: answered.bins.iter().map(|_| 31.0).collect(),
        p50: answered.bins.iter().map(|bin| 52.0 + f64::from(bin % 7)).collect(),
        max: answered.bins.iter().map(|bin| 93.5 + f64::from(bin % 11 * 20)).collect(),
        bins: answered.bins,
    };
    let retransmits = probe.retransmits.map(|resent| spread(resent.segments, 31..51));
    Timeline { bin_s: 0.1, sent, rtt_us, late, reset, deaths, unexplained, retransmits }
}

fn stream(sent: u64) -> Probe {
    let bytes = sent * 1024;
    let stream =
        Stream { connections: 1, resets: 0, bytes_sent: bytes, bytes_acked: bytes, longest_stall_s: 0.001 };
    Probe { stream: Some(stream), ..probe(Kind::Stream, Some(5000), sent) }
}

fn book(name: &str, traced: Option<u64>, counter: &str, counted: Option<u64>, why: Option<&str>) -> Book {
    Book {
        name: name.into(),
        netns: 4_026_532_286,
        netns_name: s("client"),
        traced,
        counter: counter.into(),
        counted,
        balanced: traced.zip(counted).map(|(a, b)| a == b),
        why: why.map(Into::into),
    }
}

fn sensor(name: &str, state: SensorState, why: Option<&str>) -> Sensor {
    Sensor { name: name.into(), state, why: why.map(Into::into) }
}

fn drop_row(sport: u16, reason: &str, packets: u64) -> DropRow {
    DropRow {
        flow: Flow {
            src: s("10.0.1.1"),
            sport: Some(sport),
            dst: s("10.0.2.2"),
            dport: Some(9),
            proto: "udp".into(),
        },
        reason: s(reason),
        symbol: s("nft_do_chain"),
        device: s("r0"),
        netns: Some(4_026_532_340),
        packets,
        bytes: packets * 60,
        first_s: 3.004,
        last_s: 4.996,
    }
}

fn total(reason: &str, packets: u64) -> DropTotal {
    DropTotal { reason: s(reason), device: s("r0"), netns: Some(4_026_532_340), packets }
}

/// Five probes, all answered.
pub(crate) fn clean() -> Report {
    in_time(Report {
        schema: SCHEMA.into(),
        run: Run {
            run_id: None,
            host: "node1".into(),
            kernel: "6.18.5".into(),
            started: "2026-01-02T03:04:05Z".into(),
            duration_s: 8.0,
            netns: 4_026_532_286,
            netns_name: s("client"),
            tcp_segments: Some(TcpSegments { out: 16_250, retransmitted: 0 }),
            interrupted: false,
            nodes: vec![],
            sensors: vec![
                sensor("kfree_skb", SensorState::On, None),
                sensor("tcp_retransmit_skb", SensorState::On, None),
            ],
        },
        targets: vec![Target {
            row: None,
            target: "10.0.2.2".into(),
            address: "10.0.2.2".into(),
            probes: vec![
                probe(Kind::Icmp, None, 800),
                probe(Kind::Tcp, Some(80), 800),
                probe(Kind::Http, Some(8080), 800),
                probe(Kind::Udp, Some(4000), 800),
                stream(9766),
            ],
        }],
        drops: vec![],
        drop_totals: vec![],
        changes: vec![],
        books: vec![
            book("echo requests sent", Some(800), "Icmp.OutEchos", Some(800), None),
            book("retransmitted segments", Some(0), "Tcp.RetransSegs", Some(0), None),
        ],
        losses: Losses::default(),
        verdict: VerdictWord::Clean,
    })
}

fn death(attempts: u64, leg: Leg, cause: Cause, explain: &str) -> Death {
    Death {
        attempts,
        leg,
        cause,
        node: None,
        reason: None,
        symbol: None,
        device: None,
        ifindex: None,
        netns: None,
        netns_name: None,
        stage: None,
        first_s: 3.02,
        last_s: 5.01,
        explain: explain.into(),
    }
}

/// One death, for those who need any.
pub(crate) fn broken_death() -> Death {
    death(1, Leg::Request, Cause::Netfilter, "a rule dropped it")
}

/// Out through one device, back from a namespace that nobody named.
fn way() -> Path {
    let stage = |leg, stage: &str, device, (netns, name): (u32, Option<&str>), since_us, stopped| PathStage {
        leg,
        stage: stage.into(),
        device,
        ifindex: Some(2),
        netns: Some(netns),
        netns_name: name.map(Into::into),
        since_us,
        stopped,
    };
    let client = (4_026_532_286, Some("client"));
    let long = (4_026_532_340, Some("cni-0123456789abcdef-router"));
    let since = |p50, p99| Some(SinceUs { p50, p99 });
    Path {
        sample: 37,
        stages: vec![
            stage(Leg::Request, "qdisc", s("c0"), client, None, 0),
            stage(Leg::Request, "device transmit", s("c0"), client, since(1.25, 4.0), 0),
            stage(Leg::Request, "device receive", s("r0"), long, since(3.5, 1_250.0), 180),
            stage(Leg::Reply, "device receive", s("c0"), client, since(40.0, 90.0), 0),
            PathStage {
                ifindex: None,
                netns: None,
                ..stage(Leg::Reply, "socket", None, (0, None), since(9.0, 20.0), 0)
            },
            stage(Leg::Request, "qdisc", None, (4_026_532_399, None), None, 15),
        ],
    }
}

/// Two ways to die, something unexplained, a book that does not balance and one that cannot hold.
pub(crate) fn broken() -> Report {
    let mut report = clean();
    report.verdict = VerdictWord::Broken;
    let outage = Outage { start_s: 3.02, end_s: 5.02, duration_s: 5.02 - 3.02, attempts: 200 };
    let filtered = Death {
        reason: s("NETFILTER_DROP"),
        symbol: s("nft_do_chain"),
        device: s("r0"),
        ifindex: Some(3),
        netns: Some(4_026_532_340),
        netns_name: s("router"),
        stage: s("netfilter forward"),
        ..death(
            180,
            Leg::Request,
            Cause::Netfilter,
            "a rule in the forward hook of router dropped them: look at `nft list ruleset` there",
        )
    };
    let full = Death {
        reason: s("SOCKET_RCVBUFF"),
        netns: Some(4_026_532_399),
        stage: s("socket"),
        first_s: 4.5,
        last_s: 4.5,
        ..death(
            15,
            Leg::Reply,
            Cause::Socket,
            "the receive buffer was full: `ss -uam` shows who does not read",
        )
    };
    let probes = &mut report.targets[0].probes;
    probes[0] = Probe {
        answered: 600,
        lost: 200,
        duplicate: 2,
        outages: vec![outage],
        path: Some(way()),
        deaths: vec![filtered.clone(), full],
        unexplained: 5,
        ..probes[0].clone()
    };
    probes[1] = Probe {
        answered: 580,
        timed_out: 150,
        late: 20,
        reset: 5,
        unreachable: 20,
        send_failed: 5,
        refused: 20,
        retransmits: Some(Retransmits { segments: 187, syn: 187 }),
        outages: vec![outage],
        deaths: vec![Death { attempts: 175, ..filtered }],
        rtt_us: Some(RttUs { min: 31.0, p50: 52.0, p90: 71.0, p99: 412_000.0, max: 998_123.0 }),
        ..probes[1].clone()
    };
    probes[2].schedule_delay_us = Some(ScheduleDelayUs { p50: 64.0, p99: 1_870_000.0, max: 2_104_311.5 });
    probes[2].http_errors = Some(17);
    probes[4].retransmits = Some(Retransmits { segments: 6, syn: 0 });
    probes[4].stream =
        probes[4].stream.map(|s| Stream { longest_stall_s: 3.31, bytes_acked: 9_000_000, ..s });
    report.drops = vec![drop_row(4242, "NETFILTER_DROP", 355)];
    report.drop_totals = vec![total("NETFILTER_DROP", 360)];
    report.changes = vec![
        Change { at_s: 3.018, what: "link".into(), device: s("r0"), detail: "went down".into() },
        Change { at_s: 4.9, what: "clock".into(), device: None, detail: "was set back by 3600 s".into() },
    ];
    report.books[0].why = s("one side is of another namespace");
    report.books.push(book(
        "RSTs sent",
        Some(14),
        "Tcp.OutRsts",
        Some(17),
        Some("3 RSTs belonged to no socket, and this kernel does not trace those"),
    ));
    report.books.push(book(
        "listen overflows",
        None,
        "TcpExt.ListenOverflows",
        Some(0),
        Some("this kernel drops them without a trace"),
    ));
    report.run.tcp_segments = Some(TcpSegments { out: 14_987, retransmitted: 199 });
    report.losses = Losses { ring_full: 3, map_full: 5, unreadable: 0, missed: 1, ledger: 0 };
    report.run.sensors[0] = sensor(
        "kfree_skb",
        SensorState::Degraded,
        Some("no symbols: kernel.kptr_restrict is 2; `sysctl -w kernel.kptr_restrict=1` turns them on"),
    );
    in_time(report)
}

/// Ended by Ctrl-C after a second.
pub(crate) fn interrupted() -> Report {
    let mut report = clean();
    report.run.interrupted = true;
    report.run.duration_s = 1.234_567;
    report.targets[0].target = "web.example".into();
    report.targets[0].probes = vec![probe(Kind::Icmp, None, 123)];
    report.books[0].traced = Some(123);
    report.books[0].counted = Some(123);
    report
}

/// `--no-kernel`: lost attempts, and nothing that could say where.
pub(crate) fn without_kernel() -> Report {
    let mut report = clean();
    report.verdict = VerdictWord::Broken;
    (report.run.netns_name, report.run.tcp_segments) = (None, None);
    report.run.sensors = vec![sensor("kfree_skb", SensorState::Off, Some("--no-kernel"))];
    report.books.clear();
    report.targets[0].probes = vec![Probe {
        answered: 0,
        timed_out: 100,
        rsts: Vec::new(),
        retransmits: None,
        rtt_us: None,
        outages: vec![Outage { start_s: 0.0, end_s: 1.0, duration_s: 1.0, attempts: 100 }],
        unexplained: 100,
        ..probe(Kind::Tcp, Some(80), 100)
    }];
    report
}

/// Two rows of a matrix, of which one broke.
pub(crate) fn matrix() -> Report {
    let mut report = broken();
    let row = |name: &str, source: &str, netns| {
        Some(Row { name: name.to_owned(), source: source.to_owned(), netns })
    };
    let here = report.run.netns;
    let mut spared = clean().targets.remove(0);
    spared.row = row("ovn0", "node1", 4_026_532_999);
    spared.target = "100.64.0.2".into();
    report.targets[0].row = row("pod, other node", "pod1", here);
    report.targets[0].probes.retain(|probe| probe.kind != Kind::Udp);
    report.targets.push(spared);
    report
}

/// Many flows, and many short outages to an IPv6 target.
pub(crate) fn many_flows() -> Report {
    let mut report = clean();
    report.verdict = VerdictWord::Broken;
    report.targets[0] = Target {
        row: None,
        target: "web.example".into(),
        address: "fd00:1234:5678:9abc:def0:1234:5678:9abc".into(),
        probes: vec![Probe {
            answered: 960,
            lost: 40,
            outages: (0..40)
                .map(|i| {
                    let start_s = f64::from(i) / 4.0;
                    Outage { start_s, end_s: start_s + 0.01, duration_s: 0.01, attempts: 1 }
                })
                .collect(),
            deaths: (0..12)
                .map(|i| Death {
                    device: Some(format!("veth{i}")),
                    ..death(3, Leg::Unknown, Cause::Other, "see the kernel's log")
                })
                .collect(),
            unexplained: 4,
            ..probe(Kind::Icmp, None, 1000)
        }],
    };
    report.drops = (0..50).map(|i| drop_row(1000 + i, "NETFILTER_DROP", 1000 - u64::from(i))).collect();
    let long = s("fd00:1234:5678:9abc:def0:1234:5678:9abc");
    report.drops[1].flow.src = long.clone();
    report.drops[1].flow.dst = long;
    report.drops[2] = DropRow {
        flow: Flow { src: None, sport: None, dst: None, dport: None, proto: "0x0806".into() },
        symbol: None,
        device: None,
        netns: None,
        ..report.drops[2].clone()
    };
    report.drop_totals = vec![total("NETFILTER_DROP", report.drops.iter().map(|row| row.packets).sum())];
    report
}

/// Interrupted before the first attempt.
pub(crate) fn nothing_sent() -> Report {
    let mut report = clean();
    report.verdict = VerdictWord::Inconclusive;
    report.run.interrupted = true;
    report.run.duration_s = 0.0;
    report.targets[0].probes =
        vec![Probe { rtt_us: None, schedule_delay_us: None, ..probe(Kind::Icmp, None, 0) }];
    report.books.clear();
    report
}

/// With the sightings of another node, whose clock is two hours behind.
pub(crate) fn merged() -> Report {
    let mut report = clean();
    report.verdict = VerdictWord::Broken;
    report.run.run_id = s("00000000005eed01");
    report.run.nodes = vec![Node {
        host: "node2".into(),
        started: "2026-01-02T01:04:02Z".into(),
        seen: 17,
        unplaced: 4,
        died: 2,
        passed: 1,
        not_reached: 1,
        matched: 15,
        offset_s: Some(-7_199.999_213),
        uncertainty_s: Some(0.000_041),
        losses: Losses::default(),
    }];
    let left = "they left node1 through eth0 alive and did not reach node2: look between the two";
    let deaths = vec![
        Death {
            node: s("node2"),
            device: s("ovn0"),
            reason: s("NETFILTER_DROP"),
            netns: Some(4_026_531_840),
            ..death(2, Leg::Request, Cause::Netfilter, "on node2: a rule dropped them")
        },
        Death { node: s("node2"), ..death(1, Leg::Reply, Cause::Unseen, "the reply left node2 alive") },
        Death { device: s("eth0"), ..death(1, Leg::Request, Cause::Unseen, left) },
    ];
    let listed = |seq: &[u64]| Listed {
        seq: seq.to_vec(),
        sent_s: seq.iter().map(|n| *n as f64).collect(),
        port: vec![4711; seq.len()],
    };
    let answered = Answered { seq: vec![0, 1], sent_s: vec![0.0, 1.0], answered_s: vec![0.000_1, 1.000_082] };
    report.targets[0].probes = vec![Probe {
        answered: 16,
        lost: 4,
        outages: vec![Outage { start_s: 2.0, end_s: 6.0, duration_s: 4.0, attempts: 4 }],
        attempts: Some(Attempts {
            probe: 0,
            deaths: vec![listed(&[2, 3]), listed(&[4]), listed(&[5])],
            unexplained: Listed::default(),
            answered,
        }),
        deaths,
        ..probe(Kind::Icmp, None, 20)
    }];
    report.books.clear();
    in_time(report)
}
