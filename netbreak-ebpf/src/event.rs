//! Events, for packets of probe flows only.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_stack, bpf_ktime_get_ns},
};
use netbreak_common::{Event, LEG_REPLY, LEG_REQUEST, PlaceKey, Stack, wire};

use crate::{
    account::{device_name, lose},
    maps,
    ours::{is_probe_port, probe},
    packet::{ICMP, ICMP6, Packet, TCP, UDP},
    read::{Kernel, Probed, forget, load, offset, read},
};

/// Which attempt a packet belongs to, as far as its headers tell.
#[derive(Clone, Copy)]
pub struct Identity {
    pub sequence: u64,
    pub run_id: u64,
    pub flags: u8,
    pub known: bool,
}

/// Sends an event if `packet` belongs to a probe. `skb` is null when something happened to a socket. `identity` is asked
/// only for a probe's packet.
#[inline(always)]
pub fn report<C: EbpfContext>(
    ctx: &C,
    place: &PlaceKey,
    packet: &Packet,
    skb: Kernel,
    identity: impl FnOnce(Kernel, &Packet) -> Identity,
) {
    let Some(leg) = probe_leg(packet) else { return };
    let leg = forget(&leg);
    let identity = forget(&identity(skb, packet));
    let Some(mut entry) = maps::EVENTS.reserve::<Event<MaybeUninit<Stack>>>(0) else {
        lose(|losses| losses.ring_full += 1);
        return;
    };
    // SAFETY: the transmutes keep size. The helper fills all of the stack, with zeros from the last caller on
    // (`__bpf_get_stack`, kernel/bpf/stackmap.c).
    unsafe {
        let event = entry.as_mut_ptr();
        event.write(Event {
            time: bpf_ktime_get_ns(),
            stack: MaybeUninit::uninit(),
            location: place.location,
            sequence: identity.sequence,
            run_id: identity.run_id,
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
            sensor: place.sensor,
            family: packet.family,
            protocol: packet.protocol,
            leg,
            flags: identity.flags,
            sequence_known: identity.known.into(),
            pad: [0; 2],
        });
        let stack = &raw mut (*event).stack;
        bpf_get_stack(ctx.as_ptr(), stack.cast(), size_of_val(&*stack) as u32, 0);
    }
    entry.submit(0);
}

/// The leg on which a packet of a probe is; `None` when it is nobody's.
#[inline(always)]
fn probe_leg(packet: &Packet) -> Option<u8> {
    if packet.protocol == ICMP || packet.protocol == ICMP6 {
        if !packet.is_echo() || !is_probe_port(packet.source_port) {
            return None;
        }
        let (remote, leg) = if packet.is_echo_request() {
            (&packet.destination, LEG_REQUEST)
        } else {
            (&packet.source, LEG_REPLY)
        };
        return is_ours(packet, remote, 0, packet.source_port).then_some(leg);
    }
    let (source, destination) = (packet.source_port, packet.destination_port);
    if is_probe_port(source) && is_ours(packet, &packet.destination, destination, source) {
        return Some(LEG_REQUEST);
    }
    if is_probe_port(destination) && is_ours(packet, &packet.source, source, destination) {
        return Some(LEG_REPLY);
    }
    None
}

#[inline(always)]
fn is_ours(packet: &Packet, remote: &[u32; 4], remote_port: u16, local_port: u16) -> bool {
    probe(packet.family, packet.protocol, remote, remote_port, local_port).is_some()
}

/// The transport header and the beginning of our payload behind it.
const IDENTITY: usize = 8 + wire::RUN_ID_OFFSET + 8;

/// The attempt as the packet's transport header and payload tell it.
#[inline(always)]
pub fn identity_of_packet(skb: Kernel, packet: &Packet) -> Identity {
    let unknown = Identity::of_flags(packet.icmp_type);
    let mut buffer = MaybeUninit::<[u8; IDENTITY]>::uninit();
    let head: Kernel = load::<_, Probed>(skb, offset!(skb_head));
    if packet.transport == 0 || !read(head.wrapping_add(packet.transport as usize), &mut buffer) {
        return unknown;
    }
    // SAFETY: the helper filled it.
    let bytes = unsafe { buffer.assume_init_ref() };
    if packet.protocol == TCP && packet.linear >= 14 {
        let sequence = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]).into();
        return Identity { sequence, run_id: 0, flags: bytes[13], known: true };
    }
    // An echo and a datagram have eight bytes of header each, then the payload.
    let ours = matches!(packet.protocol, ICMP | ICMP6 | UDP) && packet.linear as usize >= IDENTITY;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 + at..][..8]);
        u64::from_be_bytes(word)
    };
    if !ours || word(0) != u64::from_be_bytes(wire::MAGIC) {
        return unknown;
    }
    Identity {
        sequence: word(wire::SEQ_OFFSET),
        run_id: word(wire::RUN_ID_OFFSET),
        flags: packet.icmp_type,
        known: true,
    }
}

impl Identity {
    /// Of something whose sequence is not known.
    #[inline(always)]
    pub fn of_flags(flags: u8) -> Self {
        Self { sequence: 0, run_id: 0, flags, known: false }
    }
}
