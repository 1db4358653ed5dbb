//! Attempts that died alike: what the evidence about all of them says.

use super::{
    Evidence, Side, counted, ending::OTHERHOST, last::Doing, meanwhile, meanwhile::Scene, next_hop::way_out,
    sentence,
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
    /// What they did when they were seen last, where no drop ended them; that of Open vSwitch's upcalls in any case.
    pub doing: Option<Doing>,
}

/// Which attempts they are.
pub struct Toll<'a> {
    /// What the run gathered.
    pub evidence: &'a Evidence<'a>,
    /// Whose attempts.
    pub record: &'a Record,
    /// Its index.
    pub probe: usize,
    /// How many.
    pub attempts: u64,
    /// When the first and the last of them died.
    pub span: (Nanos, Nanos),
}

impl Group {
    /// Attempts of which no more is known than this; `netns` is an inode.
    pub fn new(leg: Leg, cause: Cause, netns: Option<u32>) -> Self {
        Self {
            leg,
            cause,
            reason: None,
            symbol: None,
            stage: None,
            device: None,
            ifindex: None,
            netns,
            doing: None,
        }
    }

    /// The death of these attempts.
    pub fn into_death(mut self, toll: &Toll) -> Death {
        self.cause = self.sharper(toll);
        let explain = sentence::dead(&self, toll);
        // A stream's connection, which its first write waits for, is opened before the start.
        let since_start = |at: Nanos| seconds_since(toll.evidence.start, at.max(toll.evidence.start));
        Death {
            attempts: toll.attempts,
            leg: self.leg,
            cause: self.cause,
            node: None,
            reason: self.reason,
            symbol: self.symbol,
            device: self.device,
            ifindex: self.ifindex,
            netns: self.netns,
            netns_name: self.netns.and_then(|netns| toll.evidence.names.netns(netns)),
            stage: self.stage,
            first_s: since_start(toll.span.0),
            last_s: since_start(toll.span.1),
            explain,
        }
    }

    /// The cause, by what else is known of all of them.
    fn sharper(&self, toll: &Toll) -> Cause {
        if self.side(toll).is_some_and(|side| counted::is_conntrack(side, &self.dead(toll))) {
            return Cause::Conntrack;
        }
        // Who was to send them on had nowhere to send them.
        let was_read = self.leg == Leg::Request
            && matches!(self.doing, Some(Doing::ReadFromPacketSocket | Doing::ReadFromTap));
        let target_was_gone =
            || self.scene(toll).is_some_and(|scene| meanwhile::target_was_gone(toll.evidence, &scene));
        if was_read && target_was_gone() { Cause::Link } else { self.cause }
    }

    /// What was counted where they died.
    pub fn side<'a>(&self, toll: &Toll<'a>) -> Option<&'a Side> {
        toll.evidence.sides.get(&self.netns?)
    }

    /// For the rules about counters.
    pub fn dead(&self, toll: &Toll) -> counted::Dead<'_> {
        counted::Dead {
            attempts: toll.attempts,
            kind: toll.record.kind,
            port: toll.record.port,
            leg: self.leg,
            cause: self.cause,
            reason: self.reason.as_deref(),
            symbol: self.symbol.as_deref(),
            stage: self.stage.as_deref(),
            device: self.ifindex.zip(self.device.as_deref()),
            doing: self.doing.as_ref(),
        }
    }

    /// For the rules about changes.
    pub fn scene(&self, toll: &Toll) -> Option<Scene> {
        let answers = matches!(
            self.doing,
            Some(Doing::Consumed(_) | Doing::Arrived | Doing::Acknowledged | Doing::Delivered)
        );
        let is_home = self.netns == Some(toll.evidence.netns);
        Some(Scene {
            netns: self.netns?,
            // What never got to a device would have left as answered attempts did.
            ifindex: self.ifindex.or_else(|| way_out(toll.evidence, toll.probe).filter(|_| is_home)),
            target: toll.record.address,
            leg: self.leg,
            span: toll.span,
            needs_neighbour: self.cause == Cause::Neighbour && !self.is_misdirected(),
            needs_link_address: self.is_misdirected(),
            needs_route: self.cause == Cause::Route || answers,
        })
    }

    /// Did they reach the right device with another one's link address?
    pub fn is_misdirected(&self) -> bool {
        self.reason.as_deref() == Some(OTHERHOST)
    }
}
