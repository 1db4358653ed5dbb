//! The devices and addresses of a namespace, those that are gone included: packets passed while they were there.

use std::collections::HashMap;
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{LinkAttribute, LinkInfo};

/// A device, as far as a packet's way through it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, the latest one.
    pub name: String,
    /// What it is (`IFLA_INFO_KIND`): `veth`, `tun`, `bridge`, `geneve`; `None` for hardware.
    pub kind: Option<String>,
    /// The index of the device that it is a port of: a bridge, a bond, a datapath of Open vSwitch.
    pub master: Option<u32>,
}

/// The devices of one namespace, by index, and its addresses.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    devices: HashMap<u32, Device>,
    addresses: HashMap<IpAddr, u32>,
}

impl Devices {
    /// Learns from a message about a link or an address; of others there is nothing to learn.
    pub fn take(&mut self, message: &RouteNetlinkMessage) {
        if let RouteNetlinkMessage::NewAddress(address) = message {
            // On a link between two hosts `Address` is the other one's (`IFA_ADDRESS`).
            let (mut own, mut other) = (None, None);
            for attribute in &address.attributes {
                match attribute {
                    AddressAttribute::Local(address) => own = Some(*address),
                    AddressAttribute::Address(address) => other = Some(*address),
                    _ => {}
                }
            }
            self.addresses.extend(own.or(other).map(|own| (own, address.header.index)));
        }
        let RouteNetlinkMessage::NewLink(link) = message else { return };
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        let kind = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
                LinkInfo::Kind(kind) => Some(kind.to_string()),
                _ => None,
            }),
            _ => None,
        });
        // A device that is being removed has left it before.
        let master = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Controller(master) => Some(*master),
            _ => None,
        });
        let master = master.or_else(|| self.devices.get(&link.header.index)?.master);
        if let Some(name) = name {
            self.devices.insert(link.header.index, Device { name, kind, master });
        }
    }

    /// Every address, with the index of the device that had it last.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        self.addresses.iter().map(|(address, ifindex)| (*address, *ifindex))
    }

    /// All devices, with their indices.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.devices.iter().map(|(ifindex, device)| (*ifindex, device))
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::{InfoKind, LinkMessage};

    use super::*;

    #[test]
    fn a_device_is_remembered_when_it_is_gone() {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.attributes.push(LinkAttribute::IfName("c0".to_owned()));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]));
        let mut devices = Devices::default();
        devices.take(&RouteNetlinkMessage::NewLink(link.clone()));
        devices.take(&RouteNetlinkMessage::DelLink(link));
        let veth = Device { name: "c0".to_owned(), kind: Some("veth".to_owned()), master: None };
        assert_eq!(devices.iter().collect::<Vec<_>>(), [(7, &veth)]);
    }
}
