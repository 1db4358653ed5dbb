//! Waking up on time. tokio's own timers have a granularity of 1 ms; a timerfd is a high-resolution timer of the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::clock::{Nanos, SECOND};

/// Hands a descriptor to the runtime. Both types of descriptor that probes wait for (sockets and timers) own theirs.
pub(super) fn poll<T: AsRawFd + Into<OwnedFd>>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `inner` owns one open descriptor (it converts to an `OwnedFd`), which therefore neither changes nor closes
    // before the `AsyncFd` that takes it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(inner, interest) }?)
}

/// One alarm on CLOCK_MONOTONIC.
pub(super) struct Ticker(AsyncFd<OwnedFd>);

/// The descriptor of a ticker, made before privileges and descriptors get scarce.
pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

impl Ticker {
    /// Needs the runtime that waits for it.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Ticker> {
        Ok(Ticker(poll(fd, Interest::READABLE)?))
    }

    /// Waits until `at`; at once if that has passed. May be dropped and called again.
    pub(super) async fn until(&self, at: Nanos) -> io::Result<()> {
        // An all-zero time would disarm the timer.
        let at = at.max(1);
        let value = Timespec { tv_sec: (at / SECOND) as i64, tv_nsec: (at % SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Setting it also takes back an expiry that nobody has read.
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut [0; 8]) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
