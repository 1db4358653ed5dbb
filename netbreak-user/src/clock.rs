//! The one clock: CLOCK_MONOTONIC nanoseconds, which is also what `bpf_ktime_get_ns` gives.
//!
//! Only IO code calls [`now`]; pure code gets every time as an argument.

/// A point in time or a duration, in CLOCK_MONOTONIC nanoseconds.
pub type Nanos = u64;

/// Nanoseconds in one second.
pub const SECOND: Nanos = 1_000_000_000;

/// Nanoseconds in one millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// Nanoseconds in one microsecond.
pub const MICROSECOND: Nanos = 1_000;

/// The time now.
pub fn now() -> Nanos {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as Nanos * SECOND + t.tv_nsec as Nanos
}

/// Wall time, for the anchor of a run: asked once, where it starts. All else is told by [`now`].
pub fn anchor() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// How long the kernel's tick (`jiffies`) is: what its coarse clocks step by (`KTIME_LOW_RES`).
pub fn tick() -> Nanos {
    let tick = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
    tick.tv_sec as Nanos * SECOND + tick.tv_nsec as Nanos
}

/// `at` as seconds after `start`; negative if it was before.
pub fn seconds_since(start: Nanos, at: Nanos) -> f64 {
    (at as i128 - start as i128) as f64 / SECOND as f64
}
