//! The verdict: from evidence to outages, deaths, causes and books. Pure: no clock, no kernel, no files.

mod addresses;
mod books;
mod case;
mod cause;
mod counted;
mod daemons;
mod datapath;
mod deaths;
mod dropped;
mod end;
mod ending;
mod explain;
mod floods;
mod gone;
mod group;
mod last;
mod listed;
mod meanwhile;
mod next_hop;
mod path;
mod port;
mod resets;
mod sentence;
mod side;
mod sighted;
mod spells;
mod stage;
mod starved;
mod stream;
mod switch;
#[cfg(test)]
mod tests;
mod timeline;

pub use books::{Cut, Own, books, echo_books};
pub use daemons::{Absence, absences};
pub use deaths::{Judged, deaths, resent, retransmits};
pub use dropped::dropped;
pub use ending::Ending;
pub use listed::listed;
pub use path::path;
pub use resets::resets;
pub use side::{Queue, Side};
pub use sighted::{sighted, strangers};
pub use spells::Spells;
pub use starved::Sleeps;
pub use timeline::timeline;

use std::{collections::BTreeMap, net::IpAddr};

use netbreak_common::Event;

use crate::{
    clock::Nanos,
    kernel::Trails,
    probe::Record,
    watch::{Device, Event as Change, Owners, Process},
};

// Flags of a segment, as events and stops have them (`TCPHDR_*`, include/net/tcp.h).
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;

/// Names of the running kernel's numbers. `None` = not known here.
pub trait Names {
    /// The function that contains a kernel address.
    fn symbol(&self, address: u64) -> Option<String>;
    /// A `kfree_skb` reason.
    fn drop_reason(&self, reason: u32) -> Option<String>;
    /// The number of a drop reason's name: does this kernel have it?
    fn drop_reason_number(&self, name: &str) -> Option<u32>;
    /// A `tcp_send_reset` reason.
    fn reset_reason(&self, reason: u32) -> Option<String>;
    /// A network namespace, by inode number.
    fn netns(&self, inode: u32) -> Option<String>;
    /// A device, by namespace and index.
    fn device(&self, netns: u32, ifindex: u32) -> Option<&Device>;
    /// Has this namespace, or had it, an address with this end (four bytes: all of an IPv4 address)?
    fn has_address(&self, netns: u32, end: [u8; 4]) -> bool;
    /// The index of the device that has this address of a namespace, or had it last.
    fn device_of(&self, netns: u32, address: IpAddr) -> Option<u32>;
}

/// What a run gathered about its probes.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// Start of the run.
    pub start: Nanos,
    /// When an attempt counts as unanswered.
    pub timeout: Nanos,
    /// The namespace of the probe that is judged.
    pub netns: u32,
    /// What every probe measured.
    pub records: &'a [Record],
    /// What the kernel side saw of their packets, ascending by time.
    pub events: &'a [Event],
    /// Which places the packets of unanswered attempts passed.
    pub trails: &'a Trails,
    /// What changed meanwhile, ascending by time.
    pub changes: &'a [Change],
    /// The daemons that were there at the start.
    pub daemons: &'a [Process],
    /// Who read packet sockets and TAP devices at the start.
    pub owners: &'a Owners,
    /// When daemons were away.
    pub absences: &'a [Absence],
    /// What the kernel counted beside them, by namespace (inode number).
    pub sides: &'a BTreeMap<u32, Side>,
    /// How often the kernel skipped one of our programs, which then saw nothing (`recursion_misses`).
    pub misses: u64,
    /// Names for all of it.
    pub names: &'a dyn Names,
}

impl Evidence<'_> {
    /// The same for the probes of another namespace.
    pub fn of(mut self, netns: u32) -> Self {
        self.netns = netns;
        self
    }
}
