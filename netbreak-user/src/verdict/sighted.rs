//! A run that another node makes, by what is seen of its packets here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use netbreak_common::{Event, LEG_REPLY, LEG_REQUEST, STAGE_ROUTE};

use super::{Evidence, addresses, deaths};
use crate::{
    clock::{Nanos, seconds_since},
    kernel::Trails,
    probe::{Attempt, Kind, Outcome, Record},
    report::{Ended, Seen, Sighted},
};

/// Each of the first `probes` probes as if it had measured that whatever was seen of it here was lost: what its attempts
/// would have died of is then what happened to them here.
pub fn strangers(probes: u32, trails: &Trails, events: &[Event]) -> Vec<Record> {
    let mut seen: BTreeMap<(u32, u64), Nanos> = BTreeMap::new();
    let mut note = |probe: u32, attempt: u64, at: Nanos| {
        let first = seen.entry((probe, attempt)).or_insert(at);
        *first = at.min(*first);
    };
    for (probe, attempt) in trails.attempts() {
        for leg in [LEG_REQUEST, LEG_REPLY] {
            if let Some(trail) = trails.of(probe, attempt, leg) {
                note(probe, attempt, trail.first);
            }
        }
    }
    let known = || events.iter().filter(|event| event.attempt_known == 1 && event.probe < probes);
    known().for_each(|event| note(event.probe, event.attempt, event.time));
    let mut records: Vec<Record> = (0..probes).map(|_| nobody()).collect();
    for ((probe, seq), sent) in seen {
        let Some(record) = records.get_mut(probe as usize) else { continue };
        if is_echo(trails, probe, seq) {
            record.kind = Kind::Icmp;
        }
        let outcome = Outcome::Lost;
        record.attempts.push(Attempt { seq, planned: sent, sent, local_port: 0, outcome });
    }
    for event in known() {
        let record = &mut records[event.probe as usize];
        if matches!(event.protocol, 1 | 58) {
            record.kind = Kind::Icmp;
        }
        if let Some(address) = target(event) {
            record.address = address;
        }
    }
    records
}

fn nobody() -> Record {
    Record {
        target: 0,
        kind: Kind::Udp,
        // Unless something happens to its packets, only the end of the address is seen.
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        port: None,
        attempts: Vec::new(),
        duplicates: 0,
        http_errors: None,
        tls_errors: None,
        tls_error: None,
        phases: None,
        stream: None,
    }
}

/// ICMP and ICMPv6 requests and ICMPv6 replies say so; an ICMP reply has its request's kind.
fn is_echo(trails: &Trails, probe: u32, attempt: u64) -> bool {
    [LEG_REQUEST, LEG_REPLY].into_iter().filter_map(|leg| trails.of(probe, attempt, leg)).any(|trail| {
        let stops = trail.stops.iter().filter(|stop| stop.stage != STAGE_ROUTE);
        stops.map(|stop| stop.flags).any(|kind| matches!(kind, 8 | 128 | 129))
    })
}

/// Whom the probe visits, by what it is called here.
fn target(event: &Event) -> Option<IpAddr> {
    if event.leg == LEG_REPLY { addresses::source(event) } else { addresses::destination(event) }
}

/// What was seen of each of the records that [`strangers`] made; nothing for those of which nothing was.
pub fn sighted(evidence: &Evidence) -> Vec<Sighted> {
    let probes = (0..).zip(evidence.records).filter(|(_, record)| !record.attempts.is_empty());
    probes.map(|(probe, record)| one(evidence, probe, record)).collect()
}

fn one(evidence: &Evidence, probe: u32, record: &Record) -> Sighted {
    let judged = deaths(evidence, probe as usize);
    let mut ends: Vec<Ended> =
        judged.deaths.into_iter().map(|death| Ended { death, seq: Vec::new() }).collect();
    let (mut requests, mut replies) = (Seen::default(), Seen::default());
    for Attempt { seq, .. } in &record.attempts {
        if let Some(ended) = judged.of.get(seq).and_then(|index| ends.get_mut(*index)) {
            ended.seq.push(*seq);
        }
        let trail = |leg| evidence.trails.of(probe, *seq, leg);
        if let Some(trail) = trail(LEG_REQUEST) {
            requests.push(*seq, seconds_since(evidence.start, trail.first));
        }
        // A trail that is no packet's: there was no route for it.
        let was_sent = |stops: &[crate::kernel::Stop]| stops.iter().any(|stop| stop.stage != STAGE_ROUTE);
        if let Some(trail) = trail(LEG_REPLY).filter(|trail| was_sent(trail.stops)) {
            replies.push(*seq, seconds_since(evidence.start, trail.last));
        }
    }
    Sighted { probe, kind: record.kind, ends, requests, replies }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use netbreak_common::{STAGE_RECEIVE, STAGE_TRANSMIT};

    use super::super::tests::build::*;
    use super::*;
    use crate::{clock::SECOND, report::Cause, watch::Owners};

    fn sightings(trails: &Trails, events: &[Event]) -> Vec<Sighted> {
        let (names, sides, owners) = (names(), BTreeMap::new(), Owners::default());
        sighted(&Evidence {
            start: SECOND,
            timeout: SECOND,
            netns: u32::MAX,
            records: &strangers(4, trails, events),
            events,
            trails,
            changes: &[],
            daemons: &[],
            owners: &owners,
            absences: &[],
            sides: &sides,
            misses: 0,
            names: &names,
        })
    }

    #[test]
    fn ends_are_what_became_of_packets_here() {
        let mut trails = Trails::default();
        let at = |seq: u64, micros: u64| 2 * SECOND + seq * SECOND + micros * 1_000;
        for seq in 5..15 {
            let echo = |hop: netbreak_common::Hop| netbreak_common::Hop { flags: 8, ..hop };
            let came = echo(hop(at(seq, 0), STAGE_RECEIVE, VETH));
            let went = echo(hop(at(seq, 2), STAGE_TRANSMIT, WIRE));
            let back = [hop(at(seq, 50), STAGE_RECEIVE, WIRE), hop(at(seq, 52), STAGE_TRANSMIT, VETH)];
            let (request, reply) = match seq % 5 {
                0 => (vec![came], vec![]),
                1 => (vec![came, went], vec![]),
                _ => (vec![came, went], back.to_vec()),
            };
            let legs = [request, reply].map(|hops| (!hops.is_empty()).then(|| passage(seq, &hops)));
            trails.unanswered(2, seq, [legs[0].as_ref(), legs[1].as_ref()]);
        }
        let died = |seq| Event { probe: 2, ..event(Kind::Icmp, at(seq, 1), seq) };
        let [found] = &sightings(&trails, &[died(5), died(10)])[..] else { panic!() };
        assert_eq!((found.probe, found.kind, found.seen()), (2, Kind::Icmp, (5..15).collect()));
        let ends: Vec<_> =
            found.ends.iter().map(|ended| (ended.death.cause, ended.is_alive(), ended.seq.len())).collect();
        assert_eq!(ends, [(Cause::Link, true, 6), (Cause::Netfilter, false, 2), (Cause::Unseen, true, 2)]);
        assert_eq!(found.ends[1].seq, [5, 10]);
        assert_eq!((found.requests.at(7), found.replies.at(7)), (Some(8.0), Some(8.000_052)));
        assert_eq!((found.requests.at(5), found.replies.at(5)), (Some(6.0), None));
    }

    #[test]
    fn an_event_alone_is_a_sighting() {
        let dropped = Event { probe: 1, ..reply(event(Kind::Udp, 3 * SECOND, 9)) };
        let beyond = Event { probe: 4, ..dropped };
        let found = sightings(&Trails::default(), &[dropped, beyond]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].probe, found[0].kind, found[0].seen()), (1, Kind::Udp, vec![9]));
        let records = strangers(4, &Trails::default(), &[dropped]);
        assert_eq!(records[1].address, IpAddr::V4(REMOTE));
    }
}
