//! What has been seen so far.

use std::collections::{BTreeMap, HashMap};

use super::{
    difference::{Key, Snapshot},
    filter::Filter,
    lines::Sums,
    row::{Names, Row},
};
use crate::{
    clock::{Nanos, SECOND, seconds_since},
    kernel::{Reasons, Tables},
};

/// A row, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What has the counter.
    pub key: Key,
    /// What it says.
    pub row: Row,
    /// At which look it first had grown, in seconds after the start.
    pub first_s: f64,
    /// At which it last had.
    pub last_s: f64,
}

/// Everything that has grown since the start and passes the filter.
pub struct Seen {
    filter: Filter,
    start: Nanos,
    last: Nanos,
    before: Snapshot,
    entries: BTreeMap<Key, Entry>,
    /// Over the whole time.
    pub sums: Sums,
    /// From the start to the last look.
    pub at_s: f64,
    /// Between the last two looks.
    pub interval_s: f64,
}

impl Seen {
    /// Nothing yet.
    pub fn new(filter: Filter, start: Nanos) -> Self {
        let (before, entries, sums) = (Snapshot::default(), BTreeMap::new(), Sums::default());
        Seen { filter, start, last: start, before, entries, sums, at_s: 0.0, interval_s: 1.0 }
    }

    /// Looks at what was counted until `now`.
    pub fn look(&mut self, tables: &Tables, now: Nanos, names: &mut Names, reasons: &Reasons) {
        let snapshot = Snapshot::of(tables);
        let grown = snapshot.since(&self.before);
        let places: HashMap<u32, _> = tables.places.iter().map(|place| (place.id, place)).collect();
        names.learn(grown.iter().filter_map(|one| places.get(&one.key.place)).map(|place| place.key.netns));
        let at_s = seconds_since(self.start, now);
        for Entry { row, .. } in self.entries.values_mut() {
            (row.packets, row.bytes) = (0, row.bytes.map(|_| 0));
        }
        for one in grown {
            let row = places.get(&one.key.place).and_then(|place| names.row(reasons, place, &one));
            if let Some(row) = row.filter(|row| self.filter.passes(row)) {
                self.sums.add(&row);
                let first_s = self.entries.get(&one.key).map_or(at_s, |entry| entry.first_s);
                self.entries.insert(one.key, Entry { key: one.key, row, first_s, last_s: at_s });
            }
        }
        self.before = snapshot;
        self.sums.map_full = tables.places.iter().map(|place| place.overflow).sum();
        self.sums.unreadable = tables.losses.unreadable;
        self.at_s = at_s;
        self.interval_s = now.saturating_sub(self.last) as f64 / SECOND as f64;
        self.last = now;
    }

    /// Every row with what it is of.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.values().cloned().collect()
    }

    /// Those that have grown at the last look.
    pub fn grown(&self) -> impl Iterator<Item = &Row> {
        self.entries.values().map(|entry| &entry.row).filter(|row| row.packets > 0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::row::{What, tests::row};
    use super::*;

    /// Three rows: 1 has most bytes known, 2 the highest rate, 3 the most packets.
    pub fn entries() -> [Entry; 3] {
        let mut rows = [
            row(What::Drop, "10.0.1.2", 5001),
            row(What::Retransmit, "10.0.1.9", 80),
            row(What::Drop, "10.0.1.1", 53),
        ];
        (rows[1].packets, rows[1].total_packets, rows[1].reason, rows[1].symbol) = (7, 8, None, None);
        (rows[1].bytes, rows[1].total_bytes) = (None, None);
        (rows[2].packets, rows[2].total_packets) = (0, 900);
        (rows[2].device, rows[2].reason) = (None, Some("A".into()));
        let mut place = 0;
        rows.map(|row| {
            place += 1;
            Entry { key: Key { place, flow: None }, row, first_s: 3.0, last_s: 12.0 }
        })
    }

    /// Which of them.
    pub fn number(key: Key) -> u32 {
        key.place
    }
}
