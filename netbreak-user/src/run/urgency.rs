//! Probes leave on time: their thread asks for short turns, which come sooner.

use crate::clock::{MILLISECOND, Nanos};

/// A turn of the thread that probes. The kernel's default is 3 ms and more.
const TURN: Nanos = MILLISECOND / 10;

/// Asks for short turns for the calling thread: woken up, it need not wait for the turn of another to end (EEVDF's
/// `RUN_TO_PARITY` and `PREEMPT_SHORT`, kernel/sched/fair.c, from Linux 6.12 on; before, this changes nothing). Its share of
/// the CPU stays what it was. Refused or not, the probes run; how late they left is in the report.
pub(super) fn take_short_turns() {
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: all fields are numbers, for which zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size;
    // SAFETY: the kernel writes at most `size` bytes to `attributes`, which has that many.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    // Whoever has been given another policy keeps it.
    if read == 0 && attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = TURN;
        // SAFETY: the kernel reads `attributes.size` bytes of it.
        let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}
