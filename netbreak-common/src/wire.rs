//! The part of netbreak's own payload that the kernel side reads too.

/// Where a payload's sequence number is: eight bytes, big-endian.
pub const SEQ_OFFSET: usize = 8;
