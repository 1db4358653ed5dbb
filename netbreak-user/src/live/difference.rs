//! What was counted since the last look. Pure.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use crate::kernel::Tables;

/// What has a counter: a flow at a place, or all flows of a place that found no room for counters of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// [`crate::kernel::PlaceRow::id`].
    pub place: u32,
    /// The flow; `None` = those without room.
    pub flow: Option<FlowKey>,
}

/// A flow as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// Source and destination; `None` without an IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Source port, ICMP identifier, or Ethernet type.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Segments.
    pub packets: u64,
    /// Bytes from the network header on; `None` where only packets are counted.
    pub bytes: Option<u64>,
}

impl Count {
    fn since(self, before: Count) -> Count {
        Count {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.map(|bytes| bytes.saturating_sub(before.bytes.unwrap_or(0))),
        }
    }
}

/// A counter that has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub key: Key,
    /// By how much.
    pub grown: Count,
    /// Up to now.
    pub total: Count,
}

/// All counters at one time.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(HashMap<Key, Count>);

impl Snapshot {
    /// From the kernel's tables. A flow whose place was made after the places were read waits for the next snapshot.
    pub fn of(tables: &Tables) -> Self {
        let places: HashSet<u32> = tables.places.iter().map(|place| place.id).collect();
        let known = tables.flows.iter().filter(|flow| places.contains(&flow.place));
        let flows = known.map(|row| {
            let (addresses, source_port) = (row.addresses, row.source_port);
            let flow = Some(FlowKey { addresses, source_port, destination_port: row.destination_port });
            (Key { place: row.place, flow }, Count { packets: row.packets, bytes: Some(row.bytes) })
        });
        let rest = tables
            .places
            .iter()
            .map(|row| (Key { place: row.id, flow: None }, Count { packets: row.overflow, bytes: None }));
        Snapshot(flows.chain(rest).filter(|(_, count)| count.packets > 0).collect())
    }

    /// What has grown since `before`, ascending by key. The sum of all differences of a series of snapshots is what the
    /// last of them says.
    pub fn since(&self, before: &Snapshot) -> Vec<Difference> {
        let mut grown: Vec<Difference> = self
            .0
            .iter()
            .map(|(key, total)| {
                let before = before.0.get(key).copied().unwrap_or_default();
                Difference { key: *key, grown: total.since(before), total: *total }
            })
            .filter(|difference| difference.grown.packets > 0)
            .collect();
        grown.sort_unstable_by_key(|difference| difference.key);
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{FlowRow, PlaceRow};
    use netbreak_common::PlaceKey;

    fn flow(place: u32, source_port: u16, packets: u64) -> FlowRow {
        let addresses = Some(([10, 0, 1, 2].into(), [10, 0, 2, 2].into()));
        let (first, last) = (0, 0);
        FlowRow {
            place,
            addresses,
            source_port,
            destination_port: 80,
            packets,
            bytes: 40 * packets,
            first,
            last,
        }
    }

    fn snapshot(flows: &[FlowRow], overflow: u64) -> Snapshot {
        let key = PlaceKey::default();
        let place = |id, overflow| PlaceRow { id, key, device: None, packets: 0, skbs: 0, overflow };
        Snapshot::of(&Tables {
            places: vec![place(7, overflow), place(8, 0)],
            flows: flows.to_vec(),
            ..Tables::default()
        })
    }

    fn grown(differences: &[Difference]) -> Vec<(Option<u16>, u64, u64)> {
        let port = |d: &Difference| d.key.flow.map(|flow| flow.source_port);
        differences.iter().map(|d| (port(d), d.grown.packets, d.total.packets)).collect()
    }

    #[test]
    fn only_what_has_grown() {
        let none = Snapshot::default();
        let one = snapshot(&[flow(7, 1, 5), flow(7, 2, 3), flow(7, 3, 0)], 0);
        let two = snapshot(&[flow(7, 1, 5), flow(7, 2, 10), flow(7, 4, 1)], 6);
        assert_eq!(grown(&one.since(&none)), [(Some(1), 5, 5), (Some(2), 3, 3)]);
        assert_eq!(grown(&two.since(&one)), [(None, 6, 6), (Some(2), 7, 10), (Some(4), 1, 1)]);
        assert_eq!(two.since(&two), []);
        assert_eq!(two.since(&one)[1].grown.bytes, Some(280));
        assert_eq!(two.since(&one)[0].grown.bytes, None);
    }

    #[test]
    fn a_flow_at_two_places_is_two() {
        let one = snapshot(&[flow(7, 1, 5), flow(8, 1, 2)], 0);
        assert_eq!(grown(&one.since(&Snapshot::default())), [(Some(1), 5, 5), (Some(1), 2, 2)]);
    }

    #[test]
    fn a_flow_at_a_place_that_is_not_known_yet_waits() {
        assert_eq!(snapshot(&[flow(9, 1, 5)], 0).since(&Snapshot::default()), []);
    }

    #[test]
    fn differences_add_up_to_the_last_snapshot() {
        let all =
            [snapshot(&[flow(7, 1, 1)], 0), snapshot(&[flow(7, 1, 4)], 2), snapshot(&[flow(7, 1, 9)], 2)];
        let mut before = Snapshot::default();
        let mut sum = 0;
        for now in all {
            sum += now.since(&before).iter().map(|d| d.grown.packets).sum::<u64>();
            before = now;
        }
        assert_eq!(sum, 11);
    }
}
