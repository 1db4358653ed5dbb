//! What changed while the probes ran: links and addresses of every namespace that is watched.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use crate::{
    clock::{Nanos, seconds_since},
    netns::Namespace,
    report::Change,
    verdict::Names,
    watch::{Device, Event, Watcher},
};

/// Namespaces watched, and changes kept: both bound memory, not what a verdict needs.
const MOST_NAMESPACES: usize = 256;
const MOST_CHANGES: usize = 10_000;

/// The watchers and what they saw.
pub(super) struct Changes {
    watchers: Vec<Watcher>,
    events: Vec<Event>,
    /// Why some are not watched.
    pub(super) failed: Vec<String>,
}

impl Changes {
    /// Watches `namespaces` from now on. Those that cannot be watched are said in `failed`.
    pub(super) fn watch(namespaces: &[Namespace]) -> Self {
        let mut changes = Self { watchers: Vec::new(), events: Vec::new(), failed: Vec::new() };
        for namespace in namespaces.iter().take(MOST_NAMESPACES) {
            match Watcher::open(namespace) {
                Ok(watcher) => changes.watchers.push(watcher),
                Err(error) => changes.failed.push(format!("{error:#}")),
            }
        }
        match namespaces.len().saturating_sub(MOST_NAMESPACES) {
            0 => {}
            more => {
                changes.failed.push(format!("{more} namespaces more than {MOST_NAMESPACES} are not watched"))
            }
        }
        changes
    }

    /// Collects what happened until `at`: call it often, since that is the time that the changes get.
    pub(super) fn poll(&mut self, at: Nanos) {
        for watcher in &mut self.watchers {
            match watcher.drain(at) {
                Ok(events) => {
                    let room = MOST_CHANGES.saturating_sub(self.events.len());
                    self.events.extend(events.into_iter().take(room));
                }
                Err(error) => self.failed.push(format!("{error:#}")),
            }
        }
    }

    /// Every device of the watched namespaces, by namespace and index.
    pub(super) fn devices(&self) -> HashMap<(u32, u32), Device> {
        let of = |watcher: &Watcher| {
            let (netns, devices) = watcher.devices();
            devices.iter().map(|(ifindex, device)| ((netns, ifindex), device.clone())).collect::<Vec<_>>()
        };
        self.watchers.iter().flat_map(of).collect()
    }

    /// Every address of the watched namespaces.
    pub(super) fn addresses(&self) -> HashSet<(u32, IpAddr)> {
        let of = |watcher: &Watcher| {
            let (netns, devices) = watcher.devices();
            devices.addresses().map(|address| (netns, address)).collect::<Vec<_>>()
        };
        self.watchers.iter().flat_map(of).collect()
    }

    /// The changes in the namespaces `concerned`, in order.
    pub(super) fn of(&self, concerned: &BTreeSet<u32>, start: Nanos, names: &dyn Names) -> Vec<Change> {
        let mut events: Vec<&Event> =
            self.events.iter().filter(|event| concerned.contains(&event.netns)).collect();
        events.sort_by_key(|event| event.at);
        let change = |event: &&Event| {
            let place = names.netns(event.netns).unwrap_or_else(|| format!("namespace {}", event.netns));
            Change {
                at_s: seconds_since(start, event.at),
                what: event.what.name().to_owned(),
                device: Some(event.device.clone()),
                detail: format!("{}, in {place}", event.detail),
            }
        };
        events.iter().map(change).collect()
    }
}
