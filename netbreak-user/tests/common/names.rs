//! What numbers are called, said beforehand.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Device, Names};

/// Names and addresses of a kernel that is not asked. What is not in it is unknown.
#[derive(Default)]
pub struct Table {
    pub symbols: HashMap<u64, String>,
    pub reasons: HashMap<u32, String>,
    pub namespaces: HashMap<u32, String>,
    /// By namespace and index.
    pub devices: HashMap<(u32, u32), Device>,
    /// Namespaces and addresses that they have, and the index of the device.
    pub addresses: HashMap<(u32, IpAddr), u32>,
}

impl Names for Table {
    fn symbol(&self, address: u64) -> Option<String> {
        self.symbols.get(&address).cloned()
    }
    fn drop_reason(&self, reason: u32) -> Option<String> {
        self.reasons.get(&reason).cloned()
    }
    fn drop_reason_number(&self, name: &str) -> Option<u32> {
        self.reasons.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
    }
    fn reset_reason(&self, reason: u32) -> Option<String> {
        self.reasons.get(&reason).cloned()
    }
    fn netns(&self, inode: u32) -> Option<String> {
        self.namespaces.get(&inode).cloned()
    }
    fn device(&self, netns: u32, ifindex: u32) -> Option<&Device> {
        self.devices.get(&(netns, ifindex))
    }
    fn has_address(&self, netns: u32, end: [u8; 4]) -> bool {
        let ends_so = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.octets() == end,
            IpAddr::V6(address) => address.octets()[12..] == end,
        };
        self.addresses.keys().any(|(of, address)| *of == netns && ends_so(address))
    }
    fn device_of(&self, netns: u32, address: IpAddr) -> Option<u32> {
        self.addresses.get(&(netns, address)).copied()
    }
}
