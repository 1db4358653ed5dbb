//! Which messages of rtnetlink are a change, and what it is called.
//!
//! The kernel repeats RTM_NEWLINK and RTM_NEWADDR for many reasons (statistics, lifetimes, a flag): only what
//! differs from what was known is an event.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::clock::Nanos;

/// So many removed devices are remembered; beyond them one that comes back is called `added`. A node's pods come and
/// go under ever new names.
const MOST_GONE: usize = 1024;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A device: up, down, carrier, added, removed, renamed.
    Link,
    /// An address of a device: added, removed.
    Address,
}

impl What {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            What::Link => "link",
            What::Address => "address",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was read, which is soon after it happened.
    pub at: Nanos,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Index of the device there.
    pub ifindex: u32,
    /// Its name.
    pub device: String,
    /// What it is about.
    pub what: What,
    /// In words, such as `down` or `10.0.0.1/24 removed`.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    name: String,
    up: bool,
    carrier: bool,
}

/// The links and addresses of one namespace as far as they were told.
#[derive(Debug, Default)]
pub struct Links {
    netns: u32,
    links: BTreeMap<u32, Link>,
    addresses: BTreeSet<(u32, IpAddr, u8)>,
    /// Names of removed links and the index they had: one that comes back was re-created.
    gone: BTreeMap<String, u32>,
}

impl Links {
    /// Nothing is known yet of the namespace `netns`.
    pub fn new(netns: u32) -> Links {
        Links { netns, ..Links::default() }
    }

    /// Whose they are.
    pub fn netns(&self) -> u32 {
        self.netns
    }

    /// Takes one message, and says what changed by it.
    pub fn take(&mut self, at: Nanos, message: &RouteNetlinkMessage) -> Vec<Event> {
        let (what, ifindex, device, details) = match message {
            RouteNetlinkMessage::NewLink(link) => {
                let details = self.link_is(link);
                (What::Link, link.header.index, self.name(link.header.index), details)
            }
            RouteNetlinkMessage::DelLink(link) => {
                let ifindex = link.header.index;
                let device = self.name(ifindex);
                (What::Link, ifindex, device, self.link_is_gone(ifindex))
            }
            RouteNetlinkMessage::NewAddress(address) => {
                let details =
                    key(address).filter(|key| self.addresses.insert(*key)).map(|key| said(key, "added"));
                (
                    What::Address,
                    address.header.index,
                    self.name(address.header.index),
                    Vec::from_iter(details),
                )
            }
            RouteNetlinkMessage::DelAddress(address) => {
                let details =
                    key(address).filter(|key| self.addresses.remove(key)).map(|key| said(key, "removed"));
                (
                    What::Address,
                    address.header.index,
                    self.name(address.header.index),
                    Vec::from_iter(details),
                )
            }
            _ => return Vec::new(),
        };
        let event = |detail| Event { at, netns: self.netns, ifindex, device: device.clone(), what, detail };
        details.into_iter().map(event).collect()
    }

    fn name(&self, ifindex: u32) -> String {
        self.links.get(&ifindex).map_or_else(|| format!("if{ifindex}"), |link| link.name.clone())
    }

    fn link_is(&mut self, message: &LinkMessage) -> Vec<String> {
        let name = message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        // Bridges and wireless devices repeat a link without its name.
        let Some(name) = name else { return Vec::new() };
        let flags = message.header.flags;
        let up = flags.contains(LinkFlags::Up);
        let now = Link { name, up, carrier: up && flags.contains(LinkFlags::LowerUp) };
        let ifindex = message.header.index;
        let state = |up| if up { "up" } else { "down" };
        let Some(before) = self.links.insert(ifindex, now.clone()) else {
            return vec![match self.gone.remove(&now.name) {
                Some(old) => format!("re-created, {}: index {ifindex} instead of {old}", state(now.up)),
                None => format!("added, {}", state(now.up)),
            }];
        };
        let mut details = Vec::new();
        if before.name != now.name {
            details.push(format!("renamed from {}", before.name));
        }
        if before.up != now.up {
            details.push(state(now.up).to_owned());
        } else if before.carrier != now.carrier {
            details.push(if now.carrier { "carrier found" } else { "carrier lost" }.to_owned());
        }
        details
    }

    fn link_is_gone(&mut self, ifindex: u32) -> Vec<String> {
        self.addresses.retain(|(of, ..)| *of != ifindex);
        let Some(link) = self.links.remove(&ifindex) else { return Vec::new() };
        if self.gone.len() < MOST_GONE {
            self.gone.insert(link.name, ifindex);
        }
        vec!["removed".to_owned()]
    }
}

/// Device, address and prefix length. IPv4 has its own address in `Local` (`Address` is the peer's), IPv6 only in
/// `Address` (`inet_fill_ifaddr` in net/ipv4/devinet.c, `inet6_fill_ifaddr` in net/ipv6/addrconf.c).
fn key(message: &AddressMessage) -> Option<(u32, IpAddr, u8)> {
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(own) => address = Some(*own),
            AddressAttribute::Address(own) => address = address.or(Some(*own)),
            _ => {}
        }
    }
    Some((message.header.index, address?, message.header.prefix_len))
}

fn said((_, address, length): (u32, IpAddr, u8), what: &str) -> String {
    format!("{address}/{length} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn link(index: u32, name: &str, flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        message
    }

    fn address(index: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = 24;
        message.attributes.push(AddressAttribute::Address(Ipv4Addr::new(10, 0, 0, 9).into()));
        message.attributes.push(AddressAttribute::Local(Ipv4Addr::new(10, 0, 0, 1).into()));
        message
    }

    #[test]
    fn only_what_differs_is_an_event() {
        use RouteNetlinkMessage::{DelAddress, DelLink, NewAddress, NewLink};
        let on = LinkFlags::Up | LinkFlags::LowerUp;
        let mut links = Links::new(77);
        for (message, expected) in [
            (NewLink(link(5, "ovn0", LinkFlags::empty())), vec!["ovn0 added, down"]),
            (NewLink(link(5, "ovn0", LinkFlags::empty())), vec![]),
            (NewLink(link(5, "ovn0", on)), vec!["ovn0 up"]),
            (NewLink(link(5, "ovn0", on | LinkFlags::Promisc)), vec![]),
            (NewAddress(address(5)), vec!["ovn0 10.0.0.1/24 added"]),
            (NewAddress(address(5)), vec![]),
            (NewLink(link(5, "ovn0", LinkFlags::Up)), vec!["ovn0 carrier lost"]),
            (NewLink(link(5, "ovn0", on)), vec!["ovn0 carrier found"]),
            (DelAddress(address(5)), vec!["ovn0 10.0.0.1/24 removed"]),
            (DelAddress(address(5)), vec![]),
            (NewLink(link(5, "ovn1", LinkFlags::empty())), vec!["ovn1 renamed from ovn0", "ovn1 down"]),
            (DelLink(link(5, "ovn1", LinkFlags::empty())), vec!["ovn1 removed"]),
            (DelLink(link(5, "ovn1", LinkFlags::empty())), vec![]),
            (NewLink(link(6, "ovn1", on)), vec!["ovn1 re-created, up: index 6 instead of 5"]),
            (NewAddress(address(9)), vec!["if9 10.0.0.1/24 added"]),
        ] {
            let events = links.take(3, &message);
            let said: Vec<String> = events.iter().map(|e| format!("{} {}", e.device, e.detail)).collect();
            assert_eq!(said, expected, "{message:?}");
            assert!(events.iter().all(|e| (e.at, e.netns) == (3, 77)));
        }
    }
}
