//! How an attempt ended.

use super::group::Group;
use crate::clock::Nanos;

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
