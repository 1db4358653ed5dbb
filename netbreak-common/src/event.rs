//! Events: sent to userspace only for packets of probe flows.

/// Kernel code addresses kept of an event's stack, innermost first; unused ones are 0.
pub const STACK_DEPTH: usize = 16;

/// Bytes of the ring buffer that carries events.
pub const RING_BYTES: u32 = 1 << 21;

/// Kernel code addresses, innermost first.
pub type Stack = [u64; STACK_DEPTH];

/// Something happened to a packet of a probe flow. The kernel side writes `S = MaybeUninit<Stack>`, of the same layout.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<S = Stack> {
    /// CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// Address of the kernel code that freed the packet; 0 for other sensors than `DROP`.
    pub location: u64,
    /// The attempt's sequence number within its probe.
    pub attempt: u64,
    /// Who called, for `DROP`; else all 0.
    pub stack: S,
    /// See [`crate::sensor`].
    pub reason: u32,
    /// Index of the device; 0 = none.
    pub ifindex: u32,
    /// Inode number of the network namespace; 0 = none.
    pub netns: u32,
    /// Bytes from the network header on.
    pub bytes: u32,
    /// Source address; IPv4 in the first four bytes.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Name of the device.
    pub device: [u8; 16],
    /// Source port, or echo identifier.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Segments.
    pub segments: u32,
    /// Index of the probe within the run.
    pub probe: u32,
    /// TCP: the sequence number; 0 where something happened to a socket.
    pub sequence: u32,
    /// One of [`crate::sensor`].
    pub sensor: u8,
    /// One of `FAMILY_*`.
    pub family: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// [`LEG_REQUEST`] or [`LEG_REPLY`].
    pub leg: u8,
    /// TCP flags, or ICMP type.
    pub flags: u8,
    /// Is [`Event::attempt`] known (1), or does the flow carry many attempts and nothing tells which (0)?
    pub attempt_known: u8,
    /// Of something that happened to a socket: its TCP state (`enum` in include/net/tcp_states.h); 0 without a socket.
    pub state: u8,
    /// Always 0.
    pub pad: u8,
}

/// Bytes of a packet that go with its event where they are asked for: an IPv6 header, a TCP header with all options and
/// some more. As for any read from there (`HEADERS` in netbreak-ebpf/src/packet.rs) this never leaves the packet's buffer.
pub const HEADER_BYTES: usize = 128;

/// An event, and how its packet begins: what is sent where [`crate::Settings::headers`] is 1.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventWithHeaders<S = Stack> {
    /// The event.
    pub event: Event<S>,
    /// How many of `headers` are the packet's. 0 where something happened to a socket, or they could not be read.
    pub length: u32,
    /// Always 0.
    pub pad: u32,
    /// From the network header on. Of a packet that is tagged on receive this is the tag (`eth_type_trans`).
    pub headers: [u8; HEADER_BYTES],
}

/// Connections that are remembered when they are closed, by their sockets' addresses. A power of two.
pub const CLOSED: u32 = 1024;

/// A connection that was closed.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Closed {
    /// Address of its socket.
    pub socket: u64,
    /// In which state it was.
    pub state: u32,
    /// Always 0.
    pub pad: u32,
}

/// The packet went from the probe to its target.
pub const LEG_REQUEST: u8 = 0;
/// The packet went from the target to the probe.
pub const LEG_REPLY: u8 = 1;

const _: () = assert!(size_of::<EventWithHeaders>() == size_of::<Event>() + 8 + HEADER_BYTES);
const _: () = assert!(size_of::<Closed>() == 16);
const _: () = assert!(size_of::<Event>() == 8 * (3 + STACK_DEPTH) + 16 + 48 + 24);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, only integers and arrays of them, padding is explicit: every bit pattern is valid.
unsafe impl aya::Pod for Event {}
