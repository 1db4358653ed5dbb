//! What ties a route lookup, which has no packet, to the request that it would answer.

/// A request of ours that a stack took from a device: it may be answered there.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// When, CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The attempt.
    pub attempt: u64,
    /// Who is to be answered: last word of the address, port, protocol and family. 0 = nobody.
    pub sender: u64,
    /// Index of the probe within the run.
    pub probe: u32,
    /// Inode number of the device's namespace.
    pub netns: u32,
    /// The thread on top of which its CPU did so.
    pub thread: u32,
    /// Always 0.
    pub pad: u32,
}

/// A lookup that failed, of which other tables may be asked yet.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failed {
    /// Address of the flow that was looked up; 0 = none, or another table had a route.
    pub flow: u64,
    /// When it failed, CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The attempt that was to be answered.
    pub attempt: u64,
    /// Whom the answer was for, as [`Asked::sender`].
    pub sender: u64,
    /// Index of the ledger's entry.
    pub entry: u32,
    /// Number of the hop there.
    pub hop: u32,
    /// The table that was asked first.
    pub first: u32,
    /// The table that was asked last.
    pub last: u32,
}

/// What a CPU did last for packets of ours.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Routing {
    /// The request that it took last, while the stack's own answer to it is not made: that is at once.
    pub asked: Asked,
    /// The lookup that failed last.
    pub failed: Failed,
}

/// Senders of datagrams that are remembered. A power of two, at most 256.
pub const SENDERS: u32 = 256;

const _: () = {
    assert!(size_of::<Asked>() == 40);
    assert!(size_of::<Failed>() == 48);
    assert!(size_of::<Routing>() == 88);
};
