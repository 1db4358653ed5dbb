//! One change of a namespace, and what it is about.

use crate::clock::Nanos;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// A device: up, down, carrier, added, removed, renamed.
    Link,
    /// An address of a device: added, removed.
    Address,
    /// A route: added, replaced, removed.
    Route,
    /// A next hop's link address: failed, answered again, moved, removed.
    Neighbour,
}

impl What {
    /// All of them.
    pub const ALL: [What; 4] = [What::Link, What::Address, What::Route, What::Neighbour];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            What::Link => "link",
            What::Address => "address",
            What::Route => "route",
            What::Neighbour => "neighbour",
        }
    }
}

/// Whether something that a packet needs went or came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It cannot be used from now on: removed, down, without carrier, failed.
    Gone,
    /// It can be used (again): added, up, answered.
    Back,
    /// Neither: renamed, replaced, moved.
    Neither,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was read, which is soon after it happened.
    pub at: Nanos,
    /// When what was gone came back; `None` if it did not, or if nothing was gone.
    pub until: Option<Nanos>,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Index of the device there; 0 = it is about no device.
    pub ifindex: u32,
    /// Its name; empty if it is about no device.
    pub device: String,
    /// What it is about.
    pub what: What,
    /// Which one of the device's: an address such as `10.0.0.1/24`, a neighbour's address, a route such as
    /// `default via 10.0.0.1`. Of a link `link`, `state` or `carrier`. What is gone comes back under the same key.
    pub key: String,
    /// Gone, back, or neither.
    pub turn: Turn,
    /// The subnet of an address, and of the route that the kernel makes and removes with it.
    pub subnet: Option<String>,
    /// In words, such as `down` or `10.0.0.1/24 removed`.
    pub detail: String,
}

/// What one message says, before it has a time and a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub what: What,
    pub ifindex: u32,
    pub device: String,
    pub key: String,
    pub turn: Turn,
    pub subnet: Option<String>,
    pub detail: String,
}

impl Said {
    /// It becomes an event.
    pub(super) fn at(self, at: Nanos, netns: u32) -> Event {
        let Said { what, ifindex, device, key, turn, subnet, detail } = self;
        Event { at, until: None, netns, ifindex, device, what, key, turn, subnet, detail }
    }
}
