//! Waking up on time. tokio's own timers have a granularity of 1 ms; a timerfd is a high-resolution timer of the kernel.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::clock::{self, Nanos, SECOND};

/// Hands a descriptor to the runtime. Both types of descriptor that probes wait for (sockets and timers) own theirs.
pub(super) fn poll<T: AsRawFd + Into<OwnedFd>>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `inner` owns one open descriptor (it converts to an `OwnedFd`), which therefore neither changes nor closes
    // before the `AsyncFd` that takes it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(inner, interest) }?)
}

/// One alarm on CLOCK_MONOTONIC.
pub(super) struct Ticker {
    timer: AsyncFd<OwnedFd>,
    /// What the timer is set to.
    set: AtomicU64,
}

/// The descriptor of a ticker, made before privileges and descriptors get scarce.
pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

impl Ticker {
    /// Needs the runtime that waits for it.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Ticker> {
        Ok(Ticker { timer: poll(fd, Interest::READABLE)?, set: AtomicU64::new(0) })
    }

    /// Waits until `at`. If that has passed, other tasks and the sockets still get their turn: a probe that is behind its
    /// plan would otherwise only send, and see answers later than they come. May be dropped and called again.
    pub(super) async fn until(&self, at: Nanos) -> io::Result<()> {
        let now = clock::now();
        if at <= now {
            tokio::task::yield_now().await;
            return Ok(());
        }
        // Who only puts off what he waits for, as connections come and go, is woken once too early, and sets it then.
        if !(now + 1..=at).contains(&self.set.load(Ordering::Relaxed)) {
            self.set(at)?;
        }
        loop {
            let mut ready = self.timer.readable().await?;
            match rustix::io::read(self.timer.get_ref(), &mut [0; 8]) {
                Ok(_) if at <= clock::now() => return Ok(()),
                Ok(_) => self.set(at)?,
                Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes back an expiry that nobody has read, too.
    fn set(&self, at: Nanos) -> io::Result<()> {
        let value = Timespec { tv_sec: (at / SECOND) as i64, tv_nsec: (at % SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        self.set.store(at, Ordering::Relaxed);
        Ok(())
    }
}
