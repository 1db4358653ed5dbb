//! Which messages about links and addresses are a change, and what it is called.
//!
//! The kernel repeats RTM_NEWLINK and RTM_NEWADDR for many reasons (statistics, lifetimes, a flag): only what
//! differs from what was known is an event.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::event::{Said, Turn, What};

/// So many removed devices are remembered; beyond them one that comes back is called `added`. A node's pods come and
/// go under ever new names.
const MOST_GONE: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    name: String,
    up: bool,
    carrier: bool,
    rest: Option<Rest>,
}

/// What only the device's own messages tell, not those of a bridge about its port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rest {
    link_address: Vec<u8>,
    mtu: u32,
    /// The bridge or bond that it is a port of.
    master: Option<u32>,
}

/// The links and addresses of one namespace as far as they were told.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<u32, Link>,
    addresses: BTreeSet<(u32, IpAddr, u8)>,
    /// Names of removed links and the index they had: one that comes back was re-created.
    gone: BTreeMap<String, u32>,
}

impl Links {
    /// Takes one message, and says what changed by it.
    pub(super) fn take(&mut self, message: &RouteNetlinkMessage) -> Vec<Said> {
        match message {
            RouteNetlinkMessage::NewLink(link) => self.link_is(link),
            // A bridge tells in this way that it lost a port (`br_ifinfo_notify` in net/bridge/br_netlink.c).
            RouteNetlinkMessage::DelLink(link) if is_of_bridge(link) => Vec::new(),
            RouteNetlinkMessage::DelLink(link) => Vec::from_iter(self.link_is_gone(link.header.index)),
            RouteNetlinkMessage::NewAddress(address) => {
                let new = key(address).filter(|key| self.addresses.insert(*key));
                Vec::from_iter(new.map(|key| self.address(key, Turn::Back)))
            }
            RouteNetlinkMessage::DelAddress(address) => {
                let old = key(address).filter(|key| self.addresses.remove(key));
                Vec::from_iter(old.map(|key| self.address(key, Turn::Gone)))
            }
            _ => Vec::new(),
        }
    }

    /// The name of a device, or `if7` if it was never told.
    pub(super) fn name(&self, ifindex: u32) -> String {
        self.links.get(&ifindex).map_or_else(|| format!("if{ifindex}"), |link| link.name.clone())
    }

    fn said(&self, ifindex: u32, key: &str, turn: Turn, detail: String) -> Said {
        let (device, key) = (self.name(ifindex), key.to_owned());
        Said { what: What::Link, ifindex, device, key, turn, subnet: None, detail }
    }

    fn address(&self, (ifindex, address, length): (u32, IpAddr, u8), turn: Turn) -> Said {
        let key = format!("{address}/{length}");
        let detail = format!("{key} {}", if turn == Turn::Gone { "removed" } else { "added" });
        let device = self.name(ifindex);
        Said {
            what: What::Address,
            ifindex,
            device,
            key,
            turn,
            subnet: Some(subnet(address, length)),
            detail,
        }
    }

    fn link_is(&mut self, message: &LinkMessage) -> Vec<Said> {
        let name = message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        // Bridges and wireless devices repeat a link without its name.
        let Some(name) = name else { return Vec::new() };
        let flags = message.header.flags;
        let up = flags.contains(LinkFlags::Up);
        let carrier = up && flags.contains(LinkFlags::LowerUp);
        let known = self.links.get(&message.header.index).and_then(|link| link.rest.clone());
        let rest = if is_of_bridge(message) { known } else { Some(Rest::of(message)) };
        let now = Link { name, up, carrier, rest };
        let index = message.header.index;
        let state = if up { "up" } else { "down" };
        let turn = |good| if good { Turn::Back } else { Turn::Gone };
        let Some(before) = self.links.insert(index, now.clone()) else {
            let detail = match self.gone.remove(&now.name) {
                Some(old) => format!("re-created, {state}: index {index} instead of {old}"),
                None => format!("added, {state}"),
            };
            return vec![self.said(index, "link", Turn::Back, detail)];
        };
        let mut said = Vec::new();
        if before.name != now.name {
            let detail = format!("renamed from {}", before.name);
            said.push(self.said(index, "name", Turn::Neither, detail));
        }
        if before.up != now.up {
            said.push(self.said(index, "state", turn(up), state.to_owned()));
        } else if before.carrier != now.carrier {
            let detail = if now.carrier { "carrier found" } else { "carrier lost" };
            said.push(self.said(index, "carrier", turn(now.carrier), detail.to_owned()));
        }
        if let (Some(before), Some(now)) = (&before.rest, &now.rest) {
            let details = self.differ(before, now);
            said.extend(
                details.into_iter().map(|(key, detail)| self.said(index, key, Turn::Neither, detail)),
            );
        }
        said
    }

    /// What differs of the rest, each with its key.
    fn differ(&self, before: &Rest, now: &Rest) -> Vec<(&'static str, String)> {
        let mut details = Vec::new();
        if before.link_address != now.link_address {
            let (new, old) = (hex(&now.link_address), hex(&before.link_address));
            details.push(("link address", format!("has link address {new}, had {old}")));
        }
        if before.mtu != now.mtu {
            details.push(("mtu", format!("has mtu {}, had {}", now.mtu, before.mtu)));
        }
        if before.master != now.master {
            let left = before.master.map(|master| format!("left {}", self.name(master)));
            let joined = now.master.map(|master| format!("joined {}", self.name(master)));
            details.extend(left.into_iter().chain(joined).map(|detail| ("master", detail)));
        }
        details
    }

    fn link_is_gone(&mut self, ifindex: u32) -> Option<Said> {
        let said = self.said(ifindex, "link", Turn::Gone, "removed".to_owned());
        self.addresses.retain(|(of, ..)| *of != ifindex);
        let link = self.links.remove(&ifindex)?;
        if self.gone.len() < MOST_GONE {
            self.gone.insert(link.name, ifindex);
        }
        Some(said)
    }
}

impl Rest {
    fn of(message: &LinkMessage) -> Rest {
        let mut rest = Rest::default();
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Address(address) => rest.link_address.clone_from(address),
                LinkAttribute::Mtu(mtu) => rest.mtu = *mtu,
                LinkAttribute::Controller(master) => rest.master = Some(*master),
                _ => {}
            }
        }
        rest
    }
}

fn is_of_bridge(message: &LinkMessage) -> bool {
    message.header.interface_family == AddressFamily::Bridge
}

/// A link address as `ip` writes it.
pub(super) fn hex(link_address: &[u8]) -> String {
    link_address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
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

/// `10.0.1.0/24` of 10.0.1.2 and 24.
fn subnet(address: IpAddr, length: u8) -> String {
    let bits = u32::from(length);
    let network = match address {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !host))
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !host))
        }
    };
    format!("{network}/{length}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        message
    }

    /// As a bridge tells of its port.
    fn port(index: u32, name: &str) -> LinkMessage {
        let mut message = link(index, name, LinkFlags::Up);
        message.header.interface_family = AddressFamily::Bridge;
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
        let mut links = Links::default();
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
            (DelLink(port(5, "ovn1")), vec![]),
            (DelLink(link(5, "ovn1", LinkFlags::empty())), vec!["ovn1 removed"]),
            (DelLink(link(5, "ovn1", LinkFlags::empty())), vec![]),
            (NewLink(link(6, "ovn1", on)), vec!["ovn1 re-created, up: index 6 instead of 5"]),
            (NewAddress(address(9)), vec!["if9 10.0.0.1/24 added"]),
        ] {
            let said = links.take(&message);
            let said: Vec<String> = said.iter().map(|s| format!("{} {}", s.device, s.detail)).collect();
            assert_eq!(said, expected, "{message:?}");
        }
    }

    #[test]
    fn a_link_address_an_mtu_and_a_bridge_are_told_when_they_change() {
        let with = |attributes: &[LinkAttribute]| {
            let mut message = link(5, "p1h", LinkFlags::Up);
            message.attributes.extend(attributes.iter().cloned());
            RouteNetlinkMessage::NewLink(message)
        };
        use LinkAttribute::{Address, Controller, Mtu};
        let (one, two) = (Address(vec![2, 0, 0, 0, 0, 1]), Address(vec![2, 0, 0, 0, 0, 2]));
        let mut links = Links::default();
        links.take(&RouteNetlinkMessage::NewLink(link(9, "br0", LinkFlags::Up)));
        for (message, expected) in [
            (with(&[one.clone(), Mtu(1500)]), vec!["added, up"]),
            (with(&[one, Mtu(1400)]), vec!["has mtu 1400, had 1500"]),
            (
                with(&[two.clone(), Mtu(1400)]),
                vec!["has link address 02:00:00:00:00:02, had 02:00:00:00:00:01"],
            ),
            (with(&[two.clone(), Mtu(1400), Controller(9)]), vec!["joined br0"]),
            // A bridge says less of its port.
            (RouteNetlinkMessage::NewLink(port(5, "p1h")), vec![]),
            (with(&[two, Mtu(1400)]), vec!["left br0"]),
        ] {
            let said = links.take(&message);
            assert_eq!(said.iter().map(|said| said.detail.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn an_address_has_a_subnet() {
        for (address, length, expected) in [
            ("10.0.1.2", 24, "10.0.1.0/24"),
            ("10.0.1.2", 32, "10.0.1.2/32"),
            ("10.0.1.2", 0, "0.0.0.0/0"),
            ("fd00:1::2", 64, "fd00:1::/64"),
            ("fd00:1::2", 128, "fd00:1::2/128"),
        ] {
            assert_eq!(subnet(address.parse().unwrap(), length), expected);
        }
    }
}
