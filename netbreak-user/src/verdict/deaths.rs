//! Which attempts died where: drop events of probe packets, matched to the attempts that they belonged to.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use netbreak_common::{Event, FAMILY_V4, LEG_REPLY, LEG_REQUEST, sensor};

use super::{
    Evidence, cause,
    ending::Ending,
    group::{Group, Toll},
    last::{Doing, Last, last},
    sentence, stage,
    starved::Sleeps,
};
use crate::{
    clock::Nanos,
    probe::{Attempt, Kind, Outcome, Record},
    report::{Cause, Death, Leg, Retransmits},
};

const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;

/// The deaths of a probe (its index among the records), most attempts first, and how many lost attempts stay
/// unexplained.
pub fn deaths(evidence: &Evidence, probe: usize) -> (Vec<Death>, u64) {
    let Some(record) = evidence.records.get(probe) else { return (Vec::new(), 0) };
    let events = Matched::new(evidence, record);
    let sleeps = Sleeps::of(evidence.records, evidence.timeout);
    let mut groups: BTreeMap<Group, (u64, Nanos, Nanos)> = BTreeMap::new();
    let mut unexplained = 0;
    for attempt in record.attempts.iter().filter(|attempt| attempt.needs_a_death()) {
        let starved = || sleeps.explain(record, attempt).then(|| starved(evidence, attempt));
        match death(evidence, probe, record, attempt, &events, starved) {
            Some((group, at)) => {
                let (attempts, first, last) = groups.entry(group).or_insert((0, at, at));
                *attempts += 1;
                *first = (*first).min(at);
                *last = (*last).max(at);
            }
            None => unexplained += 1,
        }
    }
    let mut deaths: Vec<Death> = groups
        .into_iter()
        .map(|(group, (attempts, first, last))| {
            group.into_death(&Toll { evidence, record, probe, attempts, span: (first, last) })
        })
        .collect();
    deaths.sort_by_key(|death| std::cmp::Reverse(death.attempts));
    (deaths, unexplained)
}

/// What held up attempts of a probe that were answered after their time-out: how far most of them had got by then.
/// `None` if there are none, or nothing was seen of them.
pub fn late(evidence: &Evidence, probe: usize) -> Option<String> {
    let record = evidence.records.get(probe).filter(|record| record.kind != Kind::Stream)?;
    let events = Matched::new(evidence, record);
    let mut groups: BTreeMap<Group, (u64, Nanos, Nanos)> = BTreeMap::new();
    for attempt in &record.attempts {
        let Outcome::Late { at: answered } = attempt.outcome else { continue };
        let candidates = events.of(evidence, record, attempt);
        // What died first held it up: its connection goes on after the answer.
        let first = candidates
            .iter()
            .filter(|event| event.sensor == sensor::DROP && event.time < answered)
            .map(|event| (*event, Ending::of(event, evidence.names)))
            // What a socket still held when it was closed had arrived.
            .find(|(_, ending)| !ending.is_a_copy() && !ending.passes("sk_stream_kill_queues"));
        let found = match first {
            Some((event, ending)) => Some(of_drop(evidence, None, event, ending)),
            None => {
                death(evidence, probe, record, attempt, &events, || None).filter(|(_, at)| *at < answered)
            }
        };
        if let Some((group, at)) = found {
            let (attempts, first, last) = groups.entry(group).or_insert((0, at, at));
            *attempts += 1;
            *first = (*first).min(at);
            *last = (*last).max(at);
        }
    }
    let (group, (attempts, first, last)) = groups.into_iter().max_by_key(|(_, (attempts, ..))| *attempts)?;
    Some(sentence::late(&group, &Toll { evidence, record, probe, attempts, span: (first, last) }))
}

/// Retransmitted segments of a probe's own connections; `None` for kinds without TCP.
pub fn retransmits(evidence: &Evidence, record: &Record) -> Option<Retransmits> {
    if matches!(record.kind, Kind::Icmp | Kind::Udp) {
        return None;
    }
    let ours = evidence.events.iter().filter(|event| {
        event.sensor == sensor::RETRANSMIT
            && event.leg == LEG_REQUEST
            && event.reason == 0
            && identity(evidence.run_id, record, event)
                .is_some_and(|port| record.attempts.iter().any(|a| u64::from(a.local_port) == port))
    });
    let mut sum = Retransmits { segments: 0, syn: 0 };
    for event in ours {
        sum.segments += u64::from(event.segments);
        sum.syn += u64::from(event.flags & TCP_SYN != 0);
    }
    Some(sum)
}

/// Where `attempt` died, and when.
fn death(
    evidence: &Evidence,
    probe: usize,
    record: &Record,
    attempt: &Attempt,
    events: &Matched,
    starved: impl FnOnce() -> Option<(Group, Nanos)>,
) -> Option<(Group, Nanos)> {
    let candidates = events.of(evidence, record, attempt);
    let last = last(evidence, probe as u32, attempt.seq, attempt.sent, &candidates);
    // Whatever was dropped before that was a copy. But where it was refused as somebody else's it was one itself.
    let seen_last = last.as_ref().filter(|last| !last.is_refused).map_or(0, |last| last.at);
    // A RST on its way to the target is no attempt: it ends one, or a firewall made it.
    let is_reset = |event: &Event| {
        matches!(record.kind, Kind::Tcp | Kind::Http)
            && event.leg == LEG_REQUEST
            && event.flags & TCP_RST != 0
    };
    let drops = candidates
        .iter()
        .filter(|event| event.sensor == sensor::DROP && event.time >= seen_last && !is_reset(event));
    let drop = drops
        .map(|event| (event, Ending::of(event, evidence.names)))
        .filter(|(_, ending)| !ending.is_a_copy())
        // The last stage that any of its packets reached: the reply comes after the request.
        .max_by_key(|(event, _)| (event.leg == LEG_REPLY && record.kind != Kind::Stream, event.time));
    if let Some((event, ending)) = drop {
        return Some(of_drop(evidence, last.as_ref(), event, ending));
    }
    let error =
        candidates.iter().filter(|event| event.sensor == sensor::ICMP_SENT).max_by_key(|event| event.time);
    if let Some(event) = error {
        let (kind, code) = ((event.reason >> 8) as u8, event.reason as u8);
        return Some((
            Group {
                leg: leg(event),
                cause: cause::of_icmp_error(kind, code),
                reason: Some(format!("ICMP {kind}/{code}")),
                symbol: None,
                stage: None,
                device: device(event),
                ifindex: (event.ifindex != 0).then_some(event.ifindex),
                netns: (event.netns != 0).then_some(event.netns),
                doing: None,
            },
            event.time,
        ));
    }
    if let Outcome::SendFailed { errno } = attempt.outcome {
        return Some((
            Group {
                leg: Leg::Request,
                cause: cause::of_errno(errno),
                reason: Some(errno_name(errno)),
                symbol: None,
                stage: Some("socket send".to_owned()),
                device: None,
                ifindex: None,
                netns: Some(evidence.netns),
                doing: None,
            },
            attempt.sent,
        ));
    }
    if let Some(starved) = starved() {
        return Some(starved);
    }
    let last = last?;
    let told = match attempt.outcome {
        Outcome::Unreachable { errno, .. } if last.doing != Doing::Waiting => Some(errno),
        _ => None,
    };
    Some((
        Group {
            leg: last.leg,
            cause: told.map_or_else(|| last.doing.cause(), cause::of_errno),
            reason: told.map(errno_name),
            symbol: match &last.doing {
                Doing::Consumed(symbol) => symbol.clone(),
                _ => None,
            },
            stage: Some(last.doing.stage().to_owned()),
            device: device_name(evidence, last.netns, last.ifindex),
            ifindex: last.ifindex,
            netns: last.netns,
            doing: told.is_none().then_some(last.doing),
        },
        last.at,
    ))
}

/// The death that a drop was.
fn of_drop(evidence: &Evidence, last: Option<&Last>, event: &Event, ending: Ending) -> (Group, Nanos) {
    // On a socket's queue a packet has no device any more: it came by the one where it was seen last.
    let came_by = last.filter(|last| event.ifindex == 0 && last.netns == Some(event.netns));
    let ifindex = came_by.map_or((event.ifindex != 0).then_some(event.ifindex), |last| last.ifindex);
    let group = Group {
        leg: leg(event),
        cause: cause::of_drop(&ending),
        stage: stage::of(&ending).map(str::to_owned),
        reason: ending.reason,
        symbol: ending.symbol,
        device: device(event).or_else(|| device_name(evidence, Some(event.netns), ifindex)),
        ifindex,
        netns: (event.netns != 0).then_some(event.netns),
        doing: None,
    };
    (group, event.time)
}

fn device_name(evidence: &Evidence, netns: Option<u32>, ifindex: Option<u32>) -> Option<String> {
    Some(evidence.names.device(netns?, ifindex?)?.name.clone())
}

/// The death of an attempt that netbreak is to blame for.
fn starved(evidence: &Evidence, attempt: &Attempt) -> (Group, Nanos) {
    let group = Group {
        leg: Leg::Unknown,
        cause: Cause::Starved,
        reason: None,
        symbol: None,
        stage: None,
        device: None,
        ifindex: None,
        netns: Some(evidence.netns),
        doing: None,
    };
    (group, attempt.sent)
}

fn leg(event: &Event) -> Leg {
    if event.leg == LEG_REPLY { Leg::Reply } else { Leg::Request }
}

fn device(event: &Event) -> Option<String> {
    let end = event.device.iter().position(|byte| *byte == 0).unwrap_or(event.device.len());
    (end > 0).then(|| String::from_utf8_lossy(&event.device[..end]).into_owned())
}

/// Such as `ENETUNREACH`; the number where this list has no name for it.
fn errno_name(errno: i32) -> String {
    match rustix::io::Errno::from_raw_os_error(errno) {
        rustix::io::Errno::NETUNREACH => "ENETUNREACH".into(),
        rustix::io::Errno::HOSTUNREACH => "EHOSTUNREACH".into(),
        rustix::io::Errno::INVAL => "EINVAL".into(),
        rustix::io::Errno::PERM => "EPERM".into(),
        rustix::io::Errno::ACCESS => "EACCES".into(),
        rustix::io::Errno::NOBUFS => "ENOBUFS".into(),
        rustix::io::Errno::AGAIN => "EAGAIN".into(),
        rustix::io::Errno::MSGSIZE => "EMSGSIZE".into(),
        rustix::io::Errno::NODEV => "ENODEV".into(),
        rustix::io::Errno::NXIO => "ENXIO".into(),
        rustix::io::Errno::NETDOWN => "ENETDOWN".into(),
        rustix::io::Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL".into(),
        rustix::io::Errno::CONNREFUSED => "ECONNREFUSED".into(),
        rustix::io::Errno::CONNRESET => "ECONNRESET".into(),
        rustix::io::Errno::PIPE => "EPIPE".into(),
        rustix::io::Errno::NOTCONN => "ENOTCONN".into(),
        rustix::io::Errno::TIMEDOUT => "ETIMEDOUT".into(),
        other => format!("errno {}", other.raw_os_error()),
    }
}

/// What names an attempt of `record` in an event, if the event belongs to the record: the echo's sequence number, the
/// datagram's, or our port.
fn identity(run_id: u64, record: &Record, event: &Event) -> Option<u64> {
    let protocol = match (record.kind, record.address) {
        (Kind::Icmp, IpAddr::V4(_)) => 1,
        (Kind::Icmp, IpAddr::V6(_)) => 58,
        (Kind::Udp, _) => 17,
        (Kind::Tcp | Kind::Http | Kind::Stream, _) => 6,
    };
    let (remote, remote_port, local_port) = if event.leg == LEG_REQUEST {
        (&event.destination, event.destination_port, event.source_port)
    } else {
        (&event.source, event.source_port, event.destination_port)
    };
    if event.protocol != protocol || address(event.family, remote) != record.address {
        return None;
    }
    if record.kind != Kind::Icmp && Some(remote_port) != record.port {
        return None;
    }
    if matches!(record.kind, Kind::Tcp | Kind::Http | Kind::Stream) {
        return Some(local_port.into());
    }
    // Elsewhere on the machine others may use the same addresses and numbers: the payload tells whose it is.
    let id = if record.kind == Kind::Icmp { event.source_port } else { local_port };
    let ours =
        event.run_id == run_id && record.attempts.first().is_some_and(|attempt| attempt.local_port == id);
    (ours && event.sequence_known == 1).then_some(event.sequence)
}

fn address(family: u8, bytes: &[u8; 16]) -> IpAddr {
    if family == FAMILY_V4 {
        Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
    } else {
        Ipv6Addr::from(*bytes).into()
    }
}

/// A record's events, by the attempt that each belongs to.
struct Matched<'a> {
    /// By `Attempt::seq`.
    by_attempt: HashMap<u64, Vec<&'a Event>>,
    /// All of them, ascending by time.
    all: Vec<&'a Event>,
}

impl<'a> Matched<'a> {
    fn new(evidence: &Evidence<'a>, record: &Record) -> Self {
        // A port may be used again: the latest attempt that had it when the event happened is meant.
        let mut attempts: HashMap<u64, Vec<&Attempt>> = HashMap::new();
        for attempt in &record.attempts {
            let identity = match record.kind {
                Kind::Icmp | Kind::Udp => attempt.seq,
                Kind::Tcp | Kind::Http | Kind::Stream => attempt.local_port.into(),
            };
            attempts.entry(identity).or_default().push(attempt);
        }
        let mut matched = Self { by_attempt: HashMap::new(), all: Vec::new() };
        for event in evidence.events {
            let Some(identity) = identity(evidence.run_id, record, event) else { continue };
            matched.all.push(event);
            let Some(with_identity) = attempts.get(&identity) else { continue };
            let sent_before =
                with_identity.partition_point(|attempt| attempt.sent.min(attempt.planned) <= event.time);
            if let Some(attempt) = sent_before.checked_sub(1).map(|index| with_identity[index]) {
                matched.by_attempt.entry(attempt.seq).or_default().push(event);
            }
        }
        matched
    }

    /// The events that may have ended `attempt`.
    fn of(&self, evidence: &Evidence, record: &Record, attempt: &Attempt) -> Vec<&'a Event> {
        if record.kind != Kind::Stream {
            return self.by_attempt.get(&attempt.seq).cloned().unwrap_or_default();
        }
        // A stream's segments are not its writes, and it retransmits with growing pauses: what died last within one
        // time-out of the write is what held it up.
        let (from, until) =
            (attempt.planned.saturating_sub(evidence.timeout), attempt.planned + evidence.timeout);
        self.all.iter().copied().filter(|event| (from..=until).contains(&event.time)).collect()
    }
}
