//! Reports and sightings made by hand, of clocks that differ.

use proptest::prelude::*;

use super::*;
use crate::{
    probe::Kind,
    report::{
        Answered, Cause, Dropped, Ended, Leg, Losses, Outage, RttBins, SIGHTINGS, Seen, Sighted, VerdictWord,
        fixtures, json,
    },
};

const RUN: &str = "00000000005eed01";
/// Between two attempts, and from here to the node and back: nothing takes longer.
const PACE: f64 = 0.01;
const WAY: f64 = 0.000_1;

fn death(cause: Cause, leg: Leg, stage: &str, device: &str) -> Death {
    Death {
        leg,
        cause,
        device: Some(device.to_owned()),
        netns_name: Some("router".to_owned()),
        stage: Some(stage.to_owned()),
        explain: format!("{device} did it"),
        ..fixtures::broken_death()
    }
}

fn sent_s(seq: u64) -> f64 {
    seq as f64 * PACE
}

/// A run of one probe: an attempt each 10 ms, by its letter answered (`.`), lost with nothing known of it (`?`), gone from
/// this host alive (`a`), or dead here (`d`).
fn report(pattern: &str) -> Report {
    let of =
        |letter: char| (0..).zip(pattern.chars()).filter(move |(_, at)| *at == letter).map(|(seq, _)| seq);
    let listed = |letter| {
        let mut listed = Listed::default();
        of(letter).for_each(|seq| listed.push(One { seq, sent_s: sent_s(seq), port: None }));
        listed
    };
    let mut answered = Answered::default();
    for seq in of('.') {
        answered.seq.push(seq);
        answered.sent_s.push(sent_s(seq));
        // One round trip is the fastest, and what came of it is known best.
        answered.answered_s.push(sent_s(seq) + 2.0 * WAY * (1.0 + (seq % 7) as f64));
    }
    let mut report = fixtures::clean();
    report.run.run_id = Some(RUN.to_owned());
    let deaths = [
        ('a', death(Cause::Unseen, Leg::Request, "device transmit", "c0")),
        ('d', death(Cause::Netfilter, Leg::Request, "netfilter output", "c0")),
    ];
    let deaths = deaths.into_iter().map(|(letter, death)| (listed(letter), death));
    let deaths: Vec<(Listed, Death)> = deaths
        .map(|(listed, death)| {
            let attempts = listed.seq.len() as u64;
            let (first_s, last_s) = (listed.sent_s.first().copied(), listed.sent_s.last().copied());
            let (first_s, last_s) = (first_s.unwrap_or(0.0), last_s.unwrap_or(0.0));
            (listed, Death { attempts, first_s, last_s, ..death })
        })
        .filter(|(listed, _)| !listed.seq.is_empty())
        .collect();
    let sent = pattern.len() as u64;
    let lost = sent - answered.seq.len() as u64;
    let mut timeline = Timeline {
        bin_s: 0.05,
        sent: (0..sent.div_ceil(5)).map(|bin| (sent - bin * 5).min(5)).collect(),
        rtt_us: RttBins::default(),
        late: Counted::default(),
        reset: Counted::default(),
        deaths: Vec::new(),
        unexplained: Counted::default(),
        retransmits: None,
    };
    timeline.deaths = deaths.iter().map(|(listed, _)| binned(&timeline, listed)).collect();
    timeline.unexplained = binned(&timeline, &listed('?'));
    let end_s = sent_s(sent);
    let outage = Outage { start_s: 0.0, end_s, duration_s: end_s, attempts: lost };
    let (dead, deaths) = deaths.into_iter().unzip();
    report.targets[0].probes = vec![Probe {
        kind: Kind::Icmp,
        sent,
        answered: sent - lost,
        lost,
        rtt_us: None,
        outages: if lost > 0 { vec![outage] } else { vec![] },
        unexplained: listed('?').seq.len() as u64,
        deaths,
        timeline: Some(timeline),
        attempts: Some(Attempts { probe: 0, deaths: dead, unexplained: listed('?'), answered }),
        ..report.targets[0].probes[0].clone()
    }];
    report.verdict = if lost > 0 { VerdictWord::Broken } else { VerdictWord::Clean };
    report.check().unwrap();
    report
}

/// What `host` saw, whose seconds are `ahead_s` more: an attempt that came back by it (`.`), that it passed on and that
/// did not come back (`>`), whose reply it passed on (`<`), that died there (`x`), or that did not come (anything else).
fn sightings(host: &str, pattern: &str, ahead_s: f64) -> Sightings {
    let (mut requests, mut replies) = (Seen::default(), Seen::default());
    let mut ends: Vec<(char, Ended)> = [
        ('>', death(Cause::Unseen, Leg::Request, "device transmit", "r1")),
        ('<', death(Cause::Unseen, Leg::Reply, "device transmit", "r0")),
        ('x', death(Cause::Netfilter, Leg::Request, "netfilter forward", "r0")),
    ]
    .map(|(letter, death)| (letter, Ended { death, seq: Vec::new() }))
    .into();
    for (seq, letter) in (0..).zip(pattern.chars()) {
        let Some((_, ended)) =
            ends.iter_mut().find(|(end, _)| *end == if letter == '.' { '<' } else { letter })
        else {
            continue;
        };
        ended.seq.push(seq);
        let slowness = (seq % 7) as f64 * WAY;
        requests.push(seq, sent_s(seq) + WAY + slowness + ahead_s);
        if matches!(letter, '.' | '<') {
            replies.push(seq, sent_s(seq) + WAY + slowness + ahead_s);
        }
    }
    let mut ends: Vec<Ended> =
        ends.into_iter().map(|(_, ended)| ended).filter(|ended| !ended.seq.is_empty()).collect();
    ends.iter_mut().for_each(|ended| ended.death.attempts = ended.seq.len() as u64);
    let sightings = Sightings {
        schema: SIGHTINGS.to_owned(),
        run_id: RUN.to_owned(),
        host: host.to_owned(),
        kernel: "6.18.5".to_owned(),
        started: "2026-01-02T00:04:05Z".to_owned(),
        duration_s: 3600.0,
        dropped: Vec::new(),
        only_netns: Vec::new(),
        sensors: Vec::new(),
        followed: 16,
        probes: vec![Sighted { probe: 0, kind: Kind::Icmp, ends, requests, replies }],
        losses: Losses::default(),
    };
    sightings.check().unwrap();
    sightings
}

/// Attempts, device and node of a death.
type Told<'a> = (u64, &'a str, Option<&'a str>);

/// Of each death; then how many are unexplained.
fn told(merged: &Report) -> (Vec<Told<'_>>, u64) {
    let probe = &merged.targets[0].probes[0];
    let deaths = probe.deaths.iter();
    let deaths =
        deaths.map(|death| (death.attempts, death.device.as_deref().unwrap_or("–"), death.node.as_deref()));
    (deaths.collect(), probe.unexplained)
}

#[test]
fn what_left_alive_gets_the_death_that_another_node_saw() {
    let report = report("....aaaaa.????dd....");
    let node = sightings("node-b", "....xxx>>.xxx<......", 5.0);
    let merged = merge(&report, &[node]).unwrap();
    let (deaths, unexplained) = told(&merged);
    let expected =
        [(6, "r0", Some("node-b")), (2, "r1", Some("node-b")), (2, "c0", None), (1, "r0", Some("node-b"))];
    assert_eq!((&deaths[..], unexplained), (&expected[..], 0));
    let probe = &merged.targets[0].probes[0];
    assert_eq!(probe.deaths[0].explain, "on node-b: r0 did it");
    assert_eq!((probe.deaths[0].first_s, probe.deaths[0].last_s), (0.04, 0.12));
    assert_eq!(
        (probe.deaths[0].stage.as_deref(), probe.deaths[0].cause),
        (Some("netfilter forward"), Cause::Netfilter)
    );
    assert!(
        probe.deaths[1].explain.contains("left node-b through r1 in router alive, and nothing came back")
    );
    assert!(
        probe.deaths[3]
            .explain
            .contains("replies left node-b through r0 in router alive and were not seen on node1")
    );
    let node = &merged.run.nodes[0];
    assert_eq!((node.seen, node.unplaced, node.died, node.passed, node.not_reached), (20, 9, 6, 3, 0));
    // What happened here stays as it was, and what comes out is a report as any other.
    assert_eq!(probe.deaths[2].explain, report.targets[0].probes[0].deaths[1].explain);
    assert_eq!(json::parse(&json::render(&merged).unwrap()).unwrap(), merged);
}

#[test]
fn what_no_node_saw_died_before_it() {
    let merged = merge(&report("..aaa??..."), &[sightings("node-b", "..x     ..", 5.0)]).unwrap();
    assert_eq!(told(&merged), (vec![(2, "c0", None), (2, "–", None), (1, "r0", Some("node-b"))], 0));
    let deaths = &merged.targets[0].probes[0].deaths;
    assert!(deaths[0].explain.contains("left node1 through c0 in router alive and did not reach node-b"));
    assert!(deaths[1].explain.starts_with("they did not reach node-b, which saw others of this probe"));
    assert_eq!(merged.run.nodes[0].not_reached, 4);
    assert!(
        merged.run.nodes[0].sentence().contains("of the 5 lost ones that had no place of death 1 died there")
    );
}

/// Nobody says of an attempt that it did not come where nobody looked.
#[test]
fn what_a_node_may_have_missed_stays_as_it_was() {
    let report = report("?.a.?");
    let before = told(&report);
    // It began between the first two, and ended before the last could come.
    let watched = Sightings { duration_s: 0.045, ..sightings("node-b", " .x. ", -0.005) };
    assert_eq!(told(&merge(&report, &[watched]).unwrap()), (vec![(1, "r0", Some("node-b"))], 2));
    let mut lossy = sightings("node-b", " . . ", 5.0);
    lossy.losses.ledger = 1;
    assert_eq!(told(&merge(&report, &[lossy]).unwrap()), before);
    let mut of_another = sightings("node-b", "..xxx", 5.0);
    of_another.probes[0].probe = 1;
    assert_eq!(told(&merge(&report, &[of_another]).unwrap()), before);
}

/// Without an answer nothing tells how the clocks differ; what lies between attempts that it saw was looked for.
#[test]
fn attempts_are_matched_without_a_clock() {
    let merged = merge(&report("aaaaa?"), &[sightings("node-b", " x x  ", 7e6)]).unwrap();
    let (deaths, unexplained) = told(&merged);
    assert_eq!((&deaths[..2], unexplained), (&[(2, "c0", None), (2, "r0", Some("node-b"))][..], 1));
    assert_eq!(deaths[2], (1, "c0", None));
    let node = &merged.run.nodes[0];
    assert_eq!((node.matched, node.offset_s, node.uncertainty_s), (0, None, None));
    assert!(node.sentence().ends_with("nothing tells how its clock goes"), "{}", node.sentence());
    let blind =
        crate::report::Node { seen: 0, unplaced: 0, died: 0, passed: 0, not_reached: 0, ..node.clone() };
    let told = blind.sentence();
    assert!(
        told.ends_with("saw no attempt of this run: it tells nothing of where any of them died"),
        "{told}"
    );
}

#[test]
fn of_several_nodes_the_last_on_the_way_tells() {
    let report = report("..aaaaaa..");
    let near = sightings("near", "..>>>x<<..", 100.0);
    let mut far = sightings("far", "..x>  <x..", 2000.0);
    // A millisecond behind the other.
    let later = |at: &mut f64| *at += WAY / 2.0;
    far.probes[0].requests.at_s.iter_mut().for_each(later);
    let merged = merge(&report, &[near.clone(), far.clone()]).unwrap();
    let (deaths, unexplained) = told(&merged);
    let mut deaths: Vec<_> = deaths.into_iter().map(|(n, device, node)| (node.unwrap(), device, n)).collect();
    deaths.sort_unstable();
    // The reply that one passed on went past the request's death at the other: a copy's.
    let expected =
        [("far", "r0", 1), ("far", "r1", 1), ("near", "r0", 1), ("near", "r0", 2), ("near", "r1", 1)];
    assert_eq!((deaths, unexplained), (expected.to_vec(), 0));
    let probe = &merged.targets[0].probes[0];
    let passed = probe.deaths.iter().find(|death| death.explain.contains("did not reach far")).unwrap();
    assert_eq!((passed.node.as_deref(), passed.attempts), (Some("near"), 1));
    // The order of the files says nothing.
    assert_eq!(merge(&report, &[far, near]).unwrap().targets, merged.targets);
}

#[test]
fn the_clocks_are_compared_by_the_fastest_attempt() {
    for hours in [0.0, 5.0, -300.0] {
        let node = sightings("node-b", "....x..", hours * 3600.0 + 1.5);
        let merged =
            merge(&report("....a.."), &[Sightings { started: "2026-01-02T03:04:04Z".to_owned(), ..node }])
                .unwrap();
        let node = &merged.run.nodes[0];
        // It began to count a second before, which is within what its seconds are ahead.
        let (offset_s, uncertainty_s) = node.offset_s.zip(node.uncertainty_s).unwrap();
        assert!((offset_s - hours * 3600.0 - 0.5).abs() < 1e-6, "{offset_s}");
        assert!((uncertainty_s - WAY).abs() < 1e-6, "{uncertainty_s}");
        assert_eq!(node.matched, 6);
    }
}

/// The ports of a report's attempts, whose probe is made one of TCP, behind one of ICMP for the clocks.
fn of_tcp(mut report: Report) -> Report {
    let mut tcp = report.targets[0].probes[0].clone();
    (tcp.kind, tcp.port, tcp.timed_out, tcp.lost) = (Kind::Tcp, Some(80), tcp.lost, 0);
    let attempts = tcp.attempts.as_mut().unwrap();
    (attempts.probe, attempts.answered) = (1, Answered::default());
    for listed in attempts.deaths.iter_mut().chain([&mut attempts.unexplained]) {
        listed.port = listed.seq.iter().map(|seq| 40_000 + *seq as u16).collect();
    }
    report.targets[0].probes.push(tcp);
    report.check().unwrap();
    report
}

/// The connection from `local` that was dropped from one time to another, a request or a reply.
fn drop_row(dropped: &mut Dropped, local: u16, (first_s, last_s): (f64, f64), is_reply: bool) {
    let ends = [("10.0.1.2".to_owned(), local), ("10.0.2.2".to_owned(), 80)];
    let [(src, sport), (dst, dport)] = if is_reply {
        let [a, b] = ends;
        [b, a]
    } else {
        ends
    };
    dropped.src.push(src);
    dropped.sport.push(sport);
    dropped.dst.push(dst);
    dropped.dport.push(dport);
    dropped.first_s.push(first_s);
    dropped.last_s.push(last_s);
}

#[test]
fn connections_are_known_by_their_ports_and_times() {
    let report = of_tcp(report("..aaa?d..."));
    let mut node = sightings("node-b", "..........", 50.0);
    let [mut filter, mut full] = [("r0", Cause::Netfilter), ("r1", Cause::Queue)]
        .map(|(device, cause)| Dropped::at(death(cause, Leg::Unknown, "netfilter forward", device)));
    drop_row(&mut filter, 40_002, (50.02, 51.02), false);
    // Its reply was dropped after its request was sent again.
    drop_row(&mut filter, 40_003, (50.03, 50.03), false);
    drop_row(&mut full, 40_003, (51.03, 51.03), true);
    // Another one of these ports, a minute later; and one that died here.
    drop_row(&mut filter, 40_004, (110.0, 111.0), false);
    drop_row(&mut filter, 40_006, (50.06, 51.06), false);
    drop_row(&mut full, 40_005, (50.05, 50.05), false);
    node.dropped = vec![filter, full];
    node.check().unwrap();
    let merged = merge(&report, std::slice::from_ref(&node)).unwrap();
    let probe = &merged.targets[0].probes[1];
    let mut deaths: Vec<_> = probe
        .deaths
        .iter()
        .map(|death| (death.node.as_deref(), death.device.as_deref().unwrap(), death.leg, death.attempts))
        .collect();
    deaths.sort_unstable();
    let b = Some("node-b");
    let expected = [
        (None, "c0", Leg::Request, 1),
        (None, "c0", Leg::Request, 1),
        (b, "r0", Leg::Request, 1),
        (b, "r1", Leg::Request, 1),
        (b, "r1", Leg::Reply, 1),
    ];
    assert_eq!((&deaths[..], probe.unexplained), (&expected[..], 0));
    assert_eq!(merged.run.nodes[0].died, 3);
    // Without a clock a port says nothing.
    node.probes.clear();
    let merged = merge(&report, &[node]).unwrap();
    assert_eq!(merged.targets[0].probes[1], report.targets[0].probes[1]);
}

/// Its writes share a connection, and those that follow one that was dropped wait for it.
#[test]
fn writes_of_a_stream_are_held_up_by_what_was_dropped() {
    let mut report = of_tcp(report(&format!("..{}", "a".repeat(20))));
    let stream = &mut report.targets[0].probes[1];
    (stream.kind, stream.timeline) = (Kind::Stream, None);
    let attempts = stream.attempts.as_mut().unwrap();
    for listed in attempts.deaths.iter_mut().chain([&mut attempts.unexplained]) {
        listed.port.fill(40_000);
        listed.sent_s = listed.seq.iter().map(|seq| *seq as f64 * 0.5).collect();
    }
    let mut node = sightings("node-b", "......................", 50.0);
    let [mut filter, mut full] = [("r0", Cause::Netfilter), ("r1", Cause::Queue)]
        .map(|(device, cause)| Dropped::at(death(cause, Leg::Unknown, "netfilter forward", device)));
    // Writes leave at 1.0, 1.5 … 10.5. TCP sent again at 3.6 for the last time, and would have at 6.2.
    drop_row(&mut filter, 40_000, (52.0, 53.3), false);
    // An acknowledgement was lost then, too, and another one later.
    drop_row(&mut full, 40_000, (52.5, 52.5), true);
    drop_row(&mut full, 40_000, (58.0, 58.0), true);
    node.dropped = vec![filter, full];
    let merged = merge(&report, &[node]).unwrap();
    let stream = &merged.targets[0].probes[1];
    let mut deaths: Vec<_> = std::iter::zip(&stream.deaths, &stream.attempts.as_ref().unwrap().deaths)
        .map(|(death, listed)| {
            let times = || listed.sent_s.iter().copied();
            let span = (times().fold(f64::MAX, f64::min), times().fold(f64::MIN, f64::max));
            (death.device.as_deref().unwrap(), death.leg, span, death.attempts)
        })
        .collect();
    deaths.sort_by(|a, b| a.2.0.total_cmp(&b.2.0));
    let expected = [
        ("r0", Leg::Request, (1.0, 5.5), 10),
        ("c0", Leg::Request, (6.0, 10.5), 5),
        ("r1", Leg::Reply, (7.0, 9.0), 5),
    ];
    assert_eq!(deaths, expected);
    assert_eq!((stream.unexplained, merged.run.nodes[0].died), (0, 15));
}

#[test]
fn what_cannot_be_merged_says_why() {
    let (report, seen) = (report("..a"), sightings("node-b", "..x", 5.0));
    let refused = |report: &Report, seen: &[Sightings]| merge(report, seen).unwrap_err().to_string();
    let other = Sightings { run_id: "00000000000000ff".to_owned(), ..seen.clone() };
    assert_eq!(
        refused(&report, &[other]),
        "it is of run 00000000005eed01, and the sightings of node-b are of run 00000000000000ff"
    );
    assert!(refused(&report, &[seen.clone(), seen.clone()]).contains("named twice"));
    let merged = merge(&report, std::slice::from_ref(&seen)).unwrap();
    assert!(refused(&merged, std::slice::from_ref(&seen)).contains("merged into it before (node-b)"));
    let mut older = report.clone();
    older.run.run_id = None;
    assert!(refused(&older, std::slice::from_ref(&seen)).contains("older netbreak"));
    let mut older = report.clone();
    older.targets[0].probes[0].attempts = None;
    assert!(refused(&older, std::slice::from_ref(&seen)).contains("older netbreak"));
    let never = Sightings { started: "noon".to_owned(), ..seen };
    assert!(refused(&report, &[never]).contains("\"noon\" is no time"));
}

#[test]
fn sightings_that_contradict_themselves_are_refused() {
    let seen = sightings("node-b", "..x", 5.0);
    let json = json::render_sightings(&seen).unwrap();
    assert_eq!(json::parse_saved(&json).unwrap(), json::Saved::Sightings(Box::new(seen.clone())));
    type Break = fn(&mut Sightings);
    let breaks: [(&str, Break); 6] = [
        ("run_id", |seen| seen.run_id = "0".to_owned()),
        ("out of order", |seen| seen.probes.push(seen.probes[0].clone())),
        ("values", |seen| seen.probes[0].requests.at_s.clear()),
        ("an end of", |seen| seen.probes[0].ends[0].death.attempts += 1),
        ("ended twice", |seen| {
            seen.probes[0].ends[0].seq[0] = 2;
            seen.probes[0].ends[0].seq.truncate(1);
            seen.probes[0].ends[0].death.attempts = 1;
        }),
        ("numbers", |seen| seen.probes[0].replies.seq.reverse()),
    ];
    for (words, broken) in breaks {
        let mut seen = seen.clone();
        broken(&mut seen);
        let message = seen.check().expect_err(words);
        assert!(message.contains(words), "{words}: {message}");
        assert!(json::parse_saved(&json::render_sightings(&seen).unwrap()).is_err());
    }
    let extra = json.replace("\"followed\"", "\"folowed\"");
    assert!(json::parse_saved(&extra).unwrap_err().to_string().contains("netbreak.sightings/1"));
}

proptest! {
    /// Whatever was seen, every lost attempt has one end, and how far wall clocks are apart does not matter to it.
    #[test]
    fn books_balance_and_clocks_do_not_matter(
        pattern in "[.?ad]{2,60}",
        first in "[.<>x ]{2,60}",
        second in "[.<>x ]{2,60}",
        hour in 0..24,
    ) {
        let report = report(&pattern);
        let mut nodes = [sightings("b", &first, 1000.0), sightings("c", &second, 9.0)];
        let merged = merge(&report, &nodes).unwrap();
        prop_assert_eq!(merged.check(), Ok(()));
        let dead: u64 = merged.targets[0].probes[0].deaths.iter().map(|death| death.attempts).sum();
        prop_assert_eq!(dead + merged.targets[0].probes[0].unexplained, merged.targets[0].probes[0].lost);
        nodes[0].started = format!("2026-01-05T{hour:02}:04:05Z");
        let shifted = merge(&report, &nodes).unwrap();
        prop_assert_eq!(&merged.targets, &shifted.targets);
        for (node, after) in merged.run.nodes.iter().zip(&shifted.run.nodes) {
            prop_assert!(node.died + node.passed <= node.unplaced && node.not_reached <= node.unplaced);
            let hours = if node.host == "b" { 72.0 + f64::from(hour) } else { 0.0 };
            let ahead = node.offset_s.zip(after.offset_s).map(|(before, after)| after - before);
            prop_assert!(ahead.is_none_or(|ahead| (ahead - hours * 3600.0).abs() < 1e-6), "{:?}", ahead);
        }
    }
}
