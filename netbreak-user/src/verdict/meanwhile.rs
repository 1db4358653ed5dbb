//! What happened to links, addresses and neighbours where packets died, when they did.

use std::net::IpAddr;

use super::{
    Change, Evidence,
    daemons::SEEN_WITHIN,
    next_hop::{NEIGHBOUR_WAIT, address, next_hops},
};
use crate::{
    clock::{Nanos, seconds_since},
    report::Leg,
    watch::{Turn, What},
};

/// More than this nobody reads.
const MOST: usize = 3;

/// Where and when packets died.
pub struct Scene {
    /// Namespace, by inode.
    pub netns: u32,
    /// The device that they had.
    pub ifindex: Option<u32>,
    /// The address that was visited.
    pub target: IpAddr,
    /// Were they for that address, or from there?
    pub leg: Leg,
    /// When the first and the last of them were there.
    pub span: (Nanos, Nanos),
    /// Did they need a next hop's link address?
    pub needs_neighbour: bool,
    /// Did they have another link address than the device?
    pub needs_link_address: bool,
    /// Did they, or their answers, need a route?
    pub needs_route: bool,
}

/// The changes that concern them, each in words.
pub fn notes(evidence: &Evidence, scene: &Scene) -> Vec<String> {
    let (own, targets) = (own_device(evidence, scene), target_device(evidence, scene));
    let is_meant = |change: &Change| [own, targets].contains(&Some(change.device.as_str()));
    let is_removed = |change: &Change| {
        let goes =
            |other: &Change| other.what == What::Link && other.key == "link" && other.turn == Turn::Gone;
        evidence.changes.iter().any(|other| {
            goes(other)
                && (other.netns, &other.device) == (change.netns, &change.device)
                && change.until.is_none()
        })
    };
    let is_behind = |change: &&Change| {
        let is_failure = scene.needs_neighbour && change.what == What::Neighbour;
        is_failure && own.is_none_or(|own| own == change.device) && falls_into(change, scene)
    };
    let failed = evidence.changes.iter().filter(is_behind).collect();
    let hops = next_hops(evidence, scene.leg, scene.target, failed);
    let is_concerned = |change: &Change| {
        let device = Some(change.device.as_str());
        match change.what {
            // Who is removed goes down first.
            What::Link if change.key != "link" => is_meant(change) && !is_removed(change),
            What::Link => is_meant(change),
            What::Address => address(change) == Some(scene.target) || scene.needs_route && device == own,
            What::Neighbour => hops.iter().any(|hop| std::ptr::eq(*hop, change)),
            What::Route => scene.needs_route && is_meant(change),
        }
    };
    let readdressed = readdressed(evidence, scene).filter(|_| scene.needs_link_address);
    let concerned = evidence.changes.iter().filter(|change| {
        falls_into(change, scene) && is_concerned(change)
            || readdressed.is_some_and(|last| std::ptr::eq(last, *change))
    });
    let mut notes: Vec<String> = Vec::new();
    for change in concerned {
        // A device that is made anew has no address: one sentence for both.
        let note = match (change.what, evidence.changes.iter().find(|other| made_anew(other, change))) {
            (What::Address, Some(link)) => words(evidence.start, link, Some(change)),
            _ => words(evidence.start, change, None),
        };
        // What says less, of the device alone, is left out.
        if notes.iter().any(|other| other.starts_with(&note)) {
            continue;
        }
        notes.retain(|other| !note.starts_with(other.as_str()));
        notes.push(note);
    }
    notes.truncate(MOST);
    notes
}

/// What last gave their device its link address: it was changed, or made anew. Who knows the old one may have learned it long
/// ago.
fn readdressed<'a>(evidence: &Evidence<'a>, scene: &Scene) -> Option<&'a Change> {
    let own = own_device(evidence, scene)?;
    let is_it = |change: &&Change| {
        let is_anew = change.key == "link address" || change.key == "link" && change.turn == Turn::Gone;
        change.what == What::Link
            && is_anew
            && (change.netns, change.device.as_str()) == (scene.netns, own)
            && change.at <= scene.span.1 + SEEN_WITHIN
    };
    evidence.changes.iter().filter(is_it).max_by_key(|change| change.at)
}

/// Was the device that has the target's address unusable where packets to it died, for most of the time? That it came back
/// when the first of them died says nothing of the others.
pub fn target_was_gone(evidence: &Evidence, scene: &Scene) -> bool {
    let (first, last) = scene.span;
    let middle = first + (last - first) / 2;
    let scene = &Scene { span: (middle, middle), ..*scene };
    let device = target_device(evidence, scene);
    evidence.changes.iter().any(|change| {
        let concerned = match change.what {
            What::Link => device == Some(change.device.as_str()),
            What::Address => address(change) == Some(scene.target),
            What::Route | What::Neighbour => false,
        };
        concerned && falls_into(change, scene)
    })
}

fn own_device<'a>(evidence: &Evidence<'a>, scene: &Scene) -> Option<&'a str> {
    Some(evidence.names.device(scene.netns, scene.ifindex?)?.name.as_str())
}

/// The device here that has the target's address, or had it.
fn target_device<'a>(evidence: &Evidence<'a>, scene: &Scene) -> Option<&'a str> {
    let ifindex = evidence.names.device_of(scene.netns, scene.target)?;
    Some(evidence.names.device(scene.netns, ifindex)?.name.as_str())
}

fn falls_into(change: &Change, scene: &Scene) -> bool {
    let (first, last) = scene.span;
    let later = if change.what == What::Neighbour { NEIGHBOUR_WAIT } else { SEEN_WITHIN };
    change.turn == Turn::Gone
        && change.netns == scene.netns
        && change.at <= last + later
        && change.until.is_none_or(|until| until + SEEN_WITHIN >= first)
}

/// Was `link` removed and made anew, and did it not get `address` back with that?
fn made_anew(link: &Change, address: &Change) -> bool {
    link.what == What::Link
        && link.key == "link"
        && link.netns == address.netns
        && link.device == address.device
        && link.until.is_some_and(|back| address.until.is_none_or(|until| until > back))
}

fn words(start: Nanos, change: &Change, lost: Option<&Change>) -> String {
    let time = |at| format!("{:.2} s", seconds_since(start, at));
    let (device, at) = (&change.device, time(change.at));
    let until = |back: &str, never: &str| match change.until {
        Some(until) => format!("{back} at {}", time(until)),
        None => never.to_owned(),
    };
    match (change.what, change.key.as_str()) {
        (What::Link, "link address") => format!("since {at} {device} {}", change.detail),
        (What::Link, "carrier") => {
            format!("{device} lost its carrier at {at}{}", until(" and found it again", ""))
        }
        (What::Link, "link") => {
            let without = lost.map(|lost| format!(" without its address {}", lost.key)).unwrap_or_default();
            format!("{device} was removed at {at}{}", until(" and came back", "")) + &without
        }
        (What::Link, _) => {
            format!("{device} went down at {at}{}", until(" and up again", " and stayed down"))
        }
        (What::Neighbour, key) => {
            let what = match &change.detail {
                detail if detail.contains("had not answered") => "had not answered",
                detail if detail.contains("failed") => "failed",
                _ => "was removed",
            };
            format!("neighbour {key} of {device} {what} at {at}{}", until(" and answered again", ""))
        }
        (What::Route, _) => {
            let route = change.detail.split(" removed").next().unwrap_or(&change.detail);
            format!("route {route} of {device} was removed at {at}{}", until(" and came back", ""))
        }
        (What::Address, key) => format!(
            "{device} lost its address {key} at {at}{}",
            until(" and got it back", " and did not get it back")
        ),
    }
}
