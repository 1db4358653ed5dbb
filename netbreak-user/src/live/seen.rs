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

/// Everything that has grown since the start and passes the filter.
pub struct Seen {
    filter: Filter,
    start: Nanos,
    last: Nanos,
    before: Snapshot,
    rows: BTreeMap<Key, Row>,
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
        let (before, rows, sums) = (Snapshot::default(), BTreeMap::new(), Sums::default());
        Seen { filter, start, last: start, before, rows, sums, at_s: 0.0, interval_s: 1.0 }
    }

    /// Looks at what was counted until `now`.
    pub fn look(&mut self, tables: &Tables, now: Nanos, names: &mut Names, reasons: &Reasons) {
        let snapshot = Snapshot::of(tables);
        let grown = snapshot.since(&self.before);
        let places: HashMap<u32, _> = tables.places.iter().map(|place| (place.id, place)).collect();
        names.learn(grown.iter().filter_map(|one| places.get(&one.key.place)).map(|place| place.key.netns));
        for row in self.rows.values_mut() {
            (row.packets, row.bytes) = (0, row.bytes.map(|_| 0));
        }
        for one in grown {
            let row = places.get(&one.key.place).and_then(|place| names.row(reasons, place, &one));
            if let Some(row) = row.filter(|row| self.filter.passes(row)) {
                self.sums.add(&row);
                self.rows.insert(one.key, row);
            }
        }
        self.before = snapshot;
        self.sums.map_full = tables.places.iter().map(|place| place.overflow).sum();
        self.sums.unreadable = tables.losses.unreadable;
        self.at_s = seconds_since(self.start, now);
        self.interval_s = now.saturating_sub(self.last) as f64 / SECOND as f64;
        self.last = now;
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Those that have grown at the last look.
    pub fn grown(&self) -> impl Iterator<Item = &Row> {
        self.rows().filter(|row| row.packets > 0)
    }
}
