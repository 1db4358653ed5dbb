//! What changed while the probes ran: links and addresses of every namespace that is watched, and the daemons that
//! packets depend on.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use crate::{
    clock::{Nanos, seconds_since},
    netns::Namespace,
    report::Change,
    verdict::{self, Absence, Names},
    watch::{Device, Event, ProcessEvent, ProcessWatcher, Watcher},
};

/// Namespaces watched, and changes kept: both bound memory, not what a verdict needs.
const MOST_NAMESPACES: usize = 256;
const MOST_CHANGES: usize = 10_000;

/// The watchers and what they saw.
pub(super) struct Changes {
    watchers: Vec<Watcher>,
    events: Vec<Event>,
    processes: Option<ProcessWatcher>,
    lives: Vec<ProcessEvent>,
    /// Why some are not watched.
    pub(super) failed: Vec<String>,
}

impl Changes {
    /// Watches `namespaces` and the machine's daemons from now on. What cannot be watched is said in `failed`.
    pub(super) fn watch(namespaces: &[Namespace]) -> Self {
        let mut changes = Self {
            watchers: Vec::new(),
            events: Vec::new(),
            processes: None,
            lives: Vec::new(),
            failed: Vec::new(),
        };
        match ProcessWatcher::open() {
            Ok(watcher) => changes.processes = Some(watcher),
            Err(error) => changes.failed.push(format!("{error:#}")),
        }
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
        match self.processes.as_mut().map(|watcher| watcher.look(at)) {
            None => {}
            Some(Ok(lives)) => {
                let room = MOST_CHANGES.saturating_sub(self.lives.len());
                self.lives.extend(lives.into_iter().take(room));
            }
            Some(Err(error)) => {
                self.failed.push(format!("{error:#}"));
                self.processes = None;
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

    /// When daemons were away.
    pub(super) fn absences(&self) -> Vec<Absence> {
        verdict::absences(&self.lives)
    }

    /// Every address of the watched namespaces.
    pub(super) fn addresses(&self) -> HashSet<(u32, IpAddr)> {
        let of = |watcher: &Watcher| {
            let (netns, devices) = watcher.devices();
            devices.addresses().map(|address| (netns, address)).collect::<Vec<_>>()
        };
        self.watchers.iter().flat_map(of).collect()
    }

    /// The changes in the namespaces `concerned`, and of all daemons, in order.
    pub(super) fn of(&self, concerned: &BTreeSet<u32>, start: Nanos, names: &dyn Names) -> Vec<Change> {
        let place = |netns| names.netns(netns).unwrap_or_else(|| format!("namespace {netns}"));
        let links = self.events.iter().filter(|event| concerned.contains(&event.netns)).map(|event| {
            let change = Change {
                at_s: seconds_since(start, event.at),
                what: event.what.name().to_owned(),
                device: Some(event.device.clone()),
                detail: format!("{}, in {}", event.detail, place(event.netns)),
            };
            (event.at, change)
        });
        let lives = self.lives.iter().map(|ProcessEvent { at, became, process }| {
            let place = process.netns.map(|netns| format!(", in {}", place(netns))).unwrap_or_default();
            let change = Change {
                at_s: seconds_since(start, *at),
                what: "process".to_owned(),
                device: None,
                detail: format!("{} (pid {}) {}{place}", process.name, process.pid, became.name()),
            };
            (*at, change)
        });
        let mut changes: Vec<(Nanos, Change)> = lives.chain(links).collect();
        changes.sort_by_key(|(at, _)| *at);
        changes.into_iter().map(|(_, change)| change).collect()
    }
}
