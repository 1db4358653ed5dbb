//! Which attempts died where, and alike.

use std::collections::BTreeMap;

use netbreak_common::{LEG_REQUEST, sensor};

use super::{Evidence, case::Case, end::End, stream};
use crate::{
    clock::Nanos,
    probe::{Kind, Record},
    report::{Death, Retransmits},
};

const TCP_SYN: u8 = 0x02;

/// The deaths of a probe (its index among the records), most attempts first, and how many lost attempts stay
/// unexplained.
pub fn deaths(evidence: &Evidence, probe: usize) -> (Vec<Death>, u64) {
    let Some(case) = Case::new(evidence, probe) else { return (Vec::new(), 0) };
    let ends: Vec<Option<End>> = match case.record.kind {
        Kind::Stream => stream::ends(&case),
        _ => case.dead().map(|attempt| case.end(attempt)).collect(),
    };
    let mut groups: BTreeMap<_, (u64, Nanos, Nanos)> = BTreeMap::new();
    let unexplained = ends.iter().filter(|end| end.is_none()).count() as u64;
    for End { group, at, .. } in ends.into_iter().flatten() {
        let (attempts, first, last) = groups.entry(group).or_insert((0, at, at));
        *attempts += 1;
        *first = (*first).min(at);
        *last = (*last).max(at);
    }
    let mut deaths: Vec<Death> = groups
        .into_iter()
        .map(|(group, (attempts, first, last))| {
            group.into_death(evidence, case.record, attempts, first, last)
        })
        .collect();
    deaths.sort_by_key(|death| std::cmp::Reverse(death.attempts));
    (deaths, unexplained)
}

/// Retransmitted segments of the connections of a probe (its index among the records); `None` for kinds without TCP.
pub fn retransmits(evidence: &Evidence, probe: usize, record: &Record) -> Option<Retransmits> {
    if matches!(record.kind, Kind::Icmp | Kind::Udp) {
        return None;
    }
    let ours = evidence.events.iter().filter(|event| {
        event.probe as usize == probe
            && event.sensor == sensor::RETRANSMIT
            && event.leg == LEG_REQUEST
            && event.reason == 0
    });
    let mut sum = Retransmits { segments: 0, syn: 0 };
    for event in ours {
        sum.segments += u64::from(event.segments);
        sum.syn += u64::from(event.flags & TCP_SYN != 0);
    }
    Some(sum)
}
