//! Every map. Sizes are the defaults; the loader overrides those of the flow maps and their slots.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, Queue, RingBuf},
};
use netbreak_common::{
    ALIAS_PORTS, Asked, CHUNK, CachedPlace, Chunk, Closed, DEFAULT_FLOWS, FlowKey4, FlowKey6, Losses,
    MAX_ALIASES, MAX_PLACES, MAX_PROBE_FLOWS, PLACE_CACHE, PORT_WORDS, Passage, Place, PlaceKey, PlaceTotal,
    ProbeKey, ProbeValue, RING_BYTES, Routing, Upcall,
};

/// Known places.
#[map]
pub static PLACES: HashMap<PlaceKey, Place> = HashMap::with_max_entries(MAX_PLACES, 0);

/// Place ids that are not in use; userspace fills it. A queue, because kernels before 5.12 have no atomic that
/// returns the old value.
#[map]
pub static PLACE_IDS: Queue<u32> = Queue::with_max_entries(MAX_PLACES, 0);

/// Each CPU's cache of `PLACES`.
#[map]
pub static PLACE_CACHES: PerCpuArray<CachedPlace> = PerCpuArray::with_max_entries(PLACE_CACHE, 0);

/// The exact table, by place id.
#[map]
pub static TOTALS: PerCpuArray<PlaceTotal> = PerCpuArray::with_max_entries(MAX_PLACES, 0);

/// Flows (IPv4, or without IP header) to their slot in `COUNTERS`.
#[map]
pub static FLOWS4: HashMap<FlowKey4, u32> = HashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// Flows (IPv6) to their slot in `COUNTERS`.
#[map]
pub static FLOWS6: HashMap<FlowKey6, u32> = HashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// Slots that are not in use; userspace fills it.
#[map]
pub static SLOTS: Queue<u32> = Queue::with_max_entries(DEFAULT_FLOWS, 0);

/// Counters by slot, in chunks. The two flow maps share them, so that only this map costs memory for each CPU.
#[map]
pub static COUNTERS: PerCpuArray<Chunk> = PerCpuArray::with_max_entries(DEFAULT_FLOWS / CHUNK, 0);

/// What was lost.
#[map]
pub static LOSSES: PerCpuArray<Losses> = PerCpuArray::with_max_entries(1, 0);

/// Connections of probes.
#[map]
pub static PROBES: HashMap<ProbeKey, ProbeValue> =
    HashMap::with_max_entries(MAX_PROBE_FLOWS, BPF_F_NO_PREALLOC);

/// Local ports of `PROBES`, a bit each.
#[map]
pub static PROBE_PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);

/// What connections of probes are called where their addresses or ports have been translated, and what they are called
/// in `PROBES`. One that is gone from there means nothing here any more.
#[map]
pub static ALIASES: LruHashMap<ProbeKey, ProbeKey> = LruHashMap::with_max_entries(MAX_ALIASES, 0);

/// Local ports of `ALIASES`, a byte each.
#[map]
pub static ALIASED: Array<[u8; ALIAS_PORTS]> = Array::with_max_entries(1, 0);

/// Where each attempt's packets were: probe by probe, attempt by attempt, leg by leg.
#[map]
pub static LEDGER: Array<Passage> = Array::with_max_entries(2, 0);

/// What each CPU did last for packets of ours.
#[map]
pub static ROUTING: PerCpuArray<Routing> = PerCpuArray::with_max_entries(1, 0);

/// The latest datagram of ours from each sender.
#[map]
pub static SENDERS: Array<Asked> = Array::with_max_entries(netbreak_common::SENDERS, 0);

/// The upcall that each CPU makes.
#[map]
pub static UPCALL: PerCpuArray<Upcall> = PerCpuArray::with_max_entries(1, 0);

/// The latest connections that were closed.
#[map]
pub static CLOSED: Array<Closed> = Array::with_max_entries(netbreak_common::CLOSED, 0);

/// Events of probe flows.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
