//! Attempts that died alike, and what is said of them.

use super::{
    Evidence, Side, counted,
    explain::{Place, explain},
    last::Doing,
    meanwhile::{self, Scene},
    switch::{self, Fate, Handed},
};
use crate::{
    clock::{Nanos, seconds_since},
    probe::Record,
    report::{Cause, Death, Leg},
};

/// Attempts that died alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// On which leg.
    pub leg: Leg,
    /// The class of their death.
    pub cause: Cause,
    /// Reason, as the kernel or the errno names it.
    pub reason: Option<String>,
    /// The function that freed them.
    pub symbol: Option<String>,
    /// Stage, where known.
    pub stage: Option<String>,
    /// Device, where known.
    pub device: Option<String>,
    /// Its index.
    pub ifindex: Option<u32>,
    /// Namespace, by inode.
    pub netns: Option<u32>,
    /// What they did when they were seen last, where no drop ended them.
    pub doing: Option<Doing>,
}

impl Group {
    /// The death of so many attempts of `record`, the first and the last of them at these times.
    pub fn into_death(
        mut self,
        evidence: &Evidence,
        record: &Record,
        attempts: u64,
        span: (Nanos, Nanos),
    ) -> Death {
        let side = self.netns.and_then(|netns| evidence.sides.get(&netns));
        self.cause = self.sharper(evidence, side, record, attempts, span);
        let explain = self.sentence(evidence, side, record, attempts, span);
        Death {
            attempts,
            leg: self.leg,
            cause: self.cause,
            reason: self.reason,
            symbol: self.symbol,
            device: self.device,
            ifindex: self.ifindex,
            netns: self.netns,
            netns_name: self.netns.and_then(|netns| evidence.names.netns(netns)),
            stage: self.stage,
            first_s: seconds_since(evidence.start, span.0),
            last_s: seconds_since(evidence.start, span.1),
            explain,
        }
    }

    /// The cause, by what else is known of all of them.
    fn sharper(
        &self,
        evidence: &Evidence,
        side: Option<&Side>,
        record: &Record,
        attempts: u64,
        span: (Nanos, Nanos),
    ) -> Cause {
        if side.is_some_and(|side| counted::is_conntrack(side, &self.dead(record, attempts))) {
            return Cause::Conntrack;
        }
        // Who was to send them on had nowhere to send them.
        let was_read = self.doing == Some(Doing::ReadFromPacketSocket) && self.leg == Leg::Request;
        let target_was_gone =
            || self.scene(record, span).is_some_and(|scene| meanwhile::target_was_gone(evidence, &scene));
        if was_read && target_was_gone() { Cause::Link } else { self.cause }
    }

    fn sentence(
        &self,
        evidence: &Evidence,
        side: Option<&Side>,
        record: &Record,
        attempts: u64,
        span: (Nanos, Nanos),
    ) -> String {
        let netns = self.netns.map(|netns| place(evidence, netns));
        let destination = match self.leg {
            Leg::Reply => "the probe's own address".to_owned(),
            Leg::Request | Leg::Unknown => record.address.to_string(),
        };
        let handed = netns
            .as_deref()
            .and_then(|netns| self.handed(evidence, &format!("in {netns}"), span, Fate::Died));
        let sentence = handed.unwrap_or_else(|| {
            explain(&Place {
                cause: self.cause,
                reason: self.reason.as_deref(),
                symbol: self.symbol.as_deref(),
                stage: self.stage.as_deref(),
                device: self.device.as_deref(),
                netns: netns.as_deref(),
                destination: &destination,
                doing: self.doing.as_ref(),
            })
        });
        let mut parts = vec![sentence];
        parts.extend(side.map(|side| counted::notes(side, &self.dead(record, attempts))).unwrap_or_default());
        parts.extend(self.beside(evidence, record, span));
        parts.join("; ")
    }

    /// What is said of attempts that went so far in time, and were answered too late.
    pub fn late(&self, evidence: &Evidence, record: &Record, span: (Nanos, Nanos)) -> String {
        let netns =
            self.netns.map(|netns| place(evidence, netns)).unwrap_or_else(|| "a namespace".to_owned());
        let handed = self.handed(evidence, &format!("in {netns}"), span, Fate::Late);
        let sentence = handed.unwrap_or_else(|| {
            let device = self.device.as_ref().map(|device| format!("{device} ")).unwrap_or_default();
            let stage = self.stage.as_deref().unwrap_or("a place without a name");
            match (&self.symbol, &self.reason) {
                (Some(symbol), Some(reason)) => {
                    format!("their first packets died at {symbol} ({reason}), {device}in {netns}")
                }
                _ => format!("when their time was over they had got as far as {device}in {netns} ({stage})"),
            }
        });
        let mut parts = vec![sentence];
        parts.extend(self.beside(evidence, record, span));
        parts.join("; ")
    }

    /// What changed where they were.
    fn beside(&self, evidence: &Evidence, record: &Record, span: (Nanos, Nanos)) -> Vec<String> {
        self.scene(record, span).map(|scene| meanwhile::notes(evidence, &scene)).unwrap_or_default()
    }

    /// What is known of who was to send them on.
    fn handed(&self, evidence: &Evidence, here: &str, span: (Nanos, Nanos), fate: Fate) -> Option<String> {
        let at = |doing| {
            let (netns, ifindex, device) = (self.netns?, self.ifindex?, self.device.as_deref()?);
            Some(Handed { fate, doing, netns, ifindex, device, here, span })
        };
        match &self.doing {
            Some(doing) => switch::handed(evidence, &at(doing)?),
            None if self.is_purged() => {
                let sent = Doing::Transmitted(None);
                let is_tap = self.symbol.as_deref() == Some("tun_queue_purge");
                switch::purged(evidence, &at(if is_tap { &sent } else { &Doing::Received })?)
            }
            None => None,
        }
    }

    /// Were they freed unread because their reader went away?
    fn is_purged(&self) -> bool {
        self.cause == Cause::Socket && super::cause::is_purge(self.reason.as_deref(), self.symbol.as_deref())
    }

    fn scene(&self, record: &Record, span: (Nanos, Nanos)) -> Option<Scene> {
        let answers = matches!(self.doing, Some(Doing::Consumed(_) | Doing::Arrived | Doing::Delivered));
        Some(Scene {
            netns: self.netns?,
            ifindex: self.ifindex,
            target: record.address,
            span,
            needs_neighbour: self.cause == Cause::Neighbour,
            needs_route: self.cause == Cause::Route || answers,
        })
    }

    fn dead(&self, record: &Record, attempts: u64) -> counted::Dead<'_> {
        counted::Dead {
            attempts,
            kind: record.kind,
            port: record.port,
            leg: self.leg,
            cause: self.cause,
            reason: self.reason.as_deref(),
            symbol: self.symbol.as_deref(),
            stage: self.stage.as_deref(),
            device: self.ifindex.zip(self.device.as_deref()),
            doing: self.doing.as_ref(),
        }
    }
}

/// A namespace in words.
pub fn place(evidence: &Evidence, netns: u32) -> String {
    evidence.names.netns(netns).unwrap_or_else(|| format!("namespace {netns}"))
}
