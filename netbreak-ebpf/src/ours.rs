//! Which attempt a packet belongs to: asked of every packet at every stage, so nearly all must fail early.

use core::{marker::PhantomData, mem::MaybeUninit};

use netbreak_common::{
    FAMILY_V4, FAMILY_V6, GENEVE_PORT, LEG_REPLY, LEG_REQUEST, VXLAN_PORT, VXLAN_PORT_OF_LINUX, wire,
};

use crate::{
    connection::{FIN, SYN, Segment, is_known_port, of_packet},
    packet::{ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, Headers, ICMP, ICMP6, TCP, UDP},
    read::{Access, Kernel, Rarely, bytes, forget_in_place, load, offset, read, setting},
};

/// A packet of an attempt. Functions write it to where they are told and return whether they did: of an `Option` that is
/// `None` the compiler keeps undefined parts in registers, which the verifier refuses, and BTF cannot describe it.
#[derive(Clone, Copy)]
pub struct Ours {
    pub attempt: u64,
    pub probe: u32,
    /// TCP: the sequence number.
    pub sequence: u32,
    /// The last word of the destination address.
    pub destination: u32,
    pub leg: u8,
    /// TCP: the flags. ICMP: the type.
    pub flags: u8,
    /// Is `attempt` known? Else the connection carries those of many.
    pub is_known: bool,
}

/// The first half of what every payload of ours begins with: it alone tells nearly all others apart.
pub const MAGIC: u32 = {
    let [a, b, c, d, ..] = wire::MAGIC;
    u32::from_ne_bytes([a, b, c, d])
};

/// The other half.
const VERSION: u32 = {
    let [.., a, b, c, d] = wire::MAGIC;
    u32::from_ne_bytes([a, b, c, d])
};

/// Where a network header lies.
#[derive(Clone, Copy)]
struct Place {
    skb: Kernel,
    at: Kernel,
    /// Bytes before it, from the packet's own network header on.
    before: u32,
    ether_type: u16,
}

/// What headers tell. A number, since BTF cannot describe an enum with data.
type Said = u32;
/// It is nobody's.
const NOTHING: Said = 0;
/// It is an attempt's, which has been written.
const OURS: Said = 1;
/// A segment that may be an attempt's has been written: its connection must be asked.
const SEGMENT: Said = 2;
/// What is within it tells: where that lies has been written.
const WITHIN: Said = 3;

/// What headers tell, is written here.
struct Into {
    ours: *mut Ours,
    segment: *mut Segment,
    within: *mut Place,
}

/// The attempt that `skb` belongs to. Echoes and datagrams tell by their payload, whatever has become of their
/// addresses, segments by their connection; within a tunnel what is inside tells.
#[inline(always)]
pub fn identify<A: Access>(skb: Kernel, into: *mut Ours) -> bool {
    look::<A, false>(skb, into)
}

#[inline(always)]
fn look<A: Access, const SLOWLY: bool>(skb: Kernel, into: *mut Ours) -> bool {
    let (mut segment, mut within) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let into = Into { ours: into, segment: segment.as_mut_ptr(), within: within.as_mut_ptr() };
    let mut said = if SLOWLY { outer_slowly(skb as u64, &into) } else { outer::<A, false>(skb, &into) };
    if said == WITHIN {
        // SAFETY: it was written.
        said = inner::<A>(&A::merged(unsafe { within.assume_init() }), &into);
    }
    if said != SEGMENT {
        return said == OURS;
    }
    // Many ways lead here.
    forget_in_place(&mut segment);
    // SAFETY: it was written.
    of_packet(skb as u64, unsafe { segment.assume_init_ref() }, into.ours)
}

#[inline(always)]
fn outer<A: Access, const TAGGED: bool>(skb: Kernel, into: &Into) -> Said {
    let ether_type = u16::from_be(load::<_, A>(skb, offset!(skb_protocol)));
    let head = load::<Kernel, A>(skb, offset!(skb_head));
    let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
    let at = head.wrapping_add(network as usize);
    match ether_type {
        ETH_P_IP | ETH_P_IPV6 => of_header::<A, false>(&Place { skb, at, before: 0, ether_type }, into),
        // The network header of a tagged packet is its tag: (control, inner type), `eth_type_trans`.
        ETH_P_8021Q | ETH_P_8021AD if TAGGED => {
            let ether_type = u16::from_be(bytes::<u16, A>(at, 2));
            // SAFETY: the caller's, of this size.
            unsafe { into.within.write(Place { skb, at: at.wrapping_add(4), before: 4, ether_type }) };
            WITHIN
        }
        _ => NOTHING,
    }
}

/// As [`identify`], for what happens rarely: by probe reads, and with a look through a VLAN's tag.
#[inline(never)]
pub fn identify_slowly(skb: u64, into: *mut Ours) -> bool {
    look::<Rarely, true>(skb as Kernel, into)
}

/// Not inlined: what it leaves on the stack is gone when the next one needs it.
#[inline(never)]
fn outer_slowly(skb: u64, into: &Into) -> Said {
    outer::<Rarely, true>(skb as Kernel, into)
}

/// Not inlined: what is within a tunnel costs others neither registers nor stack.
#[inline(never)]
fn inner<A: Access>(place: &Place, into: &Into) -> Said {
    of_header::<A, true>(place, into)
}

#[inline(always)]
fn of_header<A: Access, const INNER: bool>(place: &Place, into: &Into) -> Said {
    let mut copy = MaybeUninit::uninit();
    if !A::BYTES && !read(place.at, &mut copy) {
        return NOTHING;
    }
    let headers = Headers::<A> { at: place.at, copy: &copy, access: PhantomData };
    let (protocol, length) = match place.ether_type {
        ETH_P_IPV6 => (headers.get::<u8>(6), 40),
        ETH_P_IP => {
            // Fragment offset, hop limit and protocol in one load. Only a first fragment has a transport header.
            let [high, low, _, protocol] = headers.get::<u32>(6).to_ne_bytes();
            if u16::from_be_bytes([high, low]) & 0x1fff != 0 {
                return NOTHING;
            }
            (protocol, u32::from(headers.get::<u8>(0) & 0xf) * 4)
        }
        _ => return NOTHING,
    };
    let (protocol, length) = A::merged((protocol, length));
    match protocol {
        ICMP | ICMP6 | UDP => {
            if message(place, &headers, protocol, length, into.ours) {
                return OURS;
            }
            if INNER || protocol != UDP {
                return NOTHING;
            }
            let frame = tunnelled(&headers, length);
            if frame == 0 {
                return NOTHING;
            }
            let ether_type = u16::from_be(bytes::<u16, A>(place.at.wrapping_add(frame as usize), 12));
            let (at, before) = (place.at.wrapping_add(frame as usize + 14), place.before + frame + 14);
            // SAFETY: the caller's, of this size.
            unsafe { into.within.write(Place { skb: place.skb, at, before, ether_type }) };
            WITHIN
        }
        TCP => segment(place, &headers, length, into.segment),
        _ => NOTHING,
    }
}

/// Linear bytes from `before` bytes behind the packet's network header on.
#[inline(always)]
fn linear<A: Access>(skb: Kernel, before: u32) -> i32 {
    let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
    load::<u32, A>(skb, offset!(skb_tail)).wrapping_sub(network + before) as i32
}

/// An echo or a datagram: eight bytes of header, then our payload.
#[inline(always)]
fn message<A: Access>(
    place: &Place,
    headers: &Headers<A>,
    protocol: u8,
    length: u32,
    into: *mut Ours,
) -> bool {
    let payload = |at: usize| headers.after::<[u32; 2]>(length, 8 + at);
    if headers.after::<u32>(length, 8) != MAGIC || payload(0) != [MAGIC, VERSION] {
        return false;
    }
    if payload(wire::RUN_ID_OFFSET) != setting!(run_id)
        || linear::<A>(place.skb, place.before + length) < 8 + wire::HEADER_LEN as i32
    {
        return false;
    }
    let flags = if protocol == UDP { 0 } else { headers.after::<u8>(length, 0) };
    let leg = match (protocol, flags) {
        (UDP, _) => headers.after::<u8>(length, 8 + wire::LEG_OFFSET),
        (_, 8 | 128) => LEG_REQUEST,
        (_, 0 | 129) => LEG_REPLY,
        _ => return false,
    };
    let [high, low] = payload(wire::SEQ_OFFSET).map(u32::from_be);
    let [probe, _] = payload(wire::PROBE_OFFSET).map(u32::from_be);
    let attempt = u64::from(high) << 32 | u64::from(low);
    let destination = headers.get(if place.ether_type == ETH_P_IPV6 { 36 } else { 16 });
    let leg = leg & 1;
    // SAFETY: the caller's, of this size.
    unsafe { into.write(Ours { attempt, probe, sequence: 0, destination, leg, flags, is_known: true }) };
    true
}

/// Where the frame within a VXLAN or Geneve packet begins, from the outer network header on; 0 when there is none.
#[inline(always)]
fn tunnelled<A: Access>(headers: &Headers<A>, length: u32) -> u32 {
    const ETHERNET: u16 = 0x6558;
    let header = match u16::from_be(headers.after(length, 2)) {
        VXLAN_PORT | VXLAN_PORT_OF_LINUX => 8,
        // Its options are counted in words; it carries other things than Ethernet too.
        GENEVE_PORT if u16::from_be(headers.after(length, 10)) == ETHERNET => {
            8 + u32::from(headers.after::<u8>(length, 8) & 0x3f) * 4
        }
        _ => return 0,
    };
    length + 8 + header
}

/// A segment of a connection.
#[inline(always)]
fn segment<A: Access>(place: &Place, headers: &Headers<A>, length: u32, into: *mut Segment) -> Said {
    let [source_port, destination_port] = headers.after::<[u16; 2]>(length, 0).map(u16::from_be);
    let flags = headers.after::<u8>(length, 13);
    // What a translated connection is called is learnt from its SYN.
    if flags & SYN == 0 && !is_known_port(source_port) && !is_known_port(destination_port) {
        return NOTHING;
    }
    let (family, source, destination) = if place.ether_type == ETH_P_IPV6 {
        (FAMILY_V6, headers.get::<[u32; 4]>(8), headers.get::<[u32; 4]>(24))
    } else {
        (FAMILY_V4, [headers.get(12), 0, 0, 0], [headers.get(16), 0, 0, 0])
    };
    let [sequence, acknowledged] = headers.after::<[u32; 2]>(length, 4).map(u32::from_be);
    if linear::<A>(place.skb, place.before + length) < 20 {
        return NOTHING;
    }
    // All of it, from the IP header on or from behind it.
    let bytes = if family == FAMILY_V6 {
        length + u32::from(u16::from_be(headers.get(4)))
    } else {
        u32::from(u16::from_be(headers.get(2)))
    };
    let header = length + u32::from(headers.after::<u8>(length, 12) >> 4) * 4;
    let numbers = bytes.wrapping_sub(header) + u32::from(flags & (SYN | FIN) != 0);
    let end = sequence.wrapping_add(numbers);
    let segment = Segment {
        source,
        destination,
        source_port,
        destination_port,
        sequence,
        end,
        acknowledged,
        family,
        flags,
    };
    // SAFETY: the caller's, of this size.
    unsafe { into.write(segment) };
    SEGMENT
}
