//! What ties a route lookup, which has no packet, to the packet that it would answer.

/// A request of ours that may be answered: whose it is, and what the lookup for the answer's route will ask for.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// When it was taken or read, CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The attempt.
    pub attempt: u64,
    /// Its sender: low word of the address, port, protocol and family. 0 = nobody.
    pub sender: u64,
    /// Index of the probe within the run.
    pub probe: u32,
    /// Inode number of the namespace of the device that it came by; 0 = it was read, when it has none any more.
    pub netns: u32,
    /// The thread that read it; 0 = none.
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
    /// When the first table failed, CLOCK_MONOTONIC nanoseconds.
    pub time: u64,
    /// The attempt that was to be answered.
    pub attempt: u64,
    /// Whom the answer was for, as [`Asked::sender`].
    pub sender: u64,
    /// Index of the ledger's entry.
    pub entry: u32,
    /// Number of the hop there.
    pub hop: u32,
}

/// What a CPU did last for packets of ours.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Routing {
    /// The request that its stack took last from a device: what it answers itself, it answers at once.
    pub taken: Asked,
    /// The lookup that failed last.
    pub failed: Failed,
}

/// Threads whose last datagram of ours is remembered. A power of two.
pub const READERS: u32 = 256;

const _: () = {
    assert!(size_of::<Asked>() == 40);
    assert!(size_of::<Failed>() == 40);
    assert!(size_of::<Routing>() == 80);
};
