//! Where a probe's identity lies in its payload: the kernel side reads it there, userspace writes it there.
//!
//! An echo's payload (after the 8 bytes of ICMP header) and a datagram's payload (after the 8 bytes of UDP header)
//! begin alike. All numbers are big-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`], whose last byte is the version |
//! | 8 | 8 | sequence number of the attempt within its probe |
//! | 16 | 8 | run identifier: two netbreaks on one machine do not take each other's answers |
//! | 24 | 8 | when it was sent, CLOCK_MONOTONIC nanoseconds of the sender |
//! | 32 | 4 | index of the probe within the run |
//! | 36 | 1 | [`LEG_REQUEST`] or [`LEG_REPLY`] |
//! | 37 | 3 | zero |

/// The first bytes of every payload of ours. A later layout gets another last byte.
pub const MAGIC: [u8; 8] = *b"netbrk/1";

/// Offset of the attempt's sequence number, a big-endian `u64`.
pub const SEQ_OFFSET: usize = 8;

/// Offset of the run identifier, a big-endian `u64`.
pub const RUN_ID_OFFSET: usize = 16;

/// Offset of the send time, a big-endian `u64` of nanoseconds.
pub const SENT_OFFSET: usize = 24;

/// Offset of the probe's index, a big-endian `u32`.
pub const PROBE_OFFSET: usize = 32;

/// Offset of the leg, one byte.
pub const LEG_OFFSET: usize = 36;

/// The leg of a request. An echo reply carries the request's payload unchanged, so it says request too.
pub const LEG_REQUEST: u8 = 0;

/// The leg of a datagram from `netbreak serve`, which answers requests only: two of them never echo each other.
pub const LEG_REPLY: u8 = 1;

/// Length of all this, and so the smallest payload.
pub const HEADER_LEN: usize = 40;
