//! The kernel's own counters, per network namespace, before and after a run: the other side of every book.
//!
//! `table`, `conntrack`, `device`, `softnet`, `qdisc`, `datapath` and `sockets` are pure parsers; `take` reads the files,
//! `lists` asks by netlink.

mod conntrack;
mod datapath;
mod device;
mod lists;
mod netlink;
mod qdisc;
mod sockets;
mod softnet;
mod table;
mod take;
#[cfg(test)]
mod tests;

pub use datapath::{Datapath, Upcalls};
pub use device::Device;
pub use qdisc::{Hook, Place, Qdisc};
pub use sockets::{Socket, SocketKind, Sockets};
pub use softnet::Softnet;
pub use table::Counters;
pub use take::{MOST_NAMESPACES, take};

use std::collections::BTreeMap;

/// The counters of one network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// SNMP counters by name, those of connection tracking where it is used (`Conntrack.drop`), and those of Open vSwitch's
    /// kernel datapaths where there are any (`Openvswitch.lost`).
    pub counters: Counters,
    /// Its devices by name.
    pub devices: BTreeMap<String, Device>,
    /// What waits at its devices. `None` when it could not be read.
    pub qdiscs: Option<BTreeMap<Place, Qdisc>>,
    /// Its sockets that dropped packets. A kind that could not be read is absent.
    pub sockets: BTreeMap<SocketKind, Sockets>,
    /// Its datapaths of Open vSwitch, by name: as a rule there is one, `ovs-system`. None without openvswitch, or where they
    /// could not be read.
    pub datapaths: BTreeMap<String, Datapath>,
}

impl Snapshot {
    /// A counter by name, see [`Counters::get`]. `None` when this kernel does not have it, or it could not be read.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.counters.get(name)
    }

    /// What was counted since `before`. A device that was not there before, or whose counters went back because
    /// it was re-created under the same name, is left out. A qdisc or a socket that was not there before counted all
    /// since it was made; one that is gone again before the second snapshot is not seen.
    pub fn since(&self, before: &Snapshot) -> Snapshot {
        let device =
            |(name, after): (&String, &Device)| Some((name.clone(), after.since(before.devices.get(name)?)?));
        let qdiscs = self.qdiscs.as_ref().zip(before.qdiscs.as_ref()).map(|(after, before)| {
            let one = |(place, after): (&Place, &Qdisc)| Some((*place, after.since(before.get(place))?));
            after.iter().filter_map(one).collect()
        });
        let sockets =
            |(kind, after): (&SocketKind, &Sockets)| Some((*kind, after.since(before.sockets.get(kind)?)));
        let datapath = |(name, after): (&String, &Datapath)| {
            Some((name.clone(), after.since(before.datapaths.get(name))?))
        };
        Snapshot {
            datapaths: self.datapaths.iter().filter_map(datapath).collect(),
            counters: self.counters.since(&before.counters),
            devices: self.devices.iter().filter_map(device).collect(),
            qdiscs,
            sockets: self.sockets.iter().filter_map(sockets).collect(),
        }
    }
}

/// The counters of several namespaces at about one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// By the namespace's inode number.
    pub namespaces: BTreeMap<u32, Snapshot>,
    /// Of the whole machine: it belongs to CPUs, not to namespaces. `None` when it could not be read.
    pub softnet: Option<Softnet>,
    /// Namespaces beyond [`MOST_NAMESPACES`], not read.
    pub left_out: usize,
    /// What could not be read, and why: one message each.
    pub failed: Vec<String>,
}

impl Snapshots {
    /// What was counted between the two. A namespace that is only in one of them is left out.
    pub fn since(&self, before: &Snapshots) -> Snapshots {
        let namespace =
            |(inode, after): (&u32, &Snapshot)| Some((*inode, after.since(before.namespaces.get(inode)?)));
        let mut failed = before.failed.clone();
        failed.extend(self.failed.iter().filter(|m| !before.failed.contains(m)).cloned());
        Snapshots {
            namespaces: self.namespaces.iter().filter_map(namespace).collect(),
            softnet: self.softnet.and_then(|after| after.since(&before.softnet?)),
            left_out: self.left_out.max(before.left_out),
            failed,
        }
    }
}
