//! From a packet, or a socket, to its flow.

use core::{marker::PhantomData, mem::MaybeUninit};

use netbreak_common::{FAMILY_NONE, FAMILY_V4, FAMILY_V6, TUNNEL_PORTS};

use crate::{
    account::lose,
    connection::{SYN, is_known_port},
    ours::MAGIC,
    read::{Access, Kernel, Probed, Rarely, bytes, forget, forget_in_place, load, offset, read},
};

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP6: u8 = 58;

pub const ETH_P_IP: u16 = 0x0800;
pub const ETH_P_IPV6: u16 = 0x86dd;
pub const ETH_P_8021Q: u16 = 0x8100;
pub const ETH_P_8021AD: u16 = 0x88a8;

/// Bytes read from the network header on, in one go: an IPv6 header, a UDP header and our own payload's header.
/// `skb_shared_info`, which is larger, lies behind every packet's buffer (`__alloc_skb`), so this never leaves it.
const HEADERS: usize = 88;

/// Ports, type and sequence lie within this many bytes of the transport header.
const TRANSPORT: u32 = 8;

/// More than a packet's buffer can hold: its offsets have 16 bits.
pub const MOST_LINEAR: u32 = u16::MAX as u32;

/// No packet's buffer is larger (`KMALLOC_MAX_SIZE`). The verifier wants a bound of every offset.
const LARGEST_BUFFER: u32 = (1 << 28) - 1;

/// IPv6 extension headers that are walked before giving up.
const EXTENSIONS: usize = 6;

/// The bytes from a packet's network header on: where they are, and a copy where they cannot be loaded from there.
pub struct Headers<'a, A> {
    pub at: Kernel,
    pub copy: &'a MaybeUninit<Copied>,
    pub access: PhantomData<A>,
}

#[repr(C, align(8))]
pub struct Copied([u8; HEADERS]);

impl<A: Access> Headers<'_, A> {
    /// The integer at `at`. From a copy it takes no longer if that is a multiple of its size.
    #[inline(always)]
    pub fn get<T: Copy>(&self, at: usize) -> T {
        if A::BYTES {
            return load::<T, A>(self.at, at);
        }
        // SAFETY: callers pass constants with `at + size <= HEADERS`; the copy is initialised.
        unsafe { self.copy.as_ptr().cast::<u8>().add(at).cast::<T>().read_unaligned() }
    }

    /// The integer, or array of integers, at `at` behind `length` bytes of IP header. Its own multiple as in `get`.
    #[inline(always)]
    pub fn after<T: Copy>(&self, length: u32, at: usize) -> T {
        match length {
            _ if A::BYTES => load::<T, A>(self.at, length as usize + at),
            20 => self.get(20 + at),
            40 => self.get(40 + at),
            _ => bytes::<T, A>(self.at, length as usize + at),
        }
    }
}

/// A packet's flow and size. Plain numbers only. Addresses as 32-bit words in wire order; IPv4 in the first word.
#[derive(Clone, Copy)]
pub struct Packet {
    pub family: u8,
    pub protocol: u8,
    pub icmp_type: u8,
    /// Of a socket's packets its TCP state; else 0.
    pub state: u8,
    pub source: [u32; 4],
    pub destination: [u32; 4],
    /// Host byte order. ICMP: the identifier of an echo. Without IP header: the Ethernet type.
    pub source_port: u16,
    pub destination_port: u16,
    pub segments: u32,
    /// From the network header on.
    pub bytes: u32,
    /// Of an echo or a datagram the first bytes of its payload, of a segment the word with its flags. Memory that is not
    /// the packet's where it is shorter.
    pub mark: u32,
}

impl Packet {
    #[inline(always)]
    pub fn empty() -> Self {
        Self {
            family: FAMILY_NONE,
            protocol: 0,
            icmp_type: 0,
            state: 0,
            source: [0; 4],
            destination: [0; 4],
            source_port: 0,
            destination_port: 0,
            segments: 1,
            bytes: 0,
            mark: 0,
        }
    }

    /// The flow of a `sk_buff`.
    #[inline(always)]
    pub fn of_skb<A: Access>(skb: Kernel) -> Self {
        let mut packet = Self::empty();
        packet.read_skb::<A>(skb);
        packet
    }

    #[inline(always)]
    fn read_skb<A: Access>(&mut self, skb: Kernel) {
        let packet = self;
        let head = load::<Kernel, A>(skb, offset!(skb_head));
        let data = load::<Kernel, A>(skb, offset!(skb_data));
        let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
        let tail: u32 = load::<_, A>(skb, offset!(skb_tail));
        let len: u32 = load::<_, A>(skb, offset!(skb_len));
        // `len` counts from `data`, which each layer moves: count from the network header instead.
        packet.bytes =
            len.wrapping_add((data as usize).wrapping_sub(head as usize + network as usize) as u32);

        let ether_type = u16::from_be(load::<_, A>(skb, offset!(skb_protocol)));
        if !matches!(ether_type, ETH_P_IP | ETH_P_IPV6 | ETH_P_8021Q | ETH_P_8021AD) {
            // `len` alone: a packet without an IP header need not have a network header either.
            packet.bytes = len;
            packet.source_port = ether_type;
            return;
        }
        packet.network::<A>(head, network, tail, ether_type);

        if packet.protocol == TCP || packet.protocol == UDP {
            let end = load::<u32, A>(skb, offset!(skb_end)) & LARGEST_BUFFER;
            let segments: u16 = bytes::<_, A>(head.wrapping_add(end as usize), offset!(shinfo_gso_segs));
            if segments > 1 {
                packet.segments = segments.into();
            }
        }
    }

    /// As [`Packet::of_skb`], for what happens rarely: whatever the packet is, the verifier goes on in one way.
    #[inline(always)]
    pub fn rarely_of_skb(skb: Kernel) -> Self {
        let mut packet = MaybeUninit::uninit();
        write_of_skb(skb as u64, packet.as_mut_ptr());
        forget_in_place(&mut packet);
        // SAFETY: it was written.
        unsafe { packet.assume_init() }
    }

    /// As [`Packet::of_sock`], for what happens rarely.
    #[inline(always)]
    pub fn rarely_of_sock<A: Access>(sk: Kernel) -> Self {
        let mut packet = MaybeUninit::uninit();
        write_of_sock::<A>(sk, packet.as_mut_ptr());
        forget_in_place(&mut packet);
        // SAFETY: it was written.
        unsafe { packet.assume_init() }
    }

    /// `network` and `tail` are offsets from `head`.
    #[inline(always)]
    fn network<A: Access>(&mut self, head: Kernel, mut network: u32, tail: u32, ether_type: u16) {
        // On receive the network header of a tagged packet is its tag: (control, inner type), `eth_type_trans`.
        if matches!(ether_type, ETH_P_8021Q | ETH_P_8021AD)
            && matches!(u16::from_be(bytes::<_, A>(head, network as usize + 2)), ETH_P_IP | ETH_P_IPV6)
        {
            network += 4;
        }
        let at = head.wrapping_add(network as usize);
        let mut copy = MaybeUninit::uninit();
        if !A::BYTES && !read(at, &mut copy) {
            return lose(|losses| losses.unreadable += 1);
        }
        let headers = Headers::<A> { at, copy: &copy, access: PhantomData };
        // A length below zero is a huge one here.
        let linear = tail.wrapping_sub(network);
        let length = match headers.get::<u8>(0) >> 4 {
            4 if (20..=MOST_LINEAR).contains(&linear) => self.ipv4(&headers),
            6 if (40..=MOST_LINEAR).contains(&linear) => self.ipv6(&headers, linear),
            _ => return lose(|losses| losses.unreadable += 1),
        };
        if length == 0 || linear < length + TRANSPORT {
            return;
        }
        let length = A::merged(length);
        *self = A::merged(*self);
        let [first, second, third] = headers.after::<[u16; 3]>(length, 0);
        self.ports(first, second, third);
        // Not from the copy, whose place the verifier would have to know on each way.
        let mark = if self.protocol == TCP { 12 } else { 8 };
        self.mark = bytes::<_, A>(headers.at, (length + mark) as usize);
    }

    /// Returns the length of the header; 0 if no transport header follows.
    #[inline(always)]
    fn ipv4<A: Access>(&mut self, headers: &Headers<A>) -> u32 {
        self.family = FAMILY_V4;
        self.protocol = headers.get(9);
        self.source[0] = headers.get(12);
        self.destination[0] = headers.get(16);
        // Only a first fragment has a transport header.
        if u16::from_be(headers.get(6)) & 0x1fff != 0 { 0 } else { u32::from(headers.get::<u8>(0) & 0xf) * 4 }
    }

    /// Returns the length of the header and its extensions; 0 if no transport header follows: a later fragment.
    #[inline(always)]
    fn ipv6<A: Access>(&mut self, headers: &Headers<A>, linear: u32) -> u32 {
        self.family = FAMILY_V6;
        self.source = headers.get(8);
        self.destination = headers.get(24);
        self.protocol = headers.get(6);
        if !is_extension(self.protocol) {
            return 40;
        }
        // To the verifier a pointer is no number.
        let at = forget(&headers.at) as u64;
        let found = walk_extensions(at, linear, self.protocol);
        self.protocol = found as u8;
        u32::from((found >> 8) as u16)
    }

    /// The transport header's first three 16-bit words, in wire order.
    #[inline(always)]
    fn ports(&mut self, first: u16, second: u16, third: u16) {
        match self.protocol {
            ICMP | ICMP6 => {
                self.icmp_type = first.to_ne_bytes()[0];
                if self.is_echo() {
                    self.source_port = u16::from_be(third);
                }
            }
            // TCP, UDP, DCCP, SCTP, UDP-Lite: ports first.
            TCP | UDP | 33 | 132 | 136 => {
                self.source_port = u16::from_be(first);
                self.destination_port = u16::from_be(second);
            }
            _ => {}
        }
    }

    #[inline(always)]
    pub fn is_echo(&self) -> bool {
        self.is_echo_request() || self.is_echo_reply()
    }

    #[inline(always)]
    pub fn is_echo_request(&self) -> bool {
        (self.protocol == ICMP && self.icmp_type == 8) || (self.protocol == ICMP6 && self.icmp_type == 128)
    }

    /// False for nearly all packets that are not a probe's.
    #[inline(always)]
    pub fn may_be_ours(&self) -> bool {
        match self.protocol {
            // What a translated connection is called is learnt from its SYN.
            TCP => {
                self.mark.to_ne_bytes()[1] & SYN != 0
                    || is_known_port(self.source_port)
                    || is_known_port(self.destination_port)
            }
            UDP => self.mark == MAGIC || TUNNEL_PORTS.contains(&self.destination_port),
            ICMP | ICMP6 => self.mark == MAGIC,
            _ => false,
        }
    }

    #[inline(always)]
    fn is_echo_reply(&self) -> bool {
        (self.protocol == ICMP && self.icmp_type == 0) || (self.protocol == ICMP6 && self.icmp_type == 129)
    }

    /// The flow of the packets that a socket sends.
    #[inline(always)]
    fn of_sock<A: Access>(sk: Kernel) -> Self {
        let mut packet = Self::empty();
        packet.protocol = TCP;
        packet.source_port = load::<_, A>(sk, offset!(sk_num));
        // A socket that is closed has given its port back (`inet_put_port`), and still knows it.
        if packet.source_port == 0 {
            packet.source_port = u16::from_be(load::<_, Probed>(sk, offset!(sk_sport)));
        }
        packet.destination_port = u16::from_be(load::<_, A>(sk, offset!(sk_dport)));
        let family: u16 = load::<_, A>(sk, offset!(sk_family));
        packet.state = load::<_, A>(sk, offset!(sk_state));
        packet.source[0] = load::<_, A>(sk, offset!(sk_rcv_saddr));
        packet.destination[0] = load::<_, A>(sk, offset!(sk_daddr));
        packet.family = FAMILY_V4;
        const AF_INET6: u16 = 10;
        if family == AF_INET6 && crate::read::setting!(offsets.sk_v6_daddr) != netbreak_common::ABSENT {
            let mut source = MaybeUninit::<[u32; 4]>::zeroed();
            let mut destination = MaybeUninit::<[u32; 4]>::zeroed();
            read(sk.wrapping_add(offset!(sk_v6_rcv_saddr)), &mut source);
            read(sk.wrapping_add(offset!(sk_v6_daddr)), &mut destination);
            // SAFETY: zeroed before the read.
            let (source, destination) = unsafe { (source.assume_init(), destination.assume_init()) };
            // An IPv6 socket that talks IPv4 has mapped addresses: its packets are IPv4.
            let mapped = destination[0] == 0 && destination[1] == 0 && u32::from_be(destination[2]) == 0xffff;
            if !mapped {
                packet.family = FAMILY_V6;
                packet.source = source;
                packet.destination = destination;
            }
        }
        packet
    }
}

/// Not inlined: what it leaves on the stack would be one more way for each.
#[inline(never)]
fn write_of_skb(skb: u64, into: *mut Packet) {
    // Where it is wanted, not here: there is no room for it twice.
    // SAFETY: the caller's, of this size.
    let packet = unsafe {
        into.write(Packet::empty());
        &mut *into
    };
    packet.read_skb::<Rarely>(skb as Kernel);
}

/// As [`write_of_skb`].
#[inline(never)]
fn write_of_sock<A: Access>(sk: Kernel, into: *mut Packet) {
    // SAFETY: the caller's, of this size.
    unsafe { into.write(Packet::of_sock::<A>(sk)) };
}

/// Hop-by-hop, routing, fragment, authentication, destination options, mobility.
#[inline(always)]
fn is_extension(header: u8) -> bool {
    matches!(header, 0 | 43 | 44 | 51 | 60 | 135)
}

/// Walks IPv6 extension headers from the first one on: `at` is the IPv6 header, `first` the kind of the first extension.
/// Returns the last header's kind in the low byte, and above it the offset of what follows: 0 for a later fragment,
/// which has no transport header.
///
/// A function of its own, with global linkage and plain numbers, so that the verifier looks at the loop once and not
/// once more for every way that leads to it.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn walk_extensions(at: u64, linear: u32, first: u8) -> u64 {
    let (mut next, mut length) = (first, 40u32);
    for _ in 0..EXTENSIONS {
        if !is_extension(next) || length > linear {
            break;
        }
        let mut buffer = MaybeUninit::<[u8; 4]>::zeroed();
        read((at as Kernel).wrapping_add(length as usize), &mut buffer);
        // SAFETY: zeroed before the read.
        let extension = unsafe { buffer.assume_init() };
        if next == 44 && u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 != 0 {
            return extension[0].into();
        }
        length += match next {
            44 => 8,
            51 => (u32::from(extension[1]) + 2) * 4,
            _ => (u32::from(extension[1]) + 1) * 8,
        };
        next = extension[0];
    }
    u64::from(next) | u64::from(length) << 8
}
