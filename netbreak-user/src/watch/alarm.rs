//! Waits for the first change in any of the watched namespaces.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Watcher;
use crate::clock::{self, Nanos};

/// One change has several messages (an address, then the route to its subnet), sent one after the other: they are
/// read together, and get one time.
const SETTLE: Duration = Duration::from_millis(5);

/// All watchers as one descriptor.
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// For `watchers`, which it does not keep. Needs a tokio runtime.
    pub fn new(watchers: &[Watcher]) -> io::Result<Alarm> {
        let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for watcher in watchers {
            epoll::add(&all, watcher, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        // SAFETY: an `OwnedFd` owns its open descriptor, which neither changes nor closes before the `AsyncFd` that
        // takes it is dropped.
        Ok(Alarm(unsafe { AsyncFd::register_with_interest(all, Interest::READABLE) }?))
    }

    /// Returns when something changed, and when that was; then every watcher is to be drained. May be dropped at any
    /// time: then that change is told by the next one, so watchers are drained from time to time anyway.
    pub async fn rings(&self) -> io::Result<Nanos> {
        // Before the watchers are drained: what comes after this rings again.
        self.0.readable().await?.clear_ready();
        let at = clock::now();
        tokio::time::sleep(SETTLE).await;
        Ok(at)
    }
}
