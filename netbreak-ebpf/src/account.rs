//! Counting a packet: its place exactly, its flow while there are slots.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns},
};
use netbreak_common::{CHUNK, Counters, FAMILY_V6, FlowKey4, FlowKey6, Losses, PLACE_CACHE, Place, PlaceKey};

use crate::{
    drop::device,
    maps,
    packet::Packet,
    read::{Kernel, offset, read, setting},
};

/// Counts `packet` at `place`. `skb` is null when something happened to a socket.
#[inline(always)]
pub fn count(place: &PlaceKey, packet: &Packet, skb: Kernel) {
    if setting!(parse_only) == 1 {
        return;
    }
    let segments = u64::from(packet.segments);
    // Place 0 stands for all that found the table of places full.
    let id = place_id(place, skb).unwrap_or(0);
    let Some(total) = maps::TOTALS.get_ptr_mut(id) else { return };
    let slot = slot(packet, id);
    // SAFETY: this CPU's copy, and a program does not interrupt itself (`__bpf_trace_run`, 6.1 and later).
    unsafe {
        (*total).packets += segments;
        (*total).skbs += 1;
        if slot.is_none() {
            (*total).overflow += segments;
        }
    }
    let Some(slot) = slot else { return };
    let Some(chunk) = maps::COUNTERS.get_ptr_mut(slot / CHUNK) else { return };
    // SAFETY: an element of the chunk.
    let counters = unsafe { chunk.cast::<Counters>().add((slot % CHUNK) as usize) };
    let tick = tick();
    // SAFETY: as above.
    unsafe {
        if (*counters).packets == 0 {
            (*counters).first = tick;
        }
        (*counters).last = tick;
        (*counters).packets += segments;
        (*counters).bytes += u64::from(packet.bytes);
    }
}

/// As [`count`], for what happens rarely. Not inlined: whatever happened in it, the verifier goes on in one way.
#[inline(never)]
pub fn count_rarely(place: &PlaceKey, packet: &Packet, skb: u64) {
    count(place, packet, skb as Kernel);
}

/// Notes a loss on this CPU.
#[inline(always)]
pub fn lose(note: impl FnOnce(&mut Losses)) {
    if let Some(losses) = maps::LOSSES.get_ptr_mut(0) {
        // SAFETY: this CPU's copy.
        note(unsafe { &mut *losses });
    }
}

/// The kernel's tick: a load, where asking the clock would be a fifth of all that counting costs.
#[inline(always)]
fn tick() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_jiffies64() as u32 }
}

#[inline(always)]
fn place_id(key: &PlaceKey, skb: Kernel) -> Option<u32> {
    let hash = (key.location >> 2) as u32
        ^ key.ifindex.wrapping_mul(0x9e37)
        ^ key.netns
        ^ key.reason
        ^ u32::from(key.protocol) << 2;
    let cached = maps::PLACE_CACHES.get_ptr_mut(hash % PLACE_CACHE)?;
    // SAFETY: this CPU's copy. The id is read before the key and cleared before the key is written, so that on kernels
    // where a program can interrupt itself a half-written entry never passes for a whole one.
    unsafe {
        let id = (&raw const (*cached).id).read_volatile();
        if id != 0 && is_same(&raw const (*cached).key, key) {
            return Some(id);
        }
        let id = find_place(key, skb)?;
        (&raw mut (*cached).id).write_volatile(0);
        (&raw mut (*cached).key).write_volatile(*key);
        (&raw mut (*cached).id).write_volatile(id);
        Some(id)
    }
}

/// Field by field: the known key is in registers, and `==` would write it out and call `memcmp`.
///
/// # Safety
/// `cached` is valid for reads. Another program may be writing it.
#[inline(always)]
unsafe fn is_same(cached: *const PlaceKey, key: &PlaceKey) -> bool {
    // SAFETY: the caller's; the four bytes from `sensor` on are aligned to 4.
    unsafe {
        let kind = (&raw const (*cached).sensor).cast::<u32>().read_volatile();
        (&raw const (*cached).location).read_volatile() == key.location
            && (&raw const (*cached).reason).read_volatile() == key.reason
            && (&raw const (*cached).ifindex).read_volatile() == key.ifindex
            && (&raw const (*cached).netns).read_volatile() == key.netns
            && kind == u32::from_ne_bytes([key.sensor, key.family, key.protocol, key.pad])
    }
}

/// Not inlined: the rare way.
#[inline(never)]
fn find_place(key: &PlaceKey, skb: Kernel) -> Option<u32> {
    // SAFETY: places are never removed nor changed.
    if let Some(place) = unsafe { maps::PLACES.get(key) } {
        return Some(place.id);
    }
    let id = maps::PLACE_IDS.pop().ok().flatten()?;
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    let place = Place { time, tick: tick(), id, device: device_name(skb) };
    if maps::PLACES.insert(key, place, BPF_NOEXIST.into()).is_err() {
        // Another CPU was first, or the map's bucket is locked.
        let _ = maps::PLACE_IDS.push(id, 0);
    }
    // SAFETY: as above.
    unsafe { maps::PLACES.get(key) }.map(|place| place.id)
}

/// The name of a packet's device; empty without one.
#[inline(always)]
pub fn device_name(skb: Kernel) -> [u8; 16] {
    let mut name = core::mem::MaybeUninit::<[u8; 16]>::uninit();
    // Without a packet or a device the read fails, which leaves zeros.
    read(device(skb).wrapping_add(offset!(dev_name)), &mut name);
    // SAFETY: the helper filled it.
    unsafe { name.assume_init() }
}

/// The flow's slot; `None` when all are taken.
#[inline(always)]
fn slot(packet: &Packet, place: u32) -> Option<u32> {
    let ports = u32::from(packet.source_port) << 16 | u32::from(packet.destination_port);
    if packet.family == FAMILY_V6 {
        // SAFETY: the same 16 bytes.
        let (source, destination) = unsafe {
            (
                core::mem::transmute::<[u32; 4], [u8; 16]>(packet.source),
                core::mem::transmute::<[u32; 4], [u8; 16]>(packet.destination),
            )
        };
        let key = FlowKey6 { source, destination, ports, place };
        // SAFETY: flows are never removed.
        return match unsafe { maps::FLOWS6.get(key) } {
            Some(slot) => Some(*slot),
            None => new_slot(|slot| maps::FLOWS6.insert(key, slot, BPF_NOEXIST.into())).or_else(|| {
                // SAFETY: as above.
                unsafe { maps::FLOWS6.get(key) }.copied()
            }),
        };
    }
    let key = FlowKey4 {
        source: packet.source[0].to_ne_bytes(),
        destination: packet.destination[0].to_ne_bytes(),
        ports,
        place,
    };
    // SAFETY: flows are never removed.
    match unsafe { maps::FLOWS4.get(key) } {
        Some(slot) => Some(*slot),
        None => new_slot(|slot| maps::FLOWS4.insert(key, slot, BPF_NOEXIST.into())).or_else(|| {
            // Another CPU may have been first.
            // SAFETY: as above.
            unsafe { maps::FLOWS4.get(key) }.copied()
        }),
    }
}

/// Takes a free slot and enters it; gives it back if that fails.
#[inline(always)]
fn new_slot(enter: impl FnOnce(u32) -> Result<(), i32>) -> Option<u32> {
    let slot = maps::SLOTS.pop().ok().flatten()?;
    if enter(slot).is_ok() {
        return Some(slot);
    }
    let _ = maps::SLOTS.push(slot, 0);
    None
}
