//! What became of packets that a process was to send on: it takes them from packet sockets and TAP devices, and what
//! it does with them no tracepoint shows.

use super::{
    Evidence,
    daemons::{Absence, SEEN_WITHIN, pid_at},
    last::Doing,
};
use crate::{
    clock::{Nanos, SECOND},
    watch::Owner,
};

/// The daemon that switches packets in userspace.
pub(super) const SWITCH: &str = "ovs-vswitchd";
/// The daemon that fills its OpenFlow tables under OVN.
pub(super) const FILLER: &str = "ovn-controller";

/// Packets that begin to die so soon after the start of the switch die of it: it first reads its configuration, then
/// removes the datapath's flows, and makes new ones of empty tables. As long after its own start they may die of the
/// one that fills these.
pub(super) const AFTER_START: Nanos = 5 * SECOND;

/// What became of packets that were handed to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer came.
    Died,
    /// One came, after the time-out.
    Late,
}

/// Where packets were handed to a process.
pub struct Handed<'a> {
    /// What became of them.
    pub fate: Fate,
    /// What they did there.
    pub doing: &'a Doing,
    /// Namespace, by inode.
    pub netns: u32,
    /// Index of the device.
    pub ifindex: u32,
    /// Its name.
    pub device: &'a str,
    /// The namespace, in words: `in node`.
    pub here: &'a str,
    /// When the first and the last of them were there.
    pub span: (Nanos, Nanos),
}

/// What to say of them, if it is known who was to send them on.
pub fn handed(evidence: &Evidence, at: &Handed) -> Option<String> {
    let readers = readers(evidence, at);
    let away = away(evidence, SWITCH, at);
    let Handed { device, here, .. } = at;
    let died = match at.fate {
        Fate::Died => "never sent on: died",
        Fate::Late => "not sent on in time: held up or died",
    };
    let reads = readers.iter().any(|owner| owner.name == SWITCH);
    match at.doing {
        Doing::Received if reads || readers.is_empty() && away.is_some() => Some(format!(
            "received on {device} {here}, {died} in a packet socket or in {}",
            switch(evidence, at, away)
        )),
        Doing::ReadFromPacketSocket if reads => Some(format!(
            "read from a packet socket on {device} {here}, {died} in {}",
            switch(evidence, at, away)
        )),
        Doing::Received | Doing::ReadFromPacketSocket if !readers.is_empty() => Some(format!(
            "received on {device} {here}, {died} in a packet socket, or in who reads them there, {}",
            names(&readers)
        )),
        Doing::Transmitted(Some(kind)) if kind == "tun" && !readers.is_empty() => Some(format!(
            "handed to {device} {here}, {died} unread in that TAP device or in who holds it open, {}",
            if reads { switch(evidence, at, away) } else { names(&readers) }
        )),
        Doing::ReadFromTap if !readers.is_empty() => Some(format!(
            "read from the TAP device {device} {here}, {died} in {}",
            if reads { switch(evidence, at, away) } else { names(&readers) }
        )),
        _ => None,
    }
}

/// What to say of packets that were freed unread because the process that was to read them went away.
pub fn purged(evidence: &Evidence, at: &Handed) -> Option<String> {
    let away = away(evidence, SWITCH, at)?;
    let Handed { device, here, .. } = at;
    let way = if matches!(at.doing, Doing::Transmitted(_)) { "handed to" } else { "received on" };
    Some(format!(
        "{way} {device} {here}, never sent on: died unread when their reader went away, {}",
        switch(evidence, at, Some(away))
    ))
}

/// What to say of a TAP device whose holder was away: it lost its carrier, or went, or nobody emptied its ring.
pub fn holder(evidence: &Evidence, netns: u32, device: &str, span: (Nanos, Nanos)) -> Option<String> {
    let owner = evidence.owners.taps.get(&(netns, device.to_owned()))?;
    let is_it = |absence: &&Absence| absence.is_of(&owner.name, Some(netns)) && absence.falls_into(span);
    let away = evidence.absences.iter().find(is_it)?;
    Some(away.was(&format!(", which holds {device} open,"), evidence.start))
}

/// `ovs-vswitchd (pid 7, not running from 2.00 s to 4.00 s)`.
fn switch(evidence: &Evidence, at: &Handed, away: Option<&Absence>) -> String {
    let was_read = matches!(at.doing, Doing::ReadFromPacketSocket | Doing::ReadFromTap);
    // What died before it went away did not die of its start.
    let is_meant = |absence: &Absence| was_read && absence.from <= at.span.0 + SEEN_WITHIN;
    if let Some(started) = started(evidence, SWITCH, at, is_meant) {
        let came = started.came(", which", evidence.start);
        return match tables(evidence, started, at) {
            Some(tables) => format!("{came}; {tables}"),
            None => came,
        };
    }
    if let Some(away) = away {
        return format!("{SWITCH} (pid {}, {})", away.pid, away.words(evidence.start));
    }
    let pid = pid_at(evidence.daemons, evidence.absences, SWITCH, Some(at.netns), at.span.0);
    let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let filler = if was_read { filler(evidence, at) } else { String::new() };
    format!(
        "{SWITCH}{pid}: look at `ovs-ofctl dump-flows` of its bridges and at `ovs-appctl ofproto/trace`{filler}"
    )
}

/// Until when the tables of a switch that has started are empty, if something is known of the one that fills them.
pub(super) fn tables(evidence: &Evidence, started: &Absence, at: &Handed) -> Option<String> {
    let until = started.until.filter(|_| !started.stopped)?;
    let filled = |filler: String| format!("its OpenFlow tables are empty until {filler} has filled them");
    let Some(away) = filler_away(evidence, at.netns, until).filter(|away| away.from <= at.span.1) else {
        let pid = pid_at(evidence.daemons, evidence.absences, FILLER, Some(at.netns), at.span.0)?;
        return Some(filled(format!("{FILLER} (pid {pid})")));
    };
    let start = evidence.start;
    Some(match away.until {
        Some(_) if away.stopped => filled(format!("{FILLER} (pid {}), {},", away.pid, away.words(start))),
        Some(_) => filled(format!("{},", away.came(", which", start))),
        None => format!("its OpenFlow tables are empty; {}", away.was(", which fills them,", start)),
    })
}

/// Was the one that fills the tables away when the switch started, or right after?
fn filler_away<'a>(evidence: &Evidence<'a>, netns: u32, started: Nanos) -> Option<&'a Absence> {
    evidence.absences.iter().find(|absence| {
        absence.is_of(FILLER, Some(netns))
            && absence.from <= started + AFTER_START
            && absence.until.is_none_or(|until| until >= started)
    })
}

/// What is known of the one that fills its tables, if it was away or has just come.
pub(super) fn filler(evidence: &Evidence, at: &Handed) -> String {
    const WHICH_FILLS: &str = ", which fills its OpenFlow tables,";
    if let Some(started) = started(evidence, FILLER, at, |_| true) {
        return format!("; {}", started.came(WHICH_FILLS, evidence.start));
    }
    let away = away(evidence, FILLER, at);
    away.map(|away| format!("; {}", away.was(WHICH_FILLS, evidence.start))).unwrap_or_default()
}

/// An absence like `is_meant` that was over while the packets died, or not long before.
pub(super) fn started<'a>(
    evidence: &Evidence<'a>,
    name: &str,
    at: &Handed,
    is_meant: impl Fn(&Absence) -> bool,
) -> Option<&'a Absence> {
    let (first, last) = at.span;
    // Until the tables are full there is no end to it.
    let end = |until: Nanos| match filler_away(evidence, at.netns, until) {
        Some(away) => away.until.map_or(Nanos::MAX, |back| back.max(until) + AFTER_START),
        None => until + AFTER_START,
    };
    evidence.absences.iter().rfind(|absence| {
        absence.is_of(name, Some(at.netns))
            && absence.until.is_some_and(|until| last >= until && first <= end(until))
            && is_meant(absence)
    })
}

pub(super) fn away<'a>(evidence: &Evidence<'a>, name: &str, at: &Handed) -> Option<&'a Absence> {
    evidence
        .absences
        .iter()
        .find(|absence| absence.is_of(name, Some(at.netns)) && absence.falls_into(at.span))
}

/// Who has a packet socket on this device, or on all of its namespace.
pub(super) fn listeners<'a>(
    evidence: &Evidence<'a>,
    netns: u32,
    ifindex: u32,
) -> impl Iterator<Item = &'a Owner> {
    let sockets = &evidence.owners.packet_sockets;
    [ifindex, 0].into_iter().filter_map(move |ifindex| sockets.get(&(netns, ifindex))).flatten()
}

/// Who takes packets from this device.
fn readers(evidence: &Evidence, at: &Handed) -> Vec<Owner> {
    if matches!(at.doing, Doing::Transmitted(_) | Doing::ReadFromTap) {
        return evidence.owners.taps.get(&(at.netns, at.device.to_owned())).cloned().into_iter().collect();
    }
    let mut readers: Vec<Owner> = listeners(evidence, at.netns, at.ifindex).cloned().collect();
    readers.sort();
    readers.dedup();
    readers
}

fn names(owners: &[Owner]) -> String {
    owners.iter().map(|owner| format!("{} (pid {})", owner.name, owner.pid)).collect::<Vec<_>>().join(", ")
}
