//! Names of the running kernel's numbers, for the verdict.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use super::changes::Changes;
use crate::{kernel::Reasons, kernel::Symbols, netns, verdict, watch::Device};

/// Symbols, reasons and namespaces of this machine.
pub(super) struct Names<'a> {
    symbols: &'a Symbols,
    reasons: &'a Reasons,
    netns: HashMap<u32, String>,
    devices: HashMap<(u32, u32), Device>,
    addresses: HashMap<(u32, IpAddr), u32>,
    /// The ends of addresses, as hops have them.
    ends: HashSet<(u32, [u8; 4])>,
}

impl<'a> Names<'a> {
    /// `first` names namespaces as the caller wants them called; all others are named as the machine does.
    pub(super) fn new(
        symbols: &'a Symbols,
        reasons: &'a Reasons,
        first: Vec<(u32, String)>,
        changes: &Changes,
    ) -> Self {
        let mut names: HashMap<u32, String> =
            netns::list().into_iter().map(|found| (found.inode, found.name)).collect();
        names.extend(first);
        let devices = changes.devices();
        let end = |address| match address {
            IpAddr::V4(address) => address.octets(),
            IpAddr::V6(address) => address.octets()[12..].try_into().unwrap_or_default(),
        };
        let addresses = changes.addresses();
        let ends = addresses.keys().map(|(netns, address)| (*netns, end(*address))).collect();
        Self { symbols, reasons, netns: names, devices, addresses, ends }
    }
}

impl Names<'_> {
    /// Where only some namespaces are watched, a veth may lead out of them as hardware does: no device has a kind.
    pub(super) fn forget_kinds(&mut self) {
        self.devices.values_mut().for_each(|device| device.kind = None);
    }
}

impl verdict::Names for Names<'_> {
    fn symbol(&self, address: u64) -> Option<String> {
        self.symbols.resolve(address).map(str::to_owned)
    }

    fn drop_reason(&self, reason: u32) -> Option<String> {
        self.reasons.drop(reason)
    }

    fn drop_reason_number(&self, name: &str) -> Option<u32> {
        self.reasons.number(name)
    }

    fn reset_reason(&self, reason: u32) -> Option<String> {
        self.reasons.reset(reason)
    }

    fn netns(&self, inode: u32) -> Option<String> {
        self.netns.get(&inode).cloned()
    }

    fn device(&self, netns: u32, ifindex: u32) -> Option<&Device> {
        self.devices.get(&(netns, ifindex))
    }

    fn has_address(&self, netns: u32, end: [u8; 4]) -> bool {
        self.ends.contains(&(netns, end))
    }

    fn device_of(&self, netns: u32, address: IpAddr) -> Option<u32> {
        self.addresses.get(&(netns, address)).copied()
    }
}
