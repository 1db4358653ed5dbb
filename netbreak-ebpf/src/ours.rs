//! Which attempt a packet belongs to: asked of every packet at every stage, so nearly all must fail early.

use core::{marker::PhantomData, mem::MaybeUninit};

use netbreak_common::{FAMILY_V4, FAMILY_V6, LEG_REPLY, LEG_REQUEST, NO_ATTEMPT, ProbeKey, ProbeValue, wire};

use crate::{
    maps,
    packet::{ETH_P_IP, ETH_P_IPV6, Headers, ICMP, ICMP6, TCP, UDP},
    read::{Access, Kernel, load, offset, read, setting},
};

const RST: u8 = 0x04;

/// A packet of an attempt.
#[derive(Clone, Copy)]
pub struct Ours {
    pub attempt: u64,
    pub probe: u32,
    /// TCP: the sequence number.
    pub sequence: u32,
    pub leg: u8,
    /// TCP: the flags. ICMP: the type.
    pub flags: u8,
}

/// The attempt that `skb` belongs to. Echoes and datagrams tell by their payload, whatever has become of their
/// addresses; of segments the ports and addresses are asked for.
#[inline(always)]
pub fn identify<A: Access>(skb: Kernel) -> Option<Ours> {
    let ether_type = u16::from_be(load::<_, A>(skb, offset!(skb_protocol)));
    if ether_type != ETH_P_IP && ether_type != ETH_P_IPV6 {
        return None;
    }
    let head = load::<Kernel, A>(skb, offset!(skb_head));
    let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
    let at = head.wrapping_add(network as usize);
    let mut copy = MaybeUninit::uninit();
    if !A::BYTES && !read(at, &mut copy) {
        return None;
    }
    let headers = Headers::<A> { at, copy: &copy, access: PhantomData };
    let (protocol, length) = if ether_type == ETH_P_IPV6 {
        (headers.get::<u8>(6), 40)
    } else {
        // Fragment offset, hop limit and protocol in one load. Only a first fragment has a transport header.
        let [high, low, _, protocol] = headers.get::<u32>(6).to_ne_bytes();
        if u16::from_be_bytes([high, low]) & 0x1fff != 0 {
            return None;
        }
        (protocol, u32::from(headers.get::<u8>(0) & 0xf) * 4)
    };
    let linear = || load::<u32, A>(skb, offset!(skb_tail)).wrapping_sub(network + length) as i32;
    match protocol {
        ICMP | ICMP6 | UDP => message(&headers, protocol, length, linear),
        TCP => segment(&headers, ether_type, length, linear),
        _ => None,
    }
}

/// An echo or a datagram: eight bytes of header, then our payload.
#[inline(always)]
fn message<A: Access>(
    headers: &Headers<A>,
    protocol: u8,
    length: u32,
    linear: impl FnOnce() -> i32,
) -> Option<Ours> {
    const MAGIC: [u32; 2] = {
        let [a, b, c, d, e, f, g, h] = wire::MAGIC;
        [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
    };
    let payload = |at: usize| headers.after::<[u32; 2]>(length, 8 + at);
    // Its first half alone tells nearly all others apart.
    if headers.after::<u32>(length, 8) != MAGIC[0] || payload(0) != MAGIC {
        return None;
    }
    if payload(wire::RUN_ID_OFFSET) != setting!(run_id) || linear() < 8 + wire::HEADER_LEN as i32 {
        return None;
    }
    let flags = if protocol == UDP { 0 } else { headers.after::<u8>(length, 0) };
    let leg = match (protocol, flags) {
        (UDP, _) => headers.after::<u8>(length, 8 + wire::LEG_OFFSET),
        (_, 8 | 128) => LEG_REQUEST,
        (_, 0 | 129) => LEG_REPLY,
        _ => return None,
    };
    let [high, low] = payload(wire::SEQ_OFFSET).map(u32::from_be);
    let [probe, _] = payload(wire::PROBE_OFFSET).map(u32::from_be);
    Some(Ours { attempt: u64::from(high) << 32 | u64::from(low), probe, sequence: 0, leg: leg & 1, flags })
}

/// A segment of a connection.
#[inline(always)]
fn segment<A: Access>(
    headers: &Headers<A>,
    ether_type: u16,
    length: u32,
    linear: impl FnOnce() -> i32,
) -> Option<Ours> {
    let [source_port, destination_port] = headers.after::<[u16; 2]>(length, 0).map(u16::from_be);
    let from_us = is_probe_port(source_port);
    if !from_us && !is_probe_port(destination_port) {
        return None;
    }
    let (family, source, destination) = if ether_type == ETH_P_IPV6 {
        (FAMILY_V6, headers.get::<[u32; 4]>(8), headers.get::<[u32; 4]>(24))
    } else {
        (FAMILY_V4, [headers.get(12), 0, 0, 0], [headers.get(16), 0, 0, 0])
    };
    let request = from_us.then(|| probe(family, TCP, &destination, destination_port, source_port)).flatten();
    let (value, leg) = match request {
        Some(value) => (value, LEG_REQUEST),
        None => (probe(family, TCP, &source, source_port, destination_port)?, LEG_REPLY),
    };
    if value.attempt == NO_ATTEMPT || linear() < 20 {
        return None;
    }
    let flags = headers.after::<u8>(length, 13);
    // A RST on its way to the target is no attempt: it ends one, or a firewall made it.
    if leg == LEG_REQUEST && flags & RST != 0 {
        return None;
    }
    Some(Ours {
        attempt: value.attempt,
        probe: value.probe,
        sequence: u32::from_be(headers.after::<u32>(length, 4)),
        leg,
        flags,
    })
}

/// The cheapest test that a port fails that is nobody's.
#[inline(always)]
pub fn is_probe_port(port: u16) -> bool {
    match maps::PROBE_PORTS.get(u32::from(port) / 64) {
        Some(word) => word >> (port % 64) & 1 == 1,
        None => false,
    }
}

/// The probe whose flow this is.
#[inline(always)]
pub fn probe(
    family: u8,
    protocol: u8,
    remote: &[u32; 4],
    remote_port: u16,
    local_port: u16,
) -> Option<ProbeValue> {
    // SAFETY: the same 16 bytes.
    let remote = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(*remote) };
    let key = ProbeKey { remote, remote_port, local_port, protocol, family, pad: [0; 2] };
    // SAFETY: a flow's value is written once, before its first packet leaves; a new flow may get its element while we
    // read, and then this packet is counted for that one (the map frees elements at once).
    unsafe { maps::PROBES.get(key) }.copied()
}
