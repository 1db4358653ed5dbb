//! Waits for the first change in any of the watched namespaces.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Watcher;
use crate::clock::{self, MILLISECOND, Nanos};

/// One change has several messages (an address, then the route to its subnet), sent one after the other: they are
/// read together, and get one time.
const SETTLE: Nanos = 5 * MILLISECOND;

/// All watchers as one descriptor.
pub struct Alarm {
    all: AsyncFd<OwnedFd>,
    /// When it rang, until the watchers are drained.
    rang: Cell<Option<Nanos>>,
}

impl Alarm {
    /// For `watchers`, which it does not keep. Needs a tokio runtime.
    pub fn new(watchers: &[Watcher]) -> io::Result<Alarm> {
        let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for watcher in watchers {
            epoll::add(&all, watcher, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        // SAFETY: an `OwnedFd` owns its open descriptor, which neither changes nor closes before the `AsyncFd` that
        // takes it is dropped.
        let all = unsafe { AsyncFd::register_with_interest(all, Interest::READABLE) }?;
        Ok(Alarm { all, rang: Cell::new(None) })
    }

    /// Returns when something has changed and had time to settle; then every watcher is to be drained. It may be dropped
    /// at any time, and goes on at the next call: on a busy run something else happens before every change has settled.
    pub async fn rings(&self) -> io::Result<()> {
        let at = match self.rang.get() {
            Some(at) => at,
            None => {
                // Before the watchers are drained: what comes after this rings again.
                self.all.readable().await?.clear_ready();
                let at = clock::now();
                self.rang.set(Some(at));
                at
            }
        };
        let rest = (at + SETTLE).saturating_sub(clock::now());
        tokio::time::sleep(Duration::from_nanos(rest)).await;
        Ok(())
    }

    /// When what is about to be read changed, if it has rung since the last call.
    pub fn rang(&self) -> Option<Nanos> {
        self.rang.take()
    }
}
