//! What changed while the probes ran, in every namespace that is watched.

use std::collections::BTreeSet;

use crate::{
    clock::{Nanos, seconds_since},
    netns::Namespace,
    report::Change,
    verdict::Names,
    watch::{Alarm, Event, Journal, Watcher},
};

/// Namespaces watched: this bounds memory, not what a verdict needs.
const MOST_NAMESPACES: usize = 256;

/// The watchers and what they saw.
pub(super) struct Changes {
    watchers: Vec<Watcher>,
    /// `None`: they are only read from time to time.
    alarm: Option<Alarm>,
    journal: Journal,
    /// Why some are not watched.
    failed: Vec<String>,
}

impl Changes {
    /// Watches `namespaces` from now on. Those that cannot be watched are said in `failed`.
    pub(super) fn watch(namespaces: &[Namespace]) -> Self {
        let mut changes =
            Self { watchers: Vec::new(), alarm: None, journal: Journal::default(), failed: Vec::new() };
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

    /// Returns when something has changed; `poll` is to be called with that time.
    pub(super) async fn come(&self) -> Nanos {
        if let Some(alarm) = &self.alarm
            && let Ok(at) = alarm.rings().await
        {
            return at;
        }
        std::future::pending().await
    }

    /// Collects what happened until `at`: that is the time that the changes get.
    pub(super) fn poll(&mut self, at: Nanos) {
        for watcher in &mut self.watchers {
            match watcher.drain(at) {
                Ok(events) => events.into_iter().for_each(|event| self.journal.take(event)),
                Err(error) => self.failed.push(format!("{error:#}")),
            }
        }
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

    /// The changes in the namespaces `concerned`, in order.
    pub(super) fn of(&self, concerned: &BTreeSet<u32>, start: Nanos, names: &dyn Names) -> Vec<Change> {
        let events = self.journal.events(|event| concerned.contains(&event.netns));
        let change = |event: Event| {
            let place = names.netns(event.netns).unwrap_or_else(|| format!("namespace {}", event.netns));
            Change {
                at_s: seconds_since(start, event.at),
                what: event.what.name().to_owned(),
                device: Some(event.device).filter(|device| !device.is_empty()),
                detail: format!("{}, in {place}", event.detail),
            }
        };
        events.into_iter().map(change).collect()
    }
}
