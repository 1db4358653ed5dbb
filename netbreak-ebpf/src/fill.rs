//! Filling the queues of what is not in use: userspace alone needs a system call for each number, of which there are
//! tens of thousands.
//!
//! Userspace runs these programs (`BPF_PROG_TEST_RUN`); they are attached nowhere. They are not made by
//! `#[raw_tracepoint]`, whose programs return nothing.

use core::ffi::c_void;

use aya_ebpf::{maps::Queue, programs::RawTracePointContext};
use netbreak_common::FILLED_AT_ONCE;

use crate::maps;

/// (first, end): enters some of these numbers as free slots, and returns how many.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/sys_enter")]
pub fn fill_slots(ctx: *mut c_void) -> u32 {
    fill(&maps::SLOTS, RawTracePointContext::new(ctx))
}

/// As `fill_slots`, the ids of places.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/sys_enter")]
pub fn fill_place_ids(ctx: *mut c_void) -> u32 {
    fill(&maps::PLACE_IDS, RawTracePointContext::new(ctx))
}

#[inline(always)]
fn fill(queue: &Queue<u32>, ctx: RawTracePointContext) -> u32 {
    let (first, end): (u32, u32) = (ctx.arg(0), ctx.arg(1));
    for done in 0..FILLED_AT_ONCE {
        if first + done >= end || queue.push(first + done, 0).is_err() {
            return done;
        }
    }
    FILLED_AT_ONCE
}
