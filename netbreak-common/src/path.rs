//! The ledger: which places each attempt's packets passed. One [`Passage`] an attempt and leg, in a table that is
//! written over from the front again: what userspace has not read by then is gone, and the attempt has no passage.

/// A packet was handed to a device's queue (`__dev_queue_xmit`).
pub const STAGE_QUEUE: u8 = 1;
/// A packet was handed to a device's driver (`dev_hard_start_xmit`).
pub const STAGE_TRANSMIT: u8 = 2;
/// A driver handed a packet to the stack by way of the CPU's backlog (`netif_rx`).
pub const STAGE_BACKLOG: u8 = 3;
/// A driver handed a packet to the stack by way of GRO (`napi_gro_receive`).
pub const STAGE_GRO: u8 = 4;
/// The stack took a packet from a device (`__netif_receive_skb_core`).
pub const STAGE_RECEIVE: u8 = 5;
/// A socket's owner read the packet (`__skb_datagram_iter`).
pub const STAGE_SOCKET: u8 = 6;
/// The packet was freed as something that had served its purpose (`consume_skb`).
pub const STAGE_CONSUMED: u8 = 7;
/// No route was found for the answer to a request (`fib_table_lookup`, `fib6_table_lookup`): there is no packet.
pub const STAGE_ROUTE: u8 = 8;

/// Open vSwitch had no flow for a packet and asked ovs-vswitchd (`ovs_dp_upcall`), or a flow told it to.
pub const STAGE_UPCALL: u8 = 9;

/// Hops kept of a passage: the latest ones. A power of two.
pub const HOPS: usize = 32;

/// One packet at one stage.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hop {
    /// CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// [`STAGE_CONSUMED`]: address of the kernel code that freed it, 0 where the kernel does not tell.
    pub location: u64,
    /// Index of the device; 0 = none.
    pub ifindex: u32,
    /// Inode number of the network namespace; 0 = not known.
    pub netns: u32,
    /// TCP: the sequence number.
    pub sequence: u32,
    /// The destination address, of IPv6 its last four bytes; as on the wire.
    pub destination: [u8; 4],
    /// One of `STAGE_*`.
    pub stage: u8,
    /// TCP: the flags. ICMP: the type. [`STAGE_ROUTE`]: the errno, 0 = the next table that was asked had a route.
    /// [`STAGE_UPCALL`]: the errno, 0 = a copy was handed to ovs-vswitchd, [`crate::UPCALL_UNKNOWN`].
    pub flags: u8,
    /// Always 0.
    pub pad: [u8; 6],
}

/// The way of one attempt's packets on one leg.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passage {
    /// The attempt's sequence number within its probe, and 1; 0 = unused.
    pub attempt: u64,
    /// Hops in all. Hop number `n` is at `n % HOPS`.
    pub count: u32,
    /// Always 0.
    pub pad: u32,
    /// The latest of them.
    pub hops: [Hop; HOPS],
}

const _: () = {
    assert!(size_of::<Hop>() == 40);
    assert!(size_of::<Passage>() == 16 + HOPS * 40);
};

#[cfg(feature = "user")]
mod pod {
    use super::*;

    // SAFETY: `repr(C)`, only integers and arrays of them, no padding but explicit: every bit pattern is valid.
    unsafe impl aya::Pod for Passage {}
}
