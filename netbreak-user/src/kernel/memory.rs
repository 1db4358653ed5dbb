//! Kernel memory of the maps: what a size of the flow table costs on a machine with so many CPUs.
//!
//! The sums are the kernel's own (`map_mem_usage` of each map type, 6.4 and later, shown as `memlock` in
//! /proc/PID/fdinfo). Not in them, there nor here: the few hundred bytes of each map's own struct, the programs, and
//! what the per-CPU allocator notes for memory cgroups (`pcpuobj_ext`, mm/percpu-internal.h).

use netbreak_common::{
    ALIAS_PORTS, Asked, CHUNK, CLOSED, CachedPlace, Chunk, Closed, FlowKey4, FlowKey6, Losses, MAX_ALIASES,
    MAX_PLACES, MAX_PROBE_FLOWS, PLACE_CACHE, PORT_WORDS, Passage, Place, PlaceKey, PlaceTotal, ProbeKey,
    ProbeValue, RING_BYTES, Routing, SENDERS, Settings, Upcall,
};

use super::registry::Room;

/// A map's shape, as far as its memory goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    /// Its name in the eBPF object.
    pub name: &'static str,
    /// How the kernel allocates it.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key: u64,
    /// Bytes of a value.
    pub value: u64,
    /// Entries at most.
    pub entries: u64,
}

/// How the kernel allocates a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// A hash table with all its elements.
    Hash,
    /// A hash table whose elements are allocated one at a time; its memory here is that of the empty table.
    HashOnDemand,
    /// A hash table with all its elements, in which new ones take the place of the oldest.
    HashLru,
    /// An array.
    Array,
    /// An array with a value for each CPU.
    PerCpuArray,
    /// A queue.
    Queue,
    /// A ring buffer.
    Ring,
}

/// Every map for a table of `flows` flows and a ledger of this size.
pub fn maps(flows: u32, room: Room) -> Vec<Map> {
    use MapKind::{Array, Hash, HashLru, HashOnDemand, PerCpuArray, Queue, Ring};
    const ID: usize = size_of::<u32>();
    [
        ("PLACES", Hash, size_of::<PlaceKey>(), size_of::<Place>(), MAX_PLACES),
        ("PLACE_IDS", Queue, 0, ID, MAX_PLACES),
        ("PLACE_CACHES", PerCpuArray, ID, size_of::<CachedPlace>(), PLACE_CACHE),
        ("TOTALS", PerCpuArray, ID, size_of::<PlaceTotal>(), MAX_PLACES),
        ("FLOWS4", Hash, size_of::<FlowKey4>(), ID, flows),
        ("FLOWS6", Hash, size_of::<FlowKey6>(), ID, flows),
        ("SLOTS", Queue, 0, ID, flows),
        ("COUNTERS", PerCpuArray, ID, size_of::<Chunk>(), flows.div_ceil(CHUNK)),
        ("LOSSES", PerCpuArray, ID, size_of::<Losses>(), 1),
        ("PROBES", HashOnDemand, size_of::<ProbeKey>(), size_of::<ProbeValue>(), MAX_PROBE_FLOWS),
        ("ALIASES", HashLru, size_of::<ProbeKey>(), size_of::<ProbeKey>(), MAX_ALIASES),
        ("ALIASED", Array, ID, ALIAS_PORTS, 1),
        ("PROBE_PORTS", Array, ID, size_of::<u64>(), PORT_WORDS),
        ("LEDGER", Array, ID, size_of::<Passage>(), room.entries()),
        ("ROUTING", PerCpuArray, ID, size_of::<Routing>(), 1),
        ("SENDERS", Array, ID, size_of::<Asked>(), SENDERS),
        ("UPCALL", PerCpuArray, ID, size_of::<Upcall>(), 1),
        ("CLOSED", Array, ID, size_of::<Closed>(), CLOSED),
        ("EVENTS", Ring, 0, 0, RING_BYTES),
        (".rodata", Array, ID, size_of::<Settings>(), 1),
    ]
    .map(|(name, kind, key, value, entries)| Map {
        name,
        kind,
        key: key as u64,
        value: value as u64,
        entries: entries.into(),
    })
    .into()
}

/// Bytes of all maps with `flows` flows on `cpus` possible CPUs, before any probe flow is known and any attempt is
/// followed.
pub fn total(flows: u32, cpus: u32) -> u64 {
    maps(flows, Room::default()).iter().map(|map| map.bytes(cpus)).sum()
}

/// Bytes that `probe_flows` probe flows (at most [`MAX_PROBE_FLOWS`]) add: each an element of its own, in the
/// allocator's size class (kernel/bpf/memalloc.c, `sizes`: 96 bytes hold the 80 of an element and its list node).
pub fn of_probe_flows(probe_flows: u32) -> u64 {
    u64::from(probe_flows.min(MAX_PROBE_FLOWS)) * 96
}

/// `struct htab_elem` before the key (kernel/bpf/hashtab.c): list node, pointers of the LRU list, hash.
const HASH_ELEMENT: u64 = 48;
/// `struct bucket`: list head and lock.
const HASH_BUCKET: u64 = 16;
/// A pointer.
const POINTER: u64 = 8;
/// A page on x86-64, and on arm64 as distributions build it.
const PAGE: u64 = 4096;
/// Pages of a ring buffer beside its data (kernel/bpf/ringbuf.c, `RINGBUF_NR_META_PAGES`).
const RING_META_PAGES: u64 = 3;

impl Map {
    /// Its memory in bytes on a machine with `cpus` possible CPUs.
    pub fn bytes(&self, cpus: u32) -> u64 {
        let cpus = u64::from(cpus);
        let value = self.value.next_multiple_of(8);
        let element = HASH_ELEMENT + self.key.next_multiple_of(8) + value;
        let buckets = || HASH_BUCKET * self.entries.next_power_of_two();
        match self.kind {
            // Each CPU has a spare element, for updates in place, and a pointer to it.
            MapKind::Hash => buckets() + element * (self.entries + cpus) + POINTER * cpus,
            MapKind::HashLru => buckets() + element * self.entries,
            MapKind::HashOnDemand => buckets(),
            MapKind::Array => value * self.entries,
            MapKind::PerCpuArray => (POINTER + value * cpus) * self.entries,
            // One entry stays free to tell full from empty. Values are not rounded.
            MapKind::Queue => self.value * (self.entries + 1),
            MapKind::Ring => {
                let pages = self.entries / PAGE;
                // The data's pages are mapped twice in a row.
                (RING_META_PAGES + pages) * PAGE + (RING_META_PAGES + 2 * pages) * POINTER
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use netbreak_common::DEFAULT_FLOWS;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_default_stays_under_64_mib_on_128_cpus() {
        let bytes = total(DEFAULT_FLOWS, 128);
        assert!(bytes < 64 * MIB, "{} MiB", bytes as f64 / MIB as f64);
    }

    #[test]
    fn counters_are_what_grows_with_cpus() {
        let counters = |cpus| {
            maps(16_384, Room::default()).iter().find(|map| map.name == "COUNTERS").map(|map| map.bytes(cpus))
        };
        assert_eq!(counters(2), Some(16_384 * 2 * 24 + 256 * 8));
        assert_eq!(counters(128), Some(16_384 * 128 * 24 + 256 * 8));
        assert!(total(16_384, 128) - total(16_384, 2) < 16_384 * 24 * 126 * 6 / 5);
    }

    /// As the commit that made the kernel tell (304849a27b34, "bpf: hashtab memory usage") shows them.
    #[test]
    fn known_examples_of_the_kernel() {
        let hash = Map { name: "", kind: MapKind::Hash, key: 4, value: 4, entries: 1 << 20 };
        assert!(hash.bytes(8).abs_diff(83_889_408) < 8192, "{}", hash.bytes(8));
        let ring = Map { name: "", kind: MapKind::Ring, key: 0, value: 0, entries: 65_536 };
        assert!(ring.bytes(8).abs_diff(78_424) < 1024, "{}", ring.bytes(8));
    }
}
