//! Segments: which connection of a probe they belong to, by whatever name, and which attempt.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::BPF_ANY;
use netbreak_common::{ABSENT, FAMILY_V6, LEG_REPLY, LEG_REQUEST, PORT_WORDS, ProbeKey, ProbeValue};

use crate::{
    drop::whereabouts,
    maps,
    ours::Ours,
    read::{Kernel, Probed, load, offset, read, setting},
};

pub const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// How far a connection's numbers can be from where they began: an attempt's request is short. To two connections with
/// the same addresses and ports, in whatever namespace, the kernel gives numbers that differ by one for each 64 ns between
/// them (`secure_tcp_seq`, net/core/secure_seq.c), so this is half a millisecond.
const REQUEST: u32 = 1 << 13;
/// A stream's numbers can be that far beyond what it was seen to send: some of its segments may have been missed.
const MISSED: u32 = 1 << 16;

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
    pub acknowledged: u32,
    pub family: u8,
    pub flags: u8,
}

/// A connection of a probe, and the leg of a segment of it. The value may get another connection while it is looked at,
/// if it is forgotten just then: a segment that comes so late is counted for that one.
type Found = (*mut ProbeValue, u8);

impl Segment {
    fn key(&self, leg: u8) -> ProbeKey {
        let (remote, remote_port, local_port) = if leg == LEG_REQUEST {
            (self.destination, self.destination_port, self.source_port)
        } else {
            (self.source, self.source_port, self.destination_port)
        };
        key(self.family, remote, remote_port, local_port)
    }

    /// By its own addresses and ports.
    #[inline(always)]
    fn find(&self) -> Option<Found> {
        for leg in [LEG_REQUEST, LEG_REPLY] {
            let local_port = if leg == LEG_REQUEST { self.source_port } else { self.destination_port };
            if is_probe_port(local_port)
                && let Some(value) = maps::PROBES.get_ptr_mut(self.key(leg))
            {
                return Some((value, leg));
            }
            // SAFETY: a name is written once; what it stands for is looked up.
            if is_alias_port(local_port)
                && let Some(original) = unsafe { maps::ALIASES.get(self.key(leg)) }
                && let Some(value) = maps::PROBES.get_ptr_mut(original)
            {
                return Some((value, leg));
            }
        }
        None
    }

    /// By those that connection tracking remembers of the first packet. What the connection is called here is kept:
    /// where the packet comes to next, nothing remembers.
    #[inline(always)]
    fn find_tracked(&self, skb: Kernel) -> Option<Found> {
        let (original, leg) = tracked(skb, self.family)?;
        let value = maps::PROBES.get_ptr_mut(original)?;
        let alias = self.key(leg);
        if maps::ALIASES.insert(alias, original, BPF_ANY.into()).is_ok()
            && let Some(ports) = maps::ALIASED.get_ptr_mut(0)
        {
            for port in [alias.local_port, ANY_PORT] {
                // SAFETY: within the array; a single byte.
                unsafe { ports.cast::<u8>().add(usize::from(port)).write_volatile(1) };
            }
        }
        Some((value, leg))
    }

    /// The attempt, of a connection; false where it cannot be of that connection.
    #[inline(always)]
    fn attempt(&self, (value, leg): Found, is_numbered: bool, into: *mut Ours) -> bool {
        // SAFETY: an element of a map, which stays readable while the program runs.
        let value = unsafe { &*value };
        let tell = |attempt, is_known| {
            let Segment { sequence, flags, .. } = *self;
            let destination = self.destination[if self.family == FAMILY_V6 { 3 } else { 0 }];
            // SAFETY: the caller's, of this size.
            unsafe {
                into.write(Ours { attempt, probe: value.probe, sequence, destination, leg, flags, is_known })
            };
            true
        };
        // A RST tells no number when it answers a segment that had none to acknowledge.
        let is_numbered = is_numbered && (leg == LEG_REQUEST || self.flags & ACK != 0);
        if !is_numbered || value.is_open == 0 {
            return tell(value.attempt, value.piece == 0 || self.flags & SYN != 0);
        }
        let number = if leg == LEG_REQUEST { self.sequence } else { self.acknowledged };
        let passed = number.wrapping_sub(value.first_sequence);
        // Others may have the same addresses and ports elsewhere on this machine, but hardly the same numbers.
        let is_foreign = match leg {
            LEG_REQUEST if self.flags & SYN != 0 => passed != 0,
            _ if self.flags & SYN != 0 => passed != 1,
            _ => passed > if value.piece == 0 { REQUEST } else { value.sent.wrapping_add(MISSED) },
        };
        if is_foreign {
            return false;
        }
        // The SYN itself is a number.
        let pieces = passed.saturating_sub(1).checked_div(value.piece).unwrap_or(0);
        let done = if leg == LEG_REPLY { pieces.saturating_sub(1) } else { pieces };
        tell(value.attempt + u64::from(done), true)
    }

    /// Remembers where a connection's numbers begin, and how far they have come: what leaves its own namespace tells.
    #[inline(always)]
    fn follow(&self, (value, leg): Found, skb: Kernel) {
        // SAFETY: as in `attempt`.
        let is_stream = unsafe { (*value).piece } != 0;
        if leg != LEG_REQUEST || (!is_stream && self.flags & (SYN | ACK) != SYN) {
            return;
        }
        // What is dropped before it gets a device has its socket.
        let (_, here) = whereabouts::<Probed>(skb, core::ptr::null());
        // SAFETY: as in `attempt`. One CPU sends a connection's segments at a time.
        unsafe {
            if (*value).netns != here {
                return;
            }
            if (*value).is_open == 0 && self.flags & (SYN | ACK) == SYN {
                (&raw mut (*value).first_sequence).write_volatile(self.sequence);
                (&raw mut (*value).is_open).write_volatile(1);
            }
            let passed = self.sequence.wrapping_sub((*value).first_sequence);
            // Retransmits go back.
            if (*value).is_open == 1 && passed.wrapping_sub((*value).sent) as i32 > 0 {
                (&raw mut (*value).sent).write_volatile(passed);
            }
        }
    }
}

/// The attempt that a segment, the packet `skb`, belongs to. Not inlined: hardly any segment comes here. A number for a
/// pointer: the verifier need know nothing about it.
#[inline(never)]
pub fn of_packet(skb: u64, segment: &Segment, into: *mut Ours) -> bool {
    let skb = skb as Kernel;
    let found = match segment.find() {
        None if segment.flags & SYN != 0 => segment.find_tracked(skb),
        found => found,
    };
    let Some(found) = found else { return false };
    // A RST on its way to the target is no attempt: it ends one, or a firewall made it.
    if found.1 == LEG_REQUEST && segment.flags & RST != 0 {
        return false;
    }
    segment.follow(found, skb);
    // SAFETY: as in `attempt`.
    if setting!(probes) != 0 && unsafe { (*found.0).is_open } == 0 {
        // Our own SYN is seen first: it is sent by netbreak itself.
        return false;
    }
    segment.attempt(found, true, into)
}

/// The attempt of something that happened to a socket with this flow. Is `sequence` that of a segment?
#[inline(never)]
pub fn of_socket(segment: &Segment, is_numbered: bool, into: *mut Ours) -> bool {
    let Some(found) = segment.find() else { return false };
    segment.attempt(found, is_numbered, into)
}

/// The first packet of the connection that a packet belongs to, if its addresses or ports are translated: as a
/// connection of a probe, and the packet's leg. Null or unknown pointers read as zeros.
#[inline(always)]
fn tracked(skb: Kernel, family: u8) -> Option<(ProbeKey, u8)> {
    // include/uapi/linux/netfilter/nf_conntrack_common.h
    const IPS_NAT_MASK: u64 = 1 << 4 | 1 << 5;
    const IP_CT_IS_REPLY: u64 = 3;
    const NFCT_INFOMASK: u64 = 7;
    if setting!(offsets.skb_nfct) == ABSENT || setting!(offsets.conn_tuple) == ABSENT {
        return None;
    }
    let entry: u64 = load::<_, Probed>(skb, offset!(skb_nfct));
    let connection = (entry & !NFCT_INFOMASK) as Kernel;
    if connection.is_null() || load::<u64, Probed>(connection, offset!(conn_status)) & IPS_NAT_MASK == 0 {
        return None;
    }
    let mut tuple = MaybeUninit::<Tuple>::uninit();
    read(connection.wrapping_add(offset!(conn_tuple)), &mut tuple);
    // SAFETY: the helper filled it.
    let tuple = unsafe { tuple.assume_init_ref() };
    let local_port = u16::from_be(tuple.source_port);
    if !is_probe_port(local_port) {
        return None;
    }
    let leg = if entry & NFCT_INFOMASK >= IP_CT_IS_REPLY { LEG_REPLY } else { LEG_REQUEST };
    Some((key(family, tuple.destination, u16::from_be(tuple.destination_port), local_port), leg))
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
fn key(family: u8, mut remote: [u32; 4], remote_port: u16, local_port: u16) -> ProbeKey {
    if family != FAMILY_V6 {
        remote = [remote[0], 0, 0, 0];
    }
    // SAFETY: the same 16 bytes.
    let remote = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(remote) };
    ProbeKey { remote, remote_port, local_port, family, pad: [0; 3] }
}

/// The cheapest test, which a port fails that is nobody's.
#[inline(always)]
pub fn is_known_port(port: u16) -> bool {
    is_probe_port(port) || is_alias_port(port)
}

#[inline(always)]
fn is_probe_port(port: u16) -> bool {
    match maps::PROBE_PORTS.get(u32::from(port) / u64::BITS) {
        Some(word) => word >> (u32::from(port) % u64::BITS) & 1 == 1,
        None => false,
    }
}

#[inline(always)]
fn is_alias_port(port: u16) -> bool {
    let Some(ports) = maps::ALIASED.get_ptr(0) else { return false };
    let is_set = |port: u16| {
        // SAFETY: within the array; a single byte.
        unsafe { ports.cast::<u8>().add(usize::from(port)).read_volatile() == 1 }
    };
    is_set(ANY_PORT) && is_set(port)
}

const _: () = assert!(PORT_WORDS * u64::BITS == 65_536 && size_of::<Tuple>() == 40);
