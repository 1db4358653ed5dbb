//! Which attempts died where, and alike.

use std::collections::{BTreeMap, HashMap};

use netbreak_common::{Event, LEG_REQUEST, sensor};

use super::{
    Evidence, TCP_SYN,
    case::Case,
    end::{End, Proof},
    group::{Group, Toll},
    sentence, stream,
};
use crate::{
    clock::Nanos,
    probe::{Kind, Outcome, Record},
    report::{Death, Retransmits},
};

/// Of so many groups of late attempts it is said what held them up.
const MOST_LATE: usize = 3;

/// What became of the attempts of a probe that needed a death.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// Its deaths, most attempts first.
    pub deaths: Vec<Death>,
    /// How many lost attempts stay unexplained.
    pub unexplained: u64,
    /// Which of the deaths each attempt died, by its sequence number; those that are not here are unexplained.
    pub of: HashMap<u64, usize>,
    /// When the drop was that ended each attempt, by its sequence number; those that none ended are not here.
    pub dropped: HashMap<u64, Nanos>,
    /// What held up attempts that were answered after their time-out: how far those had got by then that went alike, most
    /// first. `None` if there are none, or nothing was seen of them.
    pub late: Option<String>,
}

/// Attempts that ended alike, by their sequence numbers, and when the first and the last of them did.
type Alike = BTreeMap<Group, (Vec<u64>, Nanos, Nanos)>;

fn add(alike: &mut Alike, attempt: u64, End { group, at, .. }: End) {
    let (attempts, first, last) = alike.entry(group).or_insert_with(|| (Vec::new(), at, at));
    attempts.push(attempt);
    *first = (*first).min(at);
    *last = (*last).max(at);
}

/// Judges a probe (its index among the records).
pub fn deaths(evidence: &Evidence, probe: usize) -> Judged {
    let Some(case) = Case::new(evidence, probe) else { return Judged::default() };
    let ends: Vec<Option<End>> = match case.record.kind {
        Kind::Stream => stream::ends(&case),
        _ => case.dead().map(|attempt| case.end(attempt)).collect(),
    };
    let mut alike = Alike::new();
    let mut judged = Judged { late: late(evidence, probe, &case), ..Judged::default() };
    for (attempt, end) in case.dead().zip(ends) {
        match end {
            Some(end) => {
                if end.proof == Proof::Dropped {
                    judged.dropped.insert(attempt.seq, end.at);
                }
                add(&mut alike, attempt.seq, end);
            }
            None => judged.unexplained += 1,
        }
    }
    let mut groups: Vec<_> = alike.into_iter().collect();
    groups.sort_by_key(|(_, (attempts, ..))| std::cmp::Reverse(attempts.len()));
    for (index, (group, (attempts, first, last))) in groups.into_iter().enumerate() {
        let toll = Toll {
            evidence,
            record: case.record,
            probe,
            attempts: attempts.len() as u64,
            span: (first, last),
        };
        judged.deaths.push(group.into_death(&toll));
        judged.of.extend(attempts.into_iter().map(|seq| (seq, index)));
    }
    judged
}

/// See [`Judged::late`].
fn late(evidence: &Evidence, probe: usize, case: &Case) -> Option<String> {
    let record = case.record;
    // A stream's writes are late behind one another.
    if record.kind == Kind::Stream {
        return None;
    }
    let mut alike = Alike::new();
    for attempt in &record.attempts {
        if let Outcome::Late { at: answered } = attempt.outcome
            && let Some(end) = case.delay(attempt, answered)
        {
            add(&mut alike, attempt.seq, end);
        }
    }
    let mut groups: Vec<_> = alike.into_iter().collect();
    groups.sort_by_key(|(_, (attempts, ..))| std::cmp::Reverse(attempts.len()));
    let mut shares = groups.iter().map(|(group, (attempts, first, last))| {
        let attempts = attempts.len() as u64;
        let toll = Toll { evidence, record, probe, attempts, span: (*first, *last) };
        (attempts, sentence::late(group, &toll))
    });
    if groups.len() == 1 {
        return shares.next().map(|(_, sentence)| sentence);
    }
    let mut said: Vec<String> = shares
        .by_ref()
        .take(MOST_LATE)
        .map(|(attempts, sentence)| format!("{attempts} of them: {sentence}"))
        .collect();
    let elsewhere: u64 = shares.map(|(attempts, _)| attempts).sum();
    if elsewhere > 0 {
        said.push(format!("and {elsewhere} elsewhere"));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// Retransmitted segments of the connections of a probe (its index among the records); `None` for kinds without TCP.
pub fn retransmits(evidence: &Evidence, probe: usize, record: &Record) -> Option<Retransmits> {
    let mut sum = Retransmits { segments: 0, syn: 0 };
    for event in resent_events(evidence, probe, record)? {
        sum.segments += u64::from(event.segments);
        sum.syn += u64::from(event.flags & TCP_SYN != 0);
    }
    Some(sum)
}

/// The same segments by time: how many at each.
pub fn resent(evidence: &Evidence, probe: usize, record: &Record) -> Option<Vec<(Nanos, u64)>> {
    let events = resent_events(evidence, probe, record)?;
    Some(events.map(|event| (event.time, u64::from(event.segments))).collect())
}

fn resent_events<'a>(
    evidence: &Evidence<'a>,
    probe: usize,
    record: &Record,
) -> Option<impl Iterator<Item = &'a Event> + use<'a>> {
    if matches!(record.kind, Kind::Icmp | Kind::Udp) {
        return None;
    }
    Some(evidence.events.iter().filter(move |event| {
        event.probe as usize == probe
            && event.sensor == sensor::RETRANSMIT
            && event.leg == LEG_REQUEST
            && event.reason == 0
    }))
}
