//! A node that watched: what it saw of which attempt.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    MergeError,
    clock::{Clock, compare},
};
use crate::{
    probe::Kind,
    report::{Dropped, Ended, Node, One, Report, Sighted, Sightings},
};

/// What was sent this long before the watching ended may have come after it.
const ON_ITS_WAY_S: f64 = 1.0;

/// A connect may be tried again, and its last segment be dropped, that long after it left.
const TRIED_FOR_S: f64 = 10.0;

/// Times of dropped connections are that coarse, and more.
const TICK_S: f64 = 0.02;

/// Whose attempts are looked for.
pub struct Visit<'a> {
    /// Address of the target.
    pub address: &'a str,
    /// How it is visited.
    pub kind: Kind,
    /// At which port.
    pub port: Option<u16>,
    /// Number of the probe in its packets.
    pub probe: u32,
}

impl Visit<'_> {
    /// Of connections that were dropped on both legs: does this one tell? As of a packet the reply comes after the request;
    /// but of a stream the loss of an acknowledgement harms none, as long as another one comes.
    pub fn tells(&self, is_reply: bool) -> bool {
        is_reply != (self.kind == Kind::Stream)
    }
}

/// A connection that was dropped, by how many segments ever.
struct Cut {
    /// Index of the place.
    place: usize,
    is_reply: bool,
    first_s: f64,
    last_s: f64,
}

impl Cut {
    /// Did a stream's write wait for what was dropped then? It was on its way, or was to leave after it: until TCP sent again
    /// what had been lost, twice as long after the first time as its last try was.
    fn held_up(&self, at_s: f64) -> bool {
        let lasted_s = self.last_s - self.first_s;
        (self.first_s - ON_ITS_WAY_S..=self.last_s + lasted_s + ON_ITS_WAY_S).contains(&at_s)
    }
}

/// A node that watched.
pub struct Watcher<'a> {
    sightings: &'a Sightings,
    probes: HashMap<u32, Probed<'a>>,
    /// By visited address and port: local ports, and what was dropped.
    cut: HashMap<(&'a str, u16), HashMap<u16, Vec<Cut>>>,
    matched: u64,
    clock: Option<Clock>,
    /// Of its wall clock.
    offset_s: Option<f64>,
}

/// What it saw of one probe.
struct Probed<'a> {
    sighted: &'a Sighted,
    /// Which end each attempt had.
    ended: HashMap<u64, usize>,
    /// Every attempt of which something was seen, ascending.
    seen: Vec<u64>,
}

impl<'a> Watcher<'a> {
    /// From what it wrote.
    pub fn new(report: &Report, sightings: &'a Sightings) -> Result<Self, MergeError> {
        let probes = sightings.probes.iter().map(|sighted| {
            let ends = sighted.ends.iter().enumerate();
            let ended = ends.flat_map(|(index, ended)| ended.seq.iter().map(move |seq| (*seq, index)));
            (sighted.probe, Probed { sighted, ended: ended.collect(), seen: sighted.seen() })
        });
        let (matched, clock) = compare(report, sightings);
        let time = |text: &str| text.parse().map_err(|_| MergeError::Time(text.to_owned()));
        let (theirs, ours): (Timestamp, Timestamp) = (time(&sightings.started)?, time(&report.run.started)?);
        let offset_s = clock.map(|clock| (theirs.duration_since(ours)).as_secs_f64() + clock.ahead_s);
        Ok(Self { sightings, probes: probes.collect(), cut: cut(sightings), matched, clock, offset_s })
    }

    /// Its host name.
    pub fn host(&self) -> &'a str {
        &self.sightings.host
    }

    /// The end that an attempt had there, if it was not answered, and its index; `None` if no end was seen.
    pub fn end(&self, probe: u32, seq: u64) -> Option<(usize, &'a Ended)> {
        let probed = self.probes.get(&probe)?;
        let index = *probed.ended.get(&seq)?;
        Some((index, probed.sighted.ends.get(index)?))
    }

    /// One of its ends.
    pub fn ended(&self, probe: u32, end: usize) -> Option<&'a Ended> {
        self.probes.get(&probe)?.sighted.ends.get(end)
    }

    /// Can it have seen packets of this probe, and does it know them?
    pub fn follows(&self, visit: &Visit) -> bool {
        match (visit.kind, visit.port) {
            (Kind::Icmp | Kind::Udp, _) => self.probes.contains_key(&visit.probe),
            (_, Some(port)) => self.cut.contains_key(&(visit.address, port)),
            (_, None) => false,
        }
    }

    /// Where a segment of this attempt's connection was dropped: index of the place, and was it a reply? Ports are used
    /// again, so the times must fit; where no clock tells, nothing does.
    pub fn dropped(&self, visit: &Visit, attempt: &One) -> Option<(usize, bool)> {
        let cuts = self.cut.get(&(visit.address, visit.port?))?.get(&attempt.port?)?;
        let at_s = attempt.sent_s + self.clock?.ahead_s;
        let fits = |cut: &&Cut| match visit.kind {
            Kind::Stream => cut.held_up(at_s),
            _ => cut.last_s >= at_s - TICK_S && cut.first_s <= at_s + TRIED_FOR_S,
        };
        let tells = |cut: &Cut| visit.tells(cut.is_reply);
        let last = cuts
            .iter()
            .filter(fits)
            .max_by(|a, b| tells(a).cmp(&tells(b)).then(a.last_s.total_cmp(&b.last_s)))?;
        Some((last.place, last.is_reply))
    }

    /// One of its places where connections were dropped.
    pub fn place(&self, place: usize) -> Option<&'a Dropped> {
        self.sightings.dropped.get(place)
    }

    /// Does it say of this attempt, which left at `sent_s`, that nothing of it came there? It saw others of the probe, it
    /// watched all the time in which a packet could have come, and lost nothing of what it saw.
    pub fn missed(&self, probe: u32, &One { seq, sent_s, .. }: &One) -> bool {
        let Some(probed) = self.probes.get(&probe) else { return false };
        if probed.seen.binary_search(&seq).is_ok() || self.sightings.losses.ledger > 0 {
            return false;
        }
        match (self.clock, &probed.seen[..]) {
            (Some(clock), _) => {
                let at_s = sent_s + clock.ahead_s;
                at_s >= clock.uncertainty_s && at_s + ON_ITS_WAY_S <= self.sightings.duration_s
            }
            (None, [first, .., last]) => (*first..*last).contains(&seq),
            (None, _) => false,
        }
    }

    /// When it saw this attempt in the report's seconds: the request first, or the reply last.
    pub fn at_s(&self, probe: u32, seq: u64, is_reply: bool) -> Option<f64> {
        let sighted = self.probes.get(&probe)?.sighted;
        let seen = if is_reply { &sighted.replies } else { &sighted.requests };
        Some(seen.at(seq)? - self.clock?.ahead_s)
    }

    /// For the report; what it told is not counted yet.
    pub fn summary(&self) -> Node {
        Node {
            host: self.sightings.host.clone(),
            started: self.sightings.started.clone(),
            seen: self.probes.values().map(|probed| probed.seen.len() as u64).sum(),
            unplaced: 0,
            died: 0,
            passed: 0,
            not_reached: 0,
            matched: self.matched,
            offset_s: self.offset_s,
            uncertainty_s: self.clock.map(|clock| clock.uncertainty_s),
            losses: self.sightings.losses,
        }
    }
}

/// A request goes to what is visited, a reply comes from there.
fn cut(sightings: &Sightings) -> HashMap<(&str, u16), HashMap<u16, Vec<Cut>>> {
    let mut found: HashMap<(&str, u16), HashMap<u16, Vec<Cut>>> = HashMap::new();
    for (place, dropped) in sightings.dropped.iter().enumerate() {
        for row in 0..dropped.src.len() {
            let source = (dropped.src[row].as_str(), dropped.sport[row]);
            let destination = (dropped.dst[row].as_str(), dropped.dport[row]);
            for (visited, local, is_reply) in [(destination, source, false), (source, destination, true)] {
                let (first_s, last_s) = (dropped.first_s[row], dropped.last_s[row]);
                let cuts = found.entry(visited).or_default().entry(local.1).or_default();
                cuts.push(Cut { place, is_reply, first_s, last_s });
            }
        }
    }
    found
}
