//! Events, for packets of probe flows only.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_stack, bpf_ktime_get_ns},
};
use netbreak_common::{Event, EventWithHeaders, HEADER_BYTES, PlaceKey, Stack, sensor};

use crate::{
    account::{device_name, lose},
    connection::{Segment, is_known_port, of_socket},
    maps,
    ours::Ours,
    packet::{MOST_LINEAR, Packet},
    read::{Kernel, Probed, forget_in_place, load, offset, read, setting},
};

/// Sends an event if something that happened to a socket concerns an attempt. `packet` has the flow of what it sends.
/// `segment`: sequence number and flags of the segment that it is about; without one only the flags are known.
#[inline(always)]
pub fn report_socket<C: EbpfContext>(
    ctx: &C,
    place: &PlaceKey,
    packet: &Packet,
    segment: impl FnOnce() -> (Option<u32>, u8),
) {
    if !is_known_port(packet.source_port) && !is_known_port(packet.destination_port) {
        return;
    }
    let (sequence, flags) = segment();
    let segment = Segment {
        source: packet.source,
        destination: packet.destination,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        sequence: sequence.unwrap_or(0),
        end: sequence.unwrap_or(0),
        acknowledged: 0,
        family: packet.family,
        flags,
    };
    let (mut ours, mut segment) = (MaybeUninit::uninit(), MaybeUninit::new(segment));
    forget_in_place(&mut segment);
    // SAFETY: made above.
    if of_socket(unsafe { segment.assume_init_ref() }, sequence.is_some(), ours.as_mut_ptr()) {
        // SAFETY: it was written.
        report(ctx, place, packet, core::ptr::null(), unsafe { ours.assume_init_ref() });
    }
}

/// Sends an event. `skb` is null when something happened to a socket. Not inlined: what hardly any packet needs is not to
/// cost others registers and stack.
#[inline(never)]
pub fn report<C: EbpfContext>(ctx: &C, place: &PlaceKey, packet: &Packet, skb: Kernel, ours: &Ours) {
    if setting!(headers) == 1 {
        let Some(mut entry) = maps::EVENTS.reserve::<EventWithHeaders<MaybeUninit<Stack>>>(0) else {
            return lose(|losses| losses.ring_full += 1);
        };
        let entry_at = entry.as_mut_ptr();
        // SAFETY: memory of this size, of which all is written.
        unsafe {
            write(ctx, place, packet, skb, ours, &raw mut (*entry_at).event);
            (&raw mut (*entry_at).pad).write(0);
            (&raw mut (*entry_at).length).write(headers(skb, &mut *(&raw mut (*entry_at).headers).cast()));
        }
        entry.submit(0);
    } else {
        let Some(mut entry) = maps::EVENTS.reserve::<Event<MaybeUninit<Stack>>>(0) else {
            return lose(|losses| losses.ring_full += 1);
        };
        // SAFETY: memory of this size.
        unsafe { write(ctx, place, packet, skb, ours, entry.as_mut_ptr()) };
        entry.submit(0);
    }
}

/// Copies the bytes from a packet's network header on, and returns how many of them are the packet's: what lies behind
/// its linear part is not.
#[inline(always)]
fn headers(skb: Kernel, into: &mut MaybeUninit<[u8; HEADER_BYTES]>) -> u32 {
    let head = load::<Kernel, Probed>(skb, offset!(skb_head));
    let network = u32::from(load::<u16, Probed>(skb, offset!(skb_network_header)));
    let linear = load::<u32, Probed>(skb, offset!(skb_tail)).wrapping_sub(network);
    let is_read = read(head.wrapping_add(network as usize), into);
    // A length below zero is a huge one here.
    match linear {
        _ if !is_read => 0,
        0..=MOST_LINEAR => linear.min(HEADER_BYTES as u32),
        _ => 0,
    }
}

/// # Safety
/// `event` is valid for writes.
#[inline(always)]
unsafe fn write<C: EbpfContext>(
    ctx: &C,
    place: &PlaceKey,
    packet: &Packet,
    skb: Kernel,
    ours: &Ours,
    event: *mut Event<MaybeUninit<Stack>>,
) {
    // SAFETY: the caller's; the transmutes keep size. The helper fills all of the stack, with zeros from the last caller
    // on (`__bpf_get_stack`, kernel/bpf/stackmap.c).
    unsafe {
        event.write(Event {
            time: bpf_ktime_get_ns(),
            stack: MaybeUninit::uninit(),
            location: place.location,
            attempt: ours.attempt,
            reason: place.reason,
            ifindex: place.ifindex,
            netns: place.netns,
            bytes: packet.bytes,
            source: core::mem::transmute::<[u32; 4], [u8; 16]>(packet.source),
            destination: core::mem::transmute::<[u32; 4], [u8; 16]>(packet.destination),
            device: device_name(skb),
            source_port: packet.source_port,
            destination_port: packet.destination_port,
            segments: packet.segments,
            probe: ours.probe,
            sequence: ours.sequence,
            sensor: place.sensor,
            family: packet.family,
            protocol: packet.protocol,
            leg: ours.leg,
            flags: ours.flags,
            attempt_known: ours.is_known.into(),
            state: packet.state,
            pad: 0,
        });
        let stack = &raw mut (*event).stack;
        // To unwind the stack takes longer than all the rest: only what freed a packet needs to be known by its callers.
        if place.sensor == sensor::DROP {
            bpf_get_stack(ctx.as_ptr(), stack.cast(), size_of_val(&*stack) as u32, 0);
        } else {
            stack.write_bytes(0, 1);
        }
    }
}
