//! Counting: a *place* (where and why) has exact totals; a *flow at a place* has a slot of counters while slots last.

/// Places that can be told apart; the rest share place 0. Part of the kernel memory, so part of what `doctor` computes.
pub const MAX_PLACES: u32 = 2048;

/// Numbers that one run of a `fill_*` program enters into its queue.
pub const FILLED_AT_ONCE: u32 = 64;

/// Entries of each CPU's cache of places. A power of two.
pub const PLACE_CACHE: u32 = 64;

/// Default number of flows that have counters of their own.
pub const DEFAULT_FLOWS: u32 = 16_384;

/// Address family as in [`PlaceKey::family`]: no IP header.
pub const FAMILY_NONE: u8 = 0;
/// Address family: IPv4.
pub const FAMILY_V4: u8 = 4;
/// Address family: IPv6.
pub const FAMILY_V6: u8 = 6;

/// Where and why packets were counted.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PlaceKey {
    /// Address of the kernel code that freed the packet; 0 for other sensors than `DROP`.
    pub location: u64,
    /// See [`crate::sensor`].
    pub reason: u32,
    /// Index of the packet's device; 0 = it had none.
    pub ifindex: u32,
    /// Inode number of the packet's network namespace; 0 = it had none.
    pub netns: u32,
    /// One of [`crate::sensor`].
    pub sensor: u8,
    /// One of `FAMILY_*`.
    pub family: u8,
    /// IP protocol number; 0 without an IP header.
    pub protocol: u8,
    /// Always 0.
    pub pad: u8,
}

/// What is known of a place from the packet that was its first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// When the place was first seen, CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The kernel's tick then (`jiffies`, its low half): what [`Counters::first`] and [`Counters::last`] count from.
    pub tick: u32,
    /// Its index in the table of [`PlaceTotal`]s, from 1.
    pub id: u32,
    /// The device's name when the place was first seen, NUL-padded.
    pub device: [u8; 16],
}

/// One entry of a CPU's cache of places: direct-mapped, so that the usual packet needs no hash lookup for its place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CachedPlace {
    /// The cached key.
    pub key: PlaceKey,
    /// Its [`Place::id`]; 0 = this entry is empty.
    pub id: u32,
    /// Always 0.
    pub pad: u32,
}

/// Exact totals of a place on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlaceTotal {
    /// All segments counted at this place.
    pub packets: u64,
    /// The same as `sk_buff`s: a GSO packet is one. What the kernel's own IP and UDP counters count.
    pub skbs: u64,
    /// Those of them whose flow found no free slot. Invariant: Σ flows of the place + overflow = packets.
    pub overflow: u64,
}

/// A flow at a place, IPv4 or no IP header. 16 bytes: the map's cache misses are what counting costs.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FlowKey4 {
    /// Source address; zero without an IP header.
    pub source: [u8; 4],
    /// Destination address; zero without an IP header.
    pub destination: [u8; 4],
    /// Source port, ICMP identifier, or Ethernet type without an IP header in the upper half, destination port in the
    /// lower. One word, because the kernel hashes words.
    pub ports: u32,
    /// [`Place::id`].
    pub place: u32,
}

/// A flow at a place, IPv6.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FlowKey6 {
    /// Source address.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// As [`FlowKey4::ports`].
    pub ports: u32,
    /// [`Place::id`].
    pub place: u32,
}

/// Counters of a flow at a place on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Segments: a GSO packet counts `gso_segs`.
    pub packets: u64,
    /// Bytes from the network header on.
    pub bytes: u64,
    /// The kernel's tick (`jiffies`, its low half) at the first packet. [`Place`] ties ticks to the clock.
    pub first: u32,
    /// And at the last packet.
    pub last: u32,
}

/// Slots of counters that are one value of their map: the kernel finds a value by way of a pointer, and fewer pointers
/// stay in its cache.
pub const CHUNK: u32 = 64;

/// The value of the map of counters: those of slot `s` are at `s % CHUNK` of value `s / CHUNK`.
pub type Chunk = [Counters; CHUNK as usize];

/// What was lost while counting, on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Events that found the ring buffer full.
    pub ring_full: u64,
    /// Packets whose headers could not be read.
    pub unreadable: u64,
}

const _: () = {
    assert!(size_of::<PlaceKey>() == 24);
    assert!(size_of::<Place>() == 32);
    assert!(size_of::<CachedPlace>() == 32);
    assert!(size_of::<PlaceTotal>() == 24);
    assert!(size_of::<FlowKey4>() == 16);
    assert!(size_of::<FlowKey6>() == 40);
    assert!(size_of::<Counters>() == 24);
    assert!(size_of::<Losses>() == 16);
};

#[cfg(feature = "user")]
mod pod {
    use super::*;

    // SAFETY: `repr(C)`, only integers and byte arrays, no padding but explicit: every bit pattern is valid.
    unsafe impl aya::Pod for PlaceKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Place {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PlaceTotal {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FlowKey4 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FlowKey6 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Counters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Losses {}
}
