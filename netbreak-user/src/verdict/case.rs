//! One probe's evidence, and how each of its attempts ended by it.

use std::collections::HashMap;

use netbreak_common::{Event, Hop, LEG_REPLY, LEG_REQUEST, TUNNEL_PORTS, sensor};

use super::{
    Change, Evidence, TCP_RST, TCP_SYN, cause,
    daemons::SEEN_WITHIN,
    deaths::resent,
    end::{End, Proof},
    ending::Ending,
    gone,
    group::Group,
    last::{Asked, Doing, Last, UPCALL_STAGE, last},
    next_hop::{silent, way_out},
    stage,
    starved::Sleeps,
    switch::{SWITCH, listeners},
};
use crate::{
    clock::Nanos,
    probe::{Attempt, Kind, Outcome, Record},
    report::{Cause, Leg},
};

/// Of a write: what it was to be sent on was refused.
pub const REFUSED: Outcome = Outcome::SendFailed { errno: libc::ECONNREFUSED };

/// What is known of a probe.
pub struct Case<'a> {
    evidence: &'a Evidence<'a>,
    probe: u32,
    /// What it measured.
    pub record: &'a Record,
    /// What happened to its packets, by attempt, ascending by time.
    events: HashMap<u64, Vec<&'a Event>>,
    sleeps: Sleeps,
}

impl<'a> Case<'a> {
    /// Of the probe with this index among the records; `None` if there is none.
    pub fn new(evidence: &'a Evidence<'a>, probe: usize) -> Option<Self> {
        let record = evidence.records.get(probe)?;
        let probe = probe as u32;
        let mut events: HashMap<u64, Vec<&Event>> = HashMap::new();
        for event in evidence.events.iter().filter(|event| event.probe == probe && event.attempt_known == 1) {
            events.entry(event.attempt).or_default().push(event);
        }
        let sleeps = Sleeps::of(evidence.records, evidence.timeout);
        Some(Self { evidence, probe, record, events, sleeps })
    }

    /// When segments of it were sent again, ascending.
    pub fn resent(&self) -> Vec<Nanos> {
        let of_probe = resent(self.evidence, self.probe as usize, self.record).unwrap_or_default();
        of_probe.into_iter().map(|(at, _)| at).collect()
    }

    /// Did a neighbour that may be the next hop fall silent after `before`, when there was still an answer, so that `attempt`
    /// waited for it?
    pub fn waits_for_neighbour(&self, attempt: &Attempt, before: Nanos) -> bool {
        let evidence = self.evidence;
        let way_out = way_out(evidence, self.probe as usize);
        let is_on_the_way = |change: &Change| {
            change.netns == evidence.netns
                && way_out.is_none_or(|device| device == change.ifindex)
                && change.at.saturating_add(SEEN_WITHIN) >= before
        };
        silent(evidence, (Leg::Request, Some(self.record.address)), attempt.sent, is_on_the_way).is_some()
    }

    /// The attempts that need a death, in order.
    pub fn dead(&self) -> impl Iterator<Item = &'a Attempt> {
        self.record.attempts.iter().filter(|attempt| attempt.needs_a_death())
    }

    /// What held up `attempt`, which was answered late: what died of it first, since its connection goes on after the
    /// answer, else how far it had got by then. `None` where nothing tells.
    pub fn delay(&self, attempt: &Attempt, answered: Nanos) -> Option<End> {
        let events = self.events.get(&attempt.seq).map(Vec::as_slice).unwrap_or_default();
        let drops = events.iter().filter(|event| event.sensor == sensor::DROP && event.time < answered);
        let first = drops
            .map(|event| (*event, Ending::of(event, self.evidence.names)))
            // What a socket still held when it was closed had arrived. (Of what had another link address the last place tells.)
            .find(|(event, ending)| {
                let is_had = ending.is_a_copy() || came_again(event, ending);
                !is_had && !ending.passes("sk_stream_kill_queues")
            });
        match first {
            Some((event, ending)) => Some(of_drop(self.evidence, event, ending, None)),
            None if self.sleeps.delay(attempt, answered) => Some(starved(self.evidence, attempt)),
            None => self.end(attempt).filter(|end| end.at < answered),
        }
    }

    /// How `attempt` ended; `None` where nothing tells.
    pub fn end(&self, attempt: &Attempt) -> Option<End> {
        let events = self.events.get(&attempt.seq).map(Vec::as_slice).unwrap_or_default();
        let last = last(self.evidence, self.probe, attempt.seq, attempt.sent, events);
        // Of a connection that carries many attempts the last packet counts, whichever way it went: it is sent again.
        let is_stream = self.record.kind == Kind::Stream;
        // Whatever befell a packet before the attempt was seen last befell a copy. But where it was refused as somebody
        // else's it was one itself.
        let since = last.as_ref().filter(|last| !last.is_refused).map_or(0, |last| last.at);
        let events: Vec<&Event> = events.iter().copied().filter(|event| event.time >= since).collect();
        dropped(self.evidence, self.record.kind, attempt, &events, last.as_ref())
            .or_else(|| reported(&events))
            .or_else(|| refused(self.record.kind, attempt))
            // Of a write without a connection the SYN may have got somewhere.
            .or_else(|| {
                let was_tried = is_stream && last.as_ref().is_some_and(|last| last.ifindex.is_some());
                if was_tried { None } else { not_sent(self.evidence, self.record.kind, attempt) }
            })
            .or_else(|| self.sleeps.explain(self.record, attempt).then(|| starved(self.evidence, attempt)))
            .or_else(|| Some(seen_last(self.evidence, attempt, last?)))
    }
}

/// A write stayed in the send buffer, because the socket that it was for took no more (a window of zero bytes): the place
/// is where answered writes got to.
pub fn unread(case: &Case, attempt: &Attempt) -> End {
    let evidence = case.evidence;
    let is_there = |hop: &&Hop| hop.ifindex != 0 && evidence.names.has_address(hop.netns, hop.destination);
    let mut walks = evidence.trails.walks.iter().filter(|walk| walk.probe == case.probe);
    let place = walks.find_map(|walk| walk.legs[usize::from(LEG_REQUEST)].iter().rfind(is_there));
    let (netns, ifindex) = (place.map(|hop| hop.netns), place.map(|hop| hop.ifindex));
    let doing = Doing::Unread;
    let group = Group {
        stage: Some(doing.stage().to_owned()),
        device: device_name(evidence, netns, ifindex),
        ifindex,
        doing: Some(doing),
        ..Group::new(Leg::Request, Cause::Socket, netns)
    };
    End { group, at: attempt.sent, proof: Proof::SeenLast }
}

/// The last drop that was no copy's.
fn dropped(
    evidence: &Evidence,
    kind: Kind,
    attempt: &Attempt,
    events: &[&Event],
    last: Option<&Last>,
) -> Option<End> {
    let is_stream = kind == Kind::Stream;
    let (event, ending) = events
        .iter()
        .filter(|event| event.sensor == sensor::DROP)
        .map(|event| (event, Ending::of(event, evidence.names)))
        .filter(|(event, ending)| {
            let is_a_copy = ending.is_a_copy() && !was_misdirected(evidence, event, ending, last);
            !is_a_copy && !last.is_some_and(|last| last.ends_in(ending))
        })
        .filter(|(event, ending)| {
            let is_home = event.netns == evidence.netns;
            // What comes back to a stream that has ended had come back; and to a socket elsewhere it did not come: that one
            // has the same addresses and ports.
            let is_back = is_stream && is_home && ending.reason.as_deref() == Some("NO_SOCKET");
            let is_anothers = !is_home && ending.is_in_a_connection();
            event.leg != LEG_REPLY || !(is_back || is_anothers)
        })
        .filter(|(event, ending)| !is_afterwards(evidence, kind, attempt, event, ending))
        // The last stage that any of its packets reached: the reply comes after the request. Beside another drop what reached
        // the right device with another link address was a copy after all: of a switch between it and its router.
        .max_by_key(|(event, ending)| {
            (event.leg == LEG_REPLY && !is_stream, !ending.is_for_another(), event.time)
        })?;
    Some(of_drop(evidence, event, ending, last))
}

/// Did it reach its device with another link address, and was nobody else there who was to take it? A switch in userspace
/// takes from a packet socket what its own host refuses.
fn was_misdirected(evidence: &Evidence, event: &Event, ending: &Ending, last: Option<&Last>) -> bool {
    let is_switched = || listeners(evidence, event.netns, event.ifindex).any(|owner| owner.name == SWITCH);
    ending.is_misdirected(event, evidence.names)
        && !is_switched()
        && last.is_some_and(|last| last.is_untaken_in(event.netns))
}

/// Was it dropped for no other reason than that the probe's own socket was done with it?
fn is_afterwards(evidence: &Evidence, kind: Kind, attempt: &Attempt, event: &Event, ending: &Ending) -> bool {
    // It sends a RST as it is closed.
    if event.leg != LEG_REPLY {
        return kind.connects() && event.flags & TCP_RST != 0;
    }
    // What waited for its socket to be free has no device any more.
    if ![0, evidence.netns].contains(&event.netns) || kind == Kind::Stream {
        return false;
    }
    let is_over = event.time > attempt.sent.saturating_add(evidence.timeout);
    // A connection may be closed as soon as its time is over, every other socket when the run is.
    let is_closed = is_over && (kind.connects() || ending.reason.as_deref() == Some("NO_SOCKET"));
    is_closed || came_again(event, ending)
}

/// Is it a SYN-ACK that an open connection has had (`tcp_validate_incoming`)? The other end sends it again until it is
/// acknowledged.
fn came_again(event: &Event, ending: &Ending) -> bool {
    event.leg == LEG_REPLY && event.flags & TCP_SYN != 0 && ending.is_in_a_connection()
}

fn of_drop(evidence: &Evidence, event: &Event, ending: Ending, last: Option<&Last>) -> End {
    let mut group = Group {
        reason: ending.reason.clone(),
        symbol: ending.symbol.clone(),
        stage: stage::of(&ending).map(str::to_owned),
        ..group_at(event, cause::of_drop(&ending))
    };
    // On a socket's queue a packet has no device any more: it came by the one where it was seen last.
    if let Some(last) = last.filter(|last| event.ifindex == 0 && last.netns == Some(event.netns)) {
        group.ifindex = last.ifindex;
    }
    group.device = group.device.or_else(|| device_name(evidence, Some(event.netns), group.ifindex));
    in_switch(&mut group, evidence, event, &ending, last);
    in_tunnel(&mut group, evidence, event);
    End { group, at: event.time, proof: Proof::Dropped }
}

/// What the kernel datapath of Open vSwitch dropped has the errno of the upcall, or the port that it could not leave by:
/// its device is the one that it came by.
fn in_switch(group: &mut Group, evidence: &Evidence, event: &Event, ending: &Ending, last: Option<&Last>) {
    if group.cause == Cause::OvsUpcall {
        let asked = match last.map(|last| &last.doing) {
            Some(Doing::Upcall(asked @ Asked::Refused(errno))) => {
                group.reason = Some(errno_name(*errno));
                *asked
            }
            _ => Asked::Refused(0),
        };
        group.stage = Some(UPCALL_STAGE.to_owned());
        group.doing = Some(Doing::Upcall(asked));
    }
    if ending.passes("do_execute_actions")
        && matches!(group.reason.as_deref(), None | Some("NOT_SPECIFIED" | "DEV_READY"))
        && let Some(gone) = gone::switch_port(evidence.names, evidence.changes, event.netns, event.time)
    {
        by_link(group, gone);
    }
}

/// What a tunnel carries meets no socket while the tunnel's device is gone, or a socket whose device is just going.
fn in_tunnel(group: &mut Group, evidence: &Evidence, event: &Event) {
    let of_tunnels = matches!(group.symbol.as_deref(), Some("geneve_udp_encap_recv" | "vxlan_rcv"));
    // Before 5.17 there is no reason that tells.
    let no_socket = matches!(group.reason.as_deref(), None | Some("NO_SOCKET"))
        && group.stage.as_deref() == Some("udp receive")
        && TUNNEL_PORTS.contains(&event.destination_port);
    if (of_tunnels || no_socket)
        && let Some(gone) = gone::tunnel(evidence.names, evidence.changes, event.netns, event.time)
    {
        by_link(group, gone);
    }
}

fn by_link(group: &mut Group, gone: &Change) {
    group.cause = Cause::Link;
    group.device = Some(gone.device.clone());
    group.ifindex = Some(gone.ifindex);
}

/// An ICMP error about it.
fn reported(events: &[&Event]) -> Option<End> {
    let errors = events.iter().filter(|event| event.sensor == sensor::ICMP_SENT);
    let event = errors.max_by_key(|event| event.time)?;
    let (kind, code) = ((event.reason >> 8) as u8, event.reason as u8);
    let reason = Some(format!("ICMP {kind}/{code}"));
    let group = Group { reason, ..group_at(event, cause::of_icmp_error(kind, code)) };
    Some(End { group, at: event.time, proof: Proof::Reported })
}

fn not_sent(evidence: &Evidence, kind: Kind, attempt: &Attempt) -> Option<End> {
    let Outcome::SendFailed { errno } = attempt.outcome else { return None };
    // Its port was there, and is taken towards this target (`__inet_check_established`); without a port it is the address
    // that has gone.
    let is_taken = kind.connects() && errno == libc::EADDRNOTAVAIL && attempt.local_port != 0;
    let cause = if is_taken { Cause::Starved } else { cause::of_errno(errno) };
    let group = Group {
        reason: Some(errno_name(errno)),
        stage: Some("socket send".to_owned()),
        ..Group::new(Leg::Request, cause, Some(evidence.netns))
    };
    Some(End { group, at: attempt.sent, proof: Proof::NotSent })
}

/// A stream's connection was refused, so the write was not sent. By whom is told where its SYN was dropped.
fn refused(kind: Kind, attempt: &Attempt) -> Option<End> {
    (kind == Kind::Stream && attempt.outcome == REFUSED).then(|| {
        let reason = Some(errno_name(libc::ECONNREFUSED));
        let group = Group { reason, ..Group::new(Leg::Request, Cause::Socket, None) };
        End { group, at: attempt.sent, proof: Proof::NotSent }
    })
}

/// Netbreak itself is to blame.
fn starved(evidence: &Evidence, attempt: &Attempt) -> End {
    let group = Group::new(Leg::Unknown, Cause::Starved, Some(evidence.netns));
    End { group, at: attempt.sent, proof: Proof::Starved }
}

fn seen_last(evidence: &Evidence, attempt: &Attempt, last: Last) -> End {
    let told = match attempt.outcome {
        Outcome::Unreachable { errno, .. } if last.doing != Doing::Waiting => Some(errno),
        _ => None,
    };
    let mut group = Group {
        leg: last.leg,
        cause: told.map_or_else(|| last.doing.cause(), cause::of_errno),
        reason: told.or(last.doing.errno()).map(errno_name),
        symbol: match &last.doing {
            Doing::Consumed(symbol) => symbol.clone(),
            _ => None,
        },
        stage: Some(last.doing.stage().to_owned()),
        device: device_name(evidence, last.netns, last.ifindex),
        ifindex: last.ifindex,
        netns: last.netns,
        doing: told.is_none().then_some(last.doing),
    };
    // What came by a port of Open vSwitch that is just removed, or made anew, is of no port.
    if let (Some(Doing::InSwitch | Doing::Upcall(Asked::Handed | Asked::Unknown)), Some(netns), Some(ifindex)) =
        (&group.doing, group.netns, group.ifindex)
        && let Some(gone) = gone::device(evidence.changes, netns, ifindex, last.at)
    {
        by_link(&mut group, gone);
        group.doing = None;
    }
    End { group, at: last.at, proof: Proof::SeenLast }
}

fn device_name(evidence: &Evidence, netns: Option<u32>, ifindex: Option<u32>) -> Option<String> {
    Some(evidence.names.device(netns?, ifindex?)?.name.clone())
}

/// What an event tells of any end: the leg, and the place as far as it has one.
fn group_at(event: &Event, cause: Cause) -> Group {
    let leg = if event.leg == LEG_REPLY { Leg::Reply } else { Leg::Request };
    Group {
        device: device(event),
        ifindex: (event.ifindex != 0).then_some(event.ifindex),
        ..Group::new(leg, cause, (event.netns != 0).then_some(event.netns))
    }
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
        rustix::io::Errno::NOTCONN => "ENOTCONN".into(),
        rustix::io::Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL".into(),
        rustix::io::Errno::ADDRINUSE => "EADDRINUSE".into(),
        rustix::io::Errno::MFILE => "EMFILE".into(),
        rustix::io::Errno::NFILE => "ENFILE".into(),
        rustix::io::Errno::CONNREFUSED => "ECONNREFUSED".into(),
        rustix::io::Errno::CONNRESET => "ECONNRESET".into(),
        rustix::io::Errno::PIPE => "EPIPE".into(),
        rustix::io::Errno::TIMEDOUT => "ETIMEDOUT".into(),
        other => format!("errno {}", other.raw_os_error()),
    }
}
