//! What changed while the probes ran, in every namespace that is watched, and the daemons that packets depend on.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use crate::{
    clock::{Nanos, seconds_since},
    netns::Namespace,
    report::{Change, TRIGGER},
    verdict::{self, Absence, Names},
    watch::{Alarm, Device, Event, Journal, Owners, Process, ProcessEvent, ProcessWatcher, Watcher},
};

/// Namespaces watched: this bounds memory, not what a verdict needs.
const MOST_NAMESPACES: usize = 256;

/// Starts and ends of daemons that are kept.
const MOST_LIVES: usize = 10_000;

/// The watchers and what they saw.
pub(super) struct Changes {
    watchers: Vec<Watcher>,
    /// `None`: they are only read from time to time.
    alarm: Option<Alarm>,
    journal: Journal,
    processes: Option<ProcessWatcher>,
    lives: Vec<ProcessEvent>,
    /// The daemons that were there at the start.
    daemons: Vec<Process>,
    owners: Owners,
    /// What the trigger did.
    trigger: Vec<(Nanos, String)>,
    /// Why some are not watched.
    failed: Vec<String>,
}

impl Changes {
    /// Watches `namespaces` and the machine's daemons from now on. What cannot be watched is said in `failed`.
    pub(super) fn watch(namespaces: &[Namespace]) -> Self {
        let mut changes = Self {
            watchers: Vec::new(),
            alarm: None,
            journal: Journal::default(),
            processes: None,
            lives: Vec::new(),
            daemons: Vec::new(),
            owners: Owners::find(&namespaces[..namespaces.len().min(MOST_NAMESPACES)]),
            trigger: Vec::new(),
            failed: Vec::new(),
        };
        match ProcessWatcher::open() {
            Ok(watcher) => {
                changes.daemons = watcher.alive();
                changes.processes = Some(watcher);
            }
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
        match Alarm::new(&changes.watchers) {
            Ok(alarm) => changes.alarm = Some(alarm),
            Err(error) => changes.failed.push(format!("changes have no exact time: {error}")),
        }
        changes
    }

    /// Returns when something has changed; `poll` is to be called then.
    pub(super) async fn come(&self) {
        if let Some(alarm) = &self.alarm
            && alarm.rings().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Collects what happened until `at`: that is the time that the changes get, unless their time is known.
    pub(super) fn poll(&mut self, at: Nanos) {
        let at = self.alarm.as_ref().and_then(Alarm::rang).unwrap_or(at);
        for watcher in &mut self.watchers {
            match watcher.drain(at) {
                Ok(events) => events.into_iter().for_each(|event| self.journal.take(event)),
                Err(error) => self.failed.push(format!("{error:#}")),
            }
        }
    }

    /// The end: adds the neighbours that packets wait for at this time, which the kernel does not tell before they fail.
    pub(super) fn end(&mut self, at: Nanos) {
        for watcher in &mut self.watchers {
            match watcher.at_the_end(at) {
                Ok(events) => events.into_iter().for_each(|event| self.journal.take(event)),
                Err(error) => self.failed.push(format!("{error:#}")),
            }
        }
    }

    /// Looks what became of the daemons until `at`.
    pub(super) fn look(&mut self, at: Nanos) {
        match self.processes.as_mut().map(|watcher| watcher.look(at)) {
            None => {}
            Some(Ok(lives)) => {
                let room = MOST_LIVES.saturating_sub(self.lives.len());
                self.lives.extend(lives.into_iter().take(room));
            }
            Some(Err(error)) => {
                self.failed.push(format!("{error:#}"));
                self.processes = None;
            }
        }
    }

    /// Adds what the trigger did, and when.
    pub(super) fn mark(&mut self, trigger: Vec<(Nanos, String)>) {
        self.trigger = trigger;
    }

    /// Every device of the watched namespaces, by namespace and index.
    pub(super) fn devices(&self) -> HashMap<(u32, u32), Device> {
        let of = |watcher: &Watcher| {
            let (netns, devices) = watcher.devices();
            devices.iter().map(|(ifindex, device)| ((netns, ifindex), device.clone())).collect::<Vec<_>>()
        };
        self.watchers.iter().flat_map(of).collect()
    }

    /// Every change that is kept, in order.
    pub(super) fn events(&self) -> Vec<Event> {
        self.journal.events(|_| true)
    }

    /// The daemons that were there at the start.
    pub(super) fn daemons(&self) -> &[Process] {
        &self.daemons
    }

    /// Who read packet sockets and TAP devices at the start.
    pub(super) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// When daemons were away.
    pub(super) fn absences(&self) -> Vec<Absence> {
        verdict::absences(&self.lives)
    }

    /// Every address of the watched namespaces, and the index of its device.
    pub(super) fn addresses(&self) -> HashMap<(u32, IpAddr), u32> {
        let of = |watcher: &Watcher| {
            let (netns, devices) = watcher.devices();
            devices.addresses().map(|(address, ifindex)| ((netns, address), ifindex)).collect::<Vec<_>>()
        };
        self.watchers.iter().flat_map(of).collect()
    }

    /// What was not seen, and why.
    pub(super) fn failed(&self) -> Vec<String> {
        let sum = |count: fn(&Watcher) -> u64| self.watchers.iter().map(count).sum::<u64>();
        let counted = [
            (sum(Watcher::lost), "times changes came faster than they were read, and some were lost"),
            (sum(Watcher::unreadable), "messages about changes could not be read"),
        ];
        let counted = counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        self.failed.iter().cloned().chain(counted).chain(self.journal.left_out()).collect()
    }

    /// The changes in the namespaces `concerned`, those of all daemons and of the trigger, in order.
    pub(super) fn of(&self, concerned: &BTreeSet<u32>, start: Nanos, names: &dyn Names) -> Vec<Change> {
        let place = |netns| names.netns(netns).unwrap_or_else(|| format!("namespace {netns}"));
        let events = self.journal.events(|event| concerned.contains(&event.netns));
        let links = events.into_iter().map(|event: Event| {
            let change = Change {
                at_s: seconds_since(start, event.at),
                what: event.what.name().to_owned(),
                detail: format!("{}, in {}", event.detail, place(event.netns)),
                device: Some(event.device).filter(|device| !device.is_empty()),
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
        let trigger = self.trigger.iter().map(|(at, detail)| {
            let what = TRIGGER.to_owned();
            (*at, Change { at_s: seconds_since(start, *at), what, device: None, detail: detail.clone() })
        });
        let mut changes: Vec<(Nanos, Change)> = trigger.chain(lives).chain(links).collect();
        changes.sort_by_key(|(at, _)| *at);
        changes.into_iter().map(|(_, change)| change).collect()
    }
}
