//! Every case of the score, as data.

use netbreak_user::lab::{Effect, Fault, Truth, find};
use netbreak_user::probe::Kind;
use netbreak_user::report::Leg;

use super::case::{Case, When};

/// Kinds whose attempts are single packets.
const SINGLE: &[Kind] = &[Kind::Icmp, Kind::Udp];
/// Kinds whose attempts stand for themselves.
const APART: &[Kind] = &[Kind::Icmp, Kind::Udp, Kind::Tcp, Kind::Http];
/// The kind whose attempts are writes to one connection.
const STREAM: &[Kind] = &[Kind::Stream];

/// Faults that are there together: what becomes of the probes, and whether each packet that a fault counts was an attempt.
const TOGETHER: &[(&[&str], Effect, bool)] = &[
    (&["nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["nft-forward-random", "iptables-legacy-random-reply"], Effect::KillsSome, true),
    (&["nft-forward-random", "nft-input"], Effect::KillsAll, true),
    (&["nft-forward-random", "tc-egress-reply"], Effect::KillsAll, true),
    (&["route-blackhole", "nft-limit-reply"], Effect::KillsAll, true),
    (&["nft-forward-random", "replier-no-route"], Effect::KillsAll, false),
    (&["nft-input", "replier-no-route"], Effect::KillsAll, true),
    (&["routing-rules", "replier-no-route"], Effect::KillsAll, false),
    (&["routing-rules", "nft-output-reply"], Effect::KillsAll, true),
    (&["routing-rules", "neighbour-reply"], Effect::KillsAll, false),
    (&["packet-sockets", "nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["packet-sockets", "neighbour"], Effect::KillsAll, false),
    (&["packet-sockets", "neighbour-outdated"], Effect::KillsAll, false),
    (&["service", "neighbour-outdated"], Effect::KillsAll, false),
    (&["nft-forward-random", "neighbour-outdated"], Effect::KillsAll, true),
    // The router's own copy does not pass the forward hook, so each request arrives, once or twice.
    (&["duplicates", "nft-forward-random"], Effect::Spares, false),
    // Lost when both answers die.
    (&["duplicates", "nft-forward-random-reply"], Effect::KillsSome, false),
    (&["duplicates", "nft-input"], Effect::KillsAll, false),
    (&["duplicates-reply", "nft-input-reply"], Effect::KillsAll, false),
    (&["masquerade", "nft-input"], Effect::KillsAll, true),
    (&["masquerade", "nft-output-reply"], Effect::KillsAll, true),
    (&["masquerade", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["bridge", "nft-input"], Effect::KillsAll, false),
    (&["bridge", "packet-sockets", "nft-input-reply"], Effect::KillsAll, false),
    (&["masquerade-random", "nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["service", "nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["node-port", "nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["service", "packet-sockets", "nft-input"], Effect::KillsAll, true),
    (&["vxlan", "packet-sockets"], Effect::Spares, false),
    (&["vxlan", "packet-sockets", "tunnel-input"], Effect::KillsAll, true),
    (&["vxlan", "service", "nft-input"], Effect::KillsAll, true),
    (&["vxlan", "service", "nft-output-reply"], Effect::KillsAll, true),
    (&["geneve", "service", "tunnel-input"], Effect::KillsAll, true),
];

/// What changes packets on their way, or what they look like; and faults that hit them before, meanwhile and after, of each
/// leg. Of each pair all probes but streams are tried.
const ON_THE_WAY: &[(&[&str], &[&str])] = &[
    (
        &["masquerade-random", "masquerade-ports", "service", "node-port"],
        &[
            "nft-before-nat",
            "nft-forward",
            "nft-after-nat",
            "nft-input",
            "nft-output-reply",
            "nft-before-nat-reply",
            "nft-forward-reply",
            "nft-after-nat-reply",
            "nft-input-reply",
        ],
    ),
    (
        &["vxlan", "geneve"],
        &[
            "nft-prerouting",
            "tunnel-forward",
            // Of the outer packet, at the sender and at the receiver.
            "nft-postrouting",
            "tc-egress",
            "nft-prerouting-server",
            "nft-input",
            "tunnel-input",
            "tunnel-output-reply",
            "nft-output-reply",
            "nft-ingress-reply",
            "nft-prerouting-reply",
            "tunnel-forward-reply",
            "nft-input-reply",
        ],
    ),
    (
        &["vxlan-v6"],
        &["nft-postrouting", "nft-input", "tunnel-input", "nft-output-reply", "nft-prerouting-reply"],
    ),
];

/// The same for streams.
const STREAMS_ON_THE_WAY: &[(&[&str], &[&str])] = &[
    (
        &["masquerade-random", "service", "node-port"],
        &["nft-forward", "nft-input", "nft-output-reply", "nft-forward-reply"],
    ),
    (&["vxlan", "geneve"], &["tunnel-input", "nft-input", "nft-output-reply", "tunnel-forward-reply"]),
];

/// Our faults, what becomes of the probes, and what befalls others who have the same addresses and ports.
const OVERLAPS: &[(&[&str], Effect, &str)] = &[
    (&[], Effect::Spares, "nft-forward"),
    (&[], Effect::Spares, "nft-input-reply"),
    (&["nft-forward"], Effect::KillsAll, "packet-sockets"),
    (&["nft-input"], Effect::KillsAll, "nft-forward"),
    (&["nft-output-reply"], Effect::KillsAll, "nft-prerouting"),
    (&["route-blackhole"], Effect::KillsAll, "nft-forward-random-reply"),
    (&["nft-forward-random"], Effect::KillsSome, "nft-forward"),
];

/// What a stream meets besides a fault that comes and stays.
const STREAMS: &[(&[&str], When)] = &[
    (&["nft-forward"], When::ForAWhile),
    (&["nft-forward-reply"], When::ForAWhile),
    (&["nft-input"], When::ForAWhile),
    (&["nft-output-reply"], When::ForAWhile),
    (&["route-blackhole"], When::ForAWhile),
    (&["tc-egress"], When::ForAWhile),
    (&["neighbour"], When::ForAWhile),
    (&["nft-forward"], When::ForLong),
    (&["nft-input-reply"], When::ForLong),
    (&["nft-forward-random"], When::ToTheEnd),
    (&["nft-forward-random-reply"], When::ToTheEnd),
    (&["nft-forward-random", "nft-forward-random-reply"], When::ToTheEnd),
    // One acknowledgement speaks for all before it: it takes more to hold up a stream.
    (&["nft-forward-most-reply"], When::ToTheEnd),
    (&["nft-forward-most", "nft-forward-most-reply"], When::ToTheEnd),
    // There is no connection then.
    (&["nft-forward"], When::Throughout),
    (&["nft-forward-reply"], When::Throughout),
    (&["nft-input"], When::Throughout),
    (&["nft-output-reply"], When::Throughout),
    (&["route-missing"], When::Throughout),
    (&["neighbour"], When::Throughout),
];

/// All of them: each of `faults` alone, and the others.
pub fn all(faults: &[&'static Fault]) -> Vec<Case> {
    let single = faults.iter().flat_map(|fault| of(fault));
    let together =
        TOGETHER.iter().map(|(names, effect, exact)| Case { exact: *exact, ..case(names, *effect, SINGLE) });
    let pairs = pairs(ON_THE_WAY)
        .map(|names| Case { exact: true, ..case(&names, Effect::KillsAll, APART) })
        .chain(pairs(STREAMS_ON_THE_WAY).map(|names| stream(&names, When::ToTheEnd)));
    let overlaps = OVERLAPS.iter().flat_map(|(names, effect, foreign)| beside(names, *effect, foreign));
    let streams = STREAMS.iter().map(|(names, when)| stream(names, *when));
    let all = single.chain(together).chain(pairs).chain(overlaps).chain(streams);
    all.filter(|case| !case.kinds.is_empty()).collect()
}

/// A fault alone.
fn of(fault: &'static Fault) -> Vec<Case> {
    // Half of a connection's packets die, and its sockets send them again after the run, when only the rule counts.
    let kinds = match fault.effect {
        Effect::KillsSome => SINGLE,
        Effect::Spares => &[Kind::Icmp, Kind::Udp, Kind::Tcp, Kind::Http, Kind::Stream],
        Effect::KillsAll | Effect::Refuses => APART,
    };
    let exact = fault.truth != Truth::Everything;
    let mut cases = vec![Case { exact, ..case(&[fault.name], fault.effect, kinds) }];
    // One of each sort is enough of what follows: those that the demo shows.
    let spares = fault.effect == Effect::Spares;
    let is_image = fault.expected.is_some_and(|expected| expected.leg == Leg::Reply);
    // Without its service nobody answers.
    if (fault.demo && !is_image) || (spares && fault.service.is_none()) {
        // Single packets only, since a connection that it hits may live.
        let case = case(&[fault.name], fault.effect, SINGLE);
        cases.push(Case {
            exact,
            name: format!("{} for a while", fault.name),
            when: When::ForAWhile,
            ..case
        });
    }
    // A stream's attempts are writes, whose segments are sent again and again: a short break makes them late.
    if fault.demo && fault.effect == Effect::KillsAll {
        cases.push(stream(&[fault.name], When::ToTheEnd));
    }
    cases
}

/// Each of the first with each of the second.
fn pairs(table: &'static [(&[&str], &[&str])]) -> impl Iterator<Item = [&'static str; 2]> {
    let each = |(ways, faults): &'static (&[&str], &[&str])| {
        ways.iter().flat_map(|way| faults.iter().map(move |fault| [*way, *fault]))
    };
    table.iter().flat_map(each)
}

fn beside(names: &[&str], effect: Effect, foreign: &str) -> Vec<Case> {
    let named = |case: Case| Case {
        name: format!("{} beside {foreign}", if names.is_empty() { "nothing" } else { &case.name }),
        foreign: Some(find(foreign).unwrap()),
        ..case
    };
    let kinds = if effect == Effect::KillsSome { SINGLE } else { APART };
    let mut cases = vec![named(Case { exact: true, ..case(names, effect, kinds) })];
    if effect == Effect::KillsAll {
        cases.push(named(stream(names, When::ToTheEnd)));
    }
    cases
}

/// A connection's segments may be sent again after the run, so that what is counted is more than its writes.
fn stream(names: &[&str], when: When) -> Case {
    let case = case(names, Effect::KillsAll, STREAM);
    let effect = if case.faults.iter().all(|fault| fault.effect == Effect::KillsSome) {
        Effect::KillsSome
    } else {
        Effect::KillsAll
    };
    let how = match when {
        When::Throughout => "stream from the start",
        When::ForAWhile => "stream for a while",
        When::ForLong => "stream for long",
        When::ToTheEnd => "stream",
    };
    Case { name: format!("{} {how}", case.name), when, effect, ..case }
}

/// Faults from start to end, with those of the probes that all of them concern.
fn case(names: &[&str], effect: Effect, kinds: &[Kind]) -> Case {
    let faults: Vec<&'static Fault> = names.iter().map(|name| find(name).unwrap()).collect();
    let hit = |kind: &Kind| faults.iter().all(|fault| fault.probes.contains(kind));
    let kinds = kinds.iter().copied().filter(hit).collect();
    let name = names.join(" + ");
    Case { name, faults, effect, exact: false, when: When::Throughout, kinds, foreign: None }
}
