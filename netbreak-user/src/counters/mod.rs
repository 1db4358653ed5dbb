//! The kernel's own counters, per network namespace, before and after a run: the other side of every book.
//!
//! `table` and `softnet` are pure parsers; `take` reads the files.

mod device;
mod softnet;
mod table;
mod take;

pub use device::Device;
pub use softnet::Softnet;
pub use table::Counters;
pub use take::{MOST_NAMESPACES, take};

use std::collections::BTreeMap;

/// The counters of one network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// SNMP counters by name.
    pub counters: Counters,
    /// Its devices by name.
    pub devices: BTreeMap<String, Device>,
}

impl Snapshot {
    /// A counter by name, see [`Counters::get`]. `None` when this kernel does not have it, or it could not be read.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.counters.get(name)
    }

    /// What was counted since `before`. A device that was not there before, or whose counters went back because
    /// it was re-created under the same name, is left out.
    pub fn since(&self, before: &Snapshot) -> Snapshot {
        let device =
            |(name, after): (&String, &Device)| Some((name.clone(), after.since(before.devices.get(name)?)?));
        Snapshot {
            counters: self.counters.since(&before.counters),
            devices: self.devices.iter().filter_map(device).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str, devices: &[(&str, u64)]) -> Snapshot {
        let mut counters = Counters::default();
        counters.add_table(text);
        let device =
            |(name, n): &(&str, u64)| (name.to_string(), Device { rx_packets: *n, ..Device::default() });
        Snapshot { counters, devices: devices.iter().map(device).collect() }
    }

    #[test]
    fn a_difference_has_only_what_both_sides_have() {
        let before = snapshot("Ip: A B\nIp: 1 9\n", &[("eth0", 5), ("gone", 1), ("again", 7)]);
        let after = snapshot("Ip: A B C\nIp: 4 8 3\n", &[("eth0", 9), ("new", 2), ("again", 1)]);
        let since = after.since(&before);
        assert_eq!(since.get("Ip.A"), Some(3));
        assert_eq!(since.get("Ip.B"), None, "a counter that went back");
        assert_eq!(since.get("Ip.C"), None, "a counter that was not there before");
        let devices: Vec<_> = since.devices.iter().map(|(n, d)| (n.as_str(), d.rx_packets)).collect();
        assert_eq!(devices, [("eth0", 4)]);
    }

    #[test]
    fn namespaces_of_one_side_are_left_out_and_messages_kept_once() {
        let one = snapshot("Ip: A\nIp: 1\n", &[]);
        let two = snapshot("Ip: A\nIp: 6\n", &[]);
        let before = Snapshots {
            namespaces: [(1, one.clone()), (2, one.clone())].into(),
            failed: vec!["x".to_owned()],
            ..Snapshots::default()
        };
        let after = Snapshots {
            namespaces: [(2, two), (3, one)].into(),
            failed: vec!["x".to_owned(), "y".to_owned()],
            left_out: 1,
            ..Snapshots::default()
        };
        let since = after.since(&before);
        assert_eq!(since.namespaces.keys().collect::<Vec<_>>(), [&2]);
        assert_eq!(since.namespaces[&2].get("Ip.A"), Some(5));
        assert_eq!((since.failed, since.left_out, since.softnet), (vec!["x".into(), "y".into()], 1, None));
    }
}
