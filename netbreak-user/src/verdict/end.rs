//! How an attempt ended, and the death of those that ended alike.

use super::{
    Evidence,
    daemons::nobody_switched,
    explain::{Place, explain},
    last::Doing,
};
use crate::{
    clock::{Nanos, seconds_since},
    probe::Record,
    report::{Cause, Death, Leg},
};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What it has in common with others.
    pub group: Group,
    /// When.
    pub at: Nanos,
    /// What says so.
    pub proof: Proof,
}

/// What tells how an attempt ended, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The drop that ended it.
    Dropped,
    /// An ICMP error that this machine sent because of it.
    Reported,
    /// The kernel did not take it.
    NotSent,
    /// Netbreak did not run.
    Starved,
    /// Where its packets were seen last.
    SeenLast,
}

/// What attempts that died alike have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub leg: Leg,
    pub cause: Cause,
    pub reason: Option<String>,
    pub symbol: Option<String>,
    pub stage: Option<String>,
    pub device: Option<String>,
    pub ifindex: Option<u32>,
    pub netns: Option<u32>,
    /// What they did when they were seen last, where no drop ended them.
    pub doing: Option<Doing>,
}

impl Group {
    /// The death of so many of them, the first and the last at these times.
    pub fn into_death(
        self,
        evidence: &Evidence,
        record: &Record,
        attempts: u64,
        first: Nanos,
        last: Nanos,
    ) -> Death {
        let netns_name = self.netns.and_then(|netns| evidence.names.netns(netns));
        let netns = netns_name.clone().or_else(|| self.netns.map(|netns| format!("namespace {netns}")));
        let destination = match self.leg {
            Leg::Reply => "the probe's own address".to_owned(),
            Leg::Request | Leg::Unknown => record.address.to_string(),
        };
        let explain = explain(&Place {
            cause: self.cause,
            reason: self.reason.as_deref(),
            stage: self.stage.as_deref(),
            device: self.device.as_deref(),
            netns: netns.as_deref(),
            destination: &destination,
            doing: self.doing.as_ref(),
        });
        let switched =
            matches!(self.doing, Some(Doing::Received | Doing::ReadFromPacketSocket | Doing::Transmitted(_)))
                || self.reason.as_deref() == Some("QUEUE_PURGE");
        let away = switched
            .then(|| nobody_switched(evidence.absences, self.netns, (first, last), evidence.start))
            .flatten();
        let explain = match away {
            Some(away) => format!("{explain}; {away}"),
            None => explain,
        };
        Death {
            attempts,
            leg: self.leg,
            cause: self.cause,
            reason: self.reason,
            symbol: self.symbol,
            device: self.device,
            ifindex: self.ifindex,
            netns: self.netns,
            netns_name,
            stage: self.stage,
            first_s: seconds_since(evidence.start, first),
            last_s: seconds_since(evidence.start, last),
            explain,
        }
    }
}
