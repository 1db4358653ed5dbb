//! What Open vSwitch's kernel datapath does with packets for which it has no flow.

/// What came of an upcall, where the kernel does not tell: no errno has this number.
pub const UPCALL_UNKNOWN: u8 = u8::MAX;

/// The first bit of an upcall's command in its reason (see [`crate::sensor::UPCALL`]).
pub const UPCALL_COMMAND: u32 = 8;

/// The upcall that a CPU makes right now: kernel addresses.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Upcall {
    /// `struct datapath`
    pub datapath: u64,
    /// `struct sk_buff`; 0 = none is made
    pub packet: u64,
    /// `struct dp_upcall_info`
    pub info: u64,
}

const _: () = assert!(size_of::<Upcall>() == 24);
