//! What is said of attempts that died alike: where, then what was counted and what changed there.

use super::{
    Evidence, cause, counted,
    datapath::{self, Fault},
    explain::{Place, explain},
    group::{Group, Toll},
    last::Doing,
    meanwhile,
    switch::{self, Fate, Handed},
};
use crate::{
    probe::Kind,
    report::{Cause, Leg},
};

/// Of those that died.
pub fn dead(group: &Group, toll: &Toll) -> String {
    let netns = group.netns.map(|netns| place(toll.evidence, netns));
    let destination = match group.leg {
        Leg::Reply => "the probe's own address".to_owned(),
        // Of another node's probe the address may not be known here.
        Leg::Request | Leg::Unknown if toll.record.address.is_unspecified() => "TARGET".to_owned(),
        Leg::Request | Leg::Unknown => toll.record.address.to_string(),
    };
    let handed = netns.as_deref().and_then(|netns| handed(group, toll, &format!("in {netns}"), Fate::Died));
    let sentence = handed.unwrap_or_else(|| {
        explain(&Place {
            leg: group.leg,
            cause: group.cause,
            reason: group.reason.as_deref(),
            symbol: group.symbol.as_deref(),
            stage: group.stage.as_deref(),
            device: group.device.as_deref(),
            netns: netns.as_deref(),
            destination: &destination,
            doing: group.doing.as_ref(),
        })
    });
    let counted = group.side(toll).map(|side| counted::notes(side, &group.dead(toll))).unwrap_or_default();
    [vec![sentence], counted, beside(group, toll), unseen(group, toll)].concat().join("; ")
}

/// That they may have got further: where no drop was seen, and the kernel skipped our programs as often as that.
fn unseen(group: &Group, toll: &Toll) -> Vec<String> {
    let misses = toll.evidence.misses;
    if group.doing.is_none() || toll.attempts > misses {
        return Vec::new();
    }
    vec![format!("or they died further on: the kernel skipped {misses} runs of netbreak's programs")]
}

/// Of those that got so far in time, and were answered too late.
pub fn late(group: &Group, toll: &Toll) -> String {
    let netns = group.netns.map(|netns| format!("in {}", place(toll.evidence, netns)));
    let handed = netns.as_deref().and_then(|here| handed(group, toll, here, Fate::Late));
    let sentence = handed.unwrap_or_else(|| {
        let place: Vec<String> = group.device.iter().chain(&netns).cloned().collect();
        let place = if place.is_empty() { String::new() } else { format!(", {}", place.join(" ")) };
        match (&group.symbol, &group.reason, &group.stage) {
            (Some(symbol), Some(reason), _) => {
                format!("their first packets died at {symbol} ({reason}){place}")
            }
            _ if group.cause == Cause::Starved => {
                "netbreak itself was not scheduled when their answers came: look at the load of this machine".to_owned()
            }
            _ if toll.record.kind != Kind::Icmp && has_come(group) => format!(
                "when their time was over they had reached the socket that they were for, whose program had not answered{place}"
            ),
            (_, _, Some(stage)) => format!("when their time was over they had got as far as {stage}{place}"),
            _ => format!("when their time was over something had been seen of them{place}"),
        }
    });
    [vec![sentence], beside(group, toll)].concat().join("; ")
}

/// Had their target's host done all that it does before its program answers?
fn has_come(group: &Group) -> bool {
    let is_there = matches!(group.doing, Some(Doing::Arrived | Doing::Acknowledged | Doing::Delivered));
    group.leg == Leg::Request && is_there
}

/// What changed where they were.
fn beside(group: &Group, toll: &Toll) -> Vec<String> {
    let Some(scene) = group.scene(toll) else { return Vec::new() };
    let mut notes = meanwhile::notes(toll.evidence, &scene);
    let needs_link = matches!(group.cause, Cause::Neighbour | Cause::Link | Cause::Route | Cause::Queue)
        && !was_handed(group)
        && !group.is_misdirected();
    let device = scene.ifindex.and_then(|ifindex| toll.evidence.names.device(scene.netns, ifindex));
    if let Some(device) = device.filter(|_| needs_link) {
        notes.extend(switch::holder(toll.evidence, scene.netns, &device.name, scene.span));
    }
    notes
}

/// Did a process get them that was to send them on?
fn was_handed(group: &Group) -> bool {
    matches!(group.doing, Some(Doing::ReadFromPacketSocket | Doing::ReadFromTap | Doing::Received))
}

/// What is known of who was to send them on.
fn handed(group: &Group, toll: &Toll, here: &str, fate: Fate) -> Option<String> {
    let at = |doing| {
        let (netns, ifindex, device) = (group.netns?, group.ifindex?, group.device.as_deref()?);
        Some(Handed { fate, doing, netns, ifindex, device, here, span: toll.span })
    };
    let (reason, symbol) = (group.reason.as_deref(), group.symbol.as_deref());
    if let Some(fault) = fault(group) {
        return Some(datapath::sentence(toll.evidence, &at(&Doing::InSwitch)?, fault));
    }
    match &group.doing {
        Some(doing) => switch::handed(toll.evidence, &at(doing)?),
        // Freed unread because their reader went away.
        None if group.cause == Cause::Socket && cause::is_purge(reason, symbol) => {
            let sent = Doing::Transmitted(None);
            let doing = if symbol == Some("tun_queue_purge") { &sent } else { &Doing::Received };
            switch::purged(toll.evidence, &at(doing)?)
        }
        None => None,
    }
}

/// How the kernel datapath of Open vSwitch ended them, if it did.
fn fault(group: &Group) -> Option<Fault<'_>> {
    match (&group.doing, group.cause) {
        (Some(Doing::Upcall(asked)), _) => Some(Fault::Upcall(*asked)),
        (Some(Doing::InSwitch), _) => Some(Fault::Vanished),
        (None, Cause::OvsFlow) => Some(Fault::Flow(group.reason.as_deref())),
        _ => None,
    }
}

/// A namespace in words.
fn place(evidence: &Evidence, netns: u32) -> String {
    evidence.names.netns(netns).unwrap_or_else(|| format!("namespace {netns}"))
}
