//! Segments: which connection of a probe they belong to, by whatever name, and which attempt.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::BPF_ANY;
use netbreak_common::{
    ABSENT, ALIAS_PORTS, FAMILY_V6, LEG_REPLY, LEG_REQUEST, PORT_WORDS, ProbeKey, ProbeValue,
};

use crate::{
    drop::whereabouts,
    maps,
    ours::Ours,
    read::{Kernel, Probed, forget, forget_in_place, load, offset, read, setting, unbounded},
};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// How far a connection's numbers can be beyond what it was seen to send, some of whose segments may have been missed: the
/// rest of a request, and a stream's. To two connections with the same addresses and ports, in whatever namespace, the
/// kernel gives numbers that differ by one for each 64 ns between them (`secure_tcp_seq`, net/core/secure_seq.c), so the
/// first is 66 µs.
const MISSED: u32 = 1 << 10;
const MISSED_OF_STREAM: u32 = 1 << 16;
/// More than a packet has before a device cuts it into segments (GSO_MAX_SIZE, include/linux/netdevice.h).
const MOST_AT_ONCE: u32 = 1 << 20;
/// Of whom only the SYN was seen has sent only that: each attempt's is.
const ONLY_SYN: u32 = 1;

/// Nobody's port: in `ALIASED` it tells whether there are aliases at all, without going all over memory.
const ANY_PORT: u16 = 0;

/// What a segment's headers tell. Ports and numbers in host byte order, addresses as in `Packet`.
#[derive(Clone, Copy)]
pub struct Segment {
    pub source: [u32; 4],
    pub destination: [u32; 4],
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    /// The number behind its last byte; SYN and FIN have one too.
    pub end: u32,
    pub acknowledged: u32,
    pub family: u8,
    pub flags: u8,
}

impl Segment {
    fn key(&self, leg: u8) -> ProbeKey {
        let (remote, remote_port, local_port) = if leg == LEG_REQUEST {
            (self.destination, self.destination_port, self.source_port)
        } else {
            (self.source, self.source_port, self.destination_port)
        };
        key(self.family, remote, remote_port, local_port)
    }
}

/// By the addresses and ports that connection tracking remembers of the first packet. What the connection is called here is kept: where
/// the packet comes to next, nothing remembers.
#[inline(never)]
fn find_tracked(skb: u64, segment: &Segment, leg: &mut u8) -> *mut ProbeValue {
    let mut original = MaybeUninit::uninit();
    if !tracked(skb as Kernel, segment.family, leg, &mut original) {
        return core::ptr::null_mut();
    }
    // Many ways lead here.
    forget_in_place(&mut original);
    // SAFETY: it was written.
    let original = unsafe { original.assume_init_ref() };
    let Some(value) = maps::PROBES.get_ptr_mut(original) else { return core::ptr::null_mut() };
    let mut alias = MaybeUninit::new(segment.key(forget(leg)));
    forget_in_place(&mut alias);
    // SAFETY: made above.
    let alias = unsafe { alias.assume_init_ref() };
    if maps::ALIASES.insert(alias, original, BPF_ANY.into()).is_ok()
        && let Some(ports) = maps::ALIASED.get_ptr_mut(0)
    {
        let ports = ports.cast::<u8>();
        // SAFETY: within the array; single bytes.
        unsafe {
            ports.add(unbounded(alias.local_port.into()) as usize % ALIAS_PORTS).write_volatile(1);
            ports.add(usize::from(ANY_PORT)).write_volatile(1);
        }
    }
    value
}

/// The attempt, of a connection; false where it cannot be of that connection. `is_numbered`: are its numbers those of a
/// segment?
#[inline(never)]
fn attempt(value: &ProbeValue, leg: u8, segment: &Segment, is_numbered: bool, into: *mut Ours) -> bool {
    // A RST tells no number when it answers a segment that had none to acknowledge.
    let is_numbered = is_numbered && (leg == LEG_REQUEST || segment.flags & ACK != 0);
    let is_syn = segment.flags & SYN != 0;
    let (mut attempt, mut is_known) = (value.attempt, value.piece == 0 || is_syn);
    if is_numbered && value.is_open != 0 {
        let number = if leg == LEG_REQUEST { segment.sequence } else { segment.acknowledged };
        let passed = number.wrapping_sub(value.first_sequence);
        // Others may have the same addresses and ports elsewhere on this machine, but hardly the same numbers.
        let is_foreign = match leg {
            LEG_REQUEST if is_syn => passed != 0,
            _ if is_syn => passed != 1,
            _ if value.sent <= ONLY_SYN => passed > ONLY_SYN,
            _ if value.piece != 0 => passed > value.sent.wrapping_add(MISSED_OF_STREAM),
            _ => passed > value.sent.wrapping_add(MISSED),
        };
        if is_foreign {
            return false;
        }
        // The SYN itself is a number.
        let pieces = passed.saturating_sub(1).checked_div(value.piece).unwrap_or(0);
        attempt += u64::from(if leg == LEG_REPLY { pieces.saturating_sub(1) } else { pieces });
        is_known = true;
    }
    let Segment { sequence, flags, .. } = *segment;
    let destination = segment.destination[if segment.family == FAMILY_V6 { 3 } else { 0 }];
    // SAFETY: the caller's, of this size.
    unsafe { into.write(Ours { attempt, probe: value.probe, sequence, destination, leg, flags, is_known }) };
    true
}

/// Remembers where a connection's numbers begin, and how far they have come: what leaves its own namespace tells.
#[inline(never)]
fn follow(value: *mut ProbeValue, segment: &Segment, skb: u64) {
    let is_syn = segment.flags & (SYN | ACK) == SYN;
    // What is dropped before it gets a device has its socket.
    let (_, here) = whereabouts::<Probed>(skb as Kernel, core::ptr::null());
    // SAFETY: an element of a map. One CPU sends a connection's segments at a time.
    unsafe {
        if (*value).netns != here {
            return;
        }
        if is_syn && (*value).is_open == 0 {
            (&raw mut (*value).first_sequence).write_volatile(segment.sequence);
            (&raw mut (*value).is_open).write_volatile(1);
        }
        let passed = segment.end.wrapping_sub((*value).first_sequence);
        // Retransmits go back. What a translation in this namespace gives the connection's name has other numbers.
        if (*value).is_open == 1 && (1..MOST_AT_ONCE).contains(&passed.wrapping_sub((*value).sent)) {
            (&raw mut (*value).sent).write_volatile(passed);
        }
    }
}

/// The connection that calls itself so; null if none does.
#[inline(never)]
fn named(name: &ProbeKey) -> *mut ProbeValue {
    let found = if is_probe_port(name.local_port) { maps::PROBES.get_ptr_mut(name) } else { None };
    found.unwrap_or(core::ptr::null_mut())
}

/// The connection that is called so behind a translation; null if none is.
#[inline(never)]
fn translated(name: &ProbeKey) -> *mut ProbeValue {
    if !is_alias_port(name.local_port) {
        return core::ptr::null_mut();
    }
    // SAFETY: a name is written once; what it stands for is looked up.
    match unsafe { maps::ALIASES.get(name) } {
        Some(original) => maps::PROBES.get_ptr_mut(original).unwrap_or(core::ptr::null_mut()),
        None => core::ptr::null_mut(),
    }
}

/// The attempt of the packet `skb`, if it is one of this connection; false for null.
#[inline(never)]
fn packet_of(value: *mut ProbeValue, leg: u8, segment: &Segment, skb: u64, into: *mut Ours) -> bool {
    if value.is_null() {
        return false;
    }
    if leg == LEG_REQUEST {
        // A RST on its way to the target is no attempt: it ends one, or a firewall made it.
        if segment.flags & RST != 0 {
            return false;
        }
        follow(value, segment, skb);
    }
    // SAFETY: an element of a map, which stays readable while the program runs. It may be another connection's by now,
    // if this one is forgotten just then.
    let value = unsafe { &*value };
    // Our own SYN is seen first: it is sent by netbreak itself.
    (setting!(probes) == 0 || value.is_open != 0) && attempt(value, leg, segment, true, into)
}

/// The attempt that a segment, the packet `skb`, belongs to. Not inlined: hardly any segment comes here. A number for a
/// pointer: the verifier need know nothing about it.
///
/// A translation may give a connection the port of another one of the same probe: the name alone does not tell, and the
/// numbers choose (`attempt`). What has none, a RST without an acknowledgement, is of the one that calls itself so.
#[inline(never)]
pub fn of_packet(skb: u64, segment: &Segment, into: *mut Ours) -> bool {
    let mut leg = LEG_REPLY;
    let (request, reply) = (segment.key(LEG_REQUEST), segment.key(LEG_REPLY));
    packet_of(named(&request), LEG_REQUEST, segment, skb, into)
        || packet_of(named(&reply), LEG_REPLY, segment, skb, into)
        || packet_of(translated(&request), LEG_REQUEST, segment, skb, into)
        || packet_of(translated(&reply), LEG_REPLY, segment, skb, into)
        || segment.flags & SYN != 0
            && packet_of(find_tracked(skb, segment, &mut leg), forget(&leg), segment, skb, into)
}

/// The attempt of something that happened to a socket with this flow. Is `sequence` that of a segment?
#[inline(never)]
pub fn of_socket(segment: &Segment, is_numbered: bool, into: *mut Ours) -> bool {
    let (request, reply) = (segment.key(LEG_REQUEST), segment.key(LEG_REPLY));
    socket_of(named(&request), LEG_REQUEST, segment, is_numbered, into)
        || socket_of(named(&reply), LEG_REPLY, segment, is_numbered, into)
        || socket_of(translated(&request), LEG_REQUEST, segment, is_numbered, into)
        || socket_of(translated(&reply), LEG_REPLY, segment, is_numbered, into)
}

/// The attempt of what happened to a socket, if it is one of this connection's; false for null.
#[inline(always)]
fn socket_of(value: *mut ProbeValue, leg: u8, segment: &Segment, is_numbered: bool, into: *mut Ours) -> bool {
    // SAFETY: as in `packet_of`.
    !value.is_null() && attempt(unsafe { &*value }, leg, segment, is_numbered, into)
}

/// The first packet of the connection that a packet belongs to, if its addresses or ports are translated: as a
/// connection of a probe, and the packet's leg. Null or unknown pointers read as zeros.
#[inline(always)]
fn tracked(skb: Kernel, family: u8, leg: &mut u8, into: &mut MaybeUninit<ProbeKey>) -> bool {
    // include/uapi/linux/netfilter/nf_conntrack_common.h
    const IPS_NAT_MASK: u64 = 1 << 4 | 1 << 5;
    const IP_CT_IS_REPLY: u64 = 3;
    const NFCT_INFOMASK: u64 = 7;
    if setting!(offsets.skb_nfct) == ABSENT || setting!(offsets.conn_tuple) == ABSENT {
        return false;
    }
    let entry: u64 = load::<_, Probed>(skb, offset!(skb_nfct));
    let connection = (entry & !NFCT_INFOMASK) as Kernel;
    if connection.is_null() || load::<u64, Probed>(connection, offset!(conn_status)) & IPS_NAT_MASK == 0 {
        return false;
    }
    let mut tuple = MaybeUninit::<Tuple>::uninit();
    read(connection.wrapping_add(offset!(conn_tuple)), &mut tuple);
    // SAFETY: the helper filled it.
    let tuple = unsafe { tuple.assume_init_ref() };
    let local_port = u16::from_be(tuple.source_port);
    if !is_probe_port(local_port) {
        return false;
    }
    *leg = if entry & NFCT_INFOMASK >= IP_CT_IS_REPLY { LEG_REPLY } else { LEG_REQUEST };
    into.write(key(family, tuple.destination, u16::from_be(tuple.destination_port), local_port));
    true
}

/// The beginning of `struct nf_conntrack_tuple` (include/net/netfilter/nf_conntrack_tuple.h); the loader has compared it
/// with the running kernel's. IPv4 addresses have zeros behind them (`nf_ct_get_tuple`).
#[repr(C)]
struct Tuple {
    source: [u32; 4],
    source_port: u16,
    family: u16,
    destination: [u32; 4],
    destination_port: u16,
    protocol: u16,
}

#[inline(always)]
fn key(family: u8, remote: [u32; 4], remote_port: u16, local_port: u16) -> ProbeKey {
    // SAFETY: the same 16 bytes.
    let remote = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(remote) };
    // Of three zeros in a row the compiler would make a call.
    let [family, pad @ ..] = u32::from(family).to_le_bytes();
    ProbeKey { remote, remote_port, local_port, family, pad }
}

/// The cheapest test, which a port fails that is nobody's.
#[inline(always)]
pub fn is_known_port(port: u16) -> bool {
    is_probe_port(port) || is_alias_port(port)
}

/// Is it the local port of some connection of a probe?
#[inline(always)]
pub fn is_probe_port(port: u16) -> bool {
    match maps::PROBE_PORTS.get(u32::from(port) / u64::BITS) {
        Some(word) => word >> (u32::from(port) % u64::BITS) & 1 == 1,
        None => false,
    }
}

#[inline(always)]
fn is_alias_port(port: u16) -> bool {
    let Some(ports) = maps::ALIASED.get_ptr(0) else { return false };
    let is_set = |port: u16| {
        let index = unbounded(port.into()) as usize % ALIAS_PORTS;
        // SAFETY: within the array; a single byte.
        unsafe { ports.cast::<u8>().add(index).read_volatile() == 1 }
    };
    is_set(ANY_PORT) && is_set(port)
}

const _: () = assert!(PORT_WORDS * u64::BITS == 65_536 && size_of::<Tuple>() == 40);
