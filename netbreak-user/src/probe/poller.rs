//! Waiting for many short-lived sockets at once: an epoll of our own, which the runtime waits for as one descriptor.
//! A connection then costs the runtime neither a task nor a registration.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;
use tokio::io::{Interest, unix::AsyncFd};

use crate::clock::{self, Nanos};

use super::ticker::poll;

/// Events that are taken at once; the others come next time.
pub(super) const BATCH: usize = 256;

/// What the kernel is to tell of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Bytes or the end.
    Incoming,
    /// Also room to send, such as the end of a handshake.
    Any,
}

/// Tells which sockets have news. A socket that is closed is forgotten.
pub(super) struct Poller {
    epoll: AsyncFd<OwnedFd>,
    found: VecDeque<u64>,
}

impl Poller {
    /// Needs the runtime that waits for it.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Poller> {
        let epoll = poll(fd, Interest::READABLE)?;
        Ok(Poller { epoll, found: VecDeque::with_capacity(BATCH) })
    }

    /// From now on news of `socket` come with `token`, each piece once (`EPOLLET`).
    pub(super) fn add(&self, socket: impl AsFd, token: u64, news: News) -> io::Result<()> {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if news == News::Any {
            flags |= EventFlags::OUT;
        }
        Ok(epoll::add(self.epoll.get_ref(), socket, EventData::new_u64(token), flags)?)
    }

    /// Waits until a socket has news. May be dropped and called again.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.epoll.readable().await?;
            let count = look(self.epoll.get_ref(), &mut self.found)?;
            // After a full batch there may be more.
            if count < BATCH {
                ready.clear_ready();
            }
            if count > 0 {
                return Ok(());
            }
        }
    }

    /// Looks without sleeping until a socket has news, or until `until`. Returns whether one has.
    pub(super) fn spin(&mut self, until: Nanos) -> io::Result<bool> {
        while self.look()? == 0 {
            if clock::now() >= until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks once, at up to [`BATCH`] sockets, without sleeping. Returns how many have news.
    pub(super) fn look(&mut self) -> io::Result<usize> {
        look(self.epoll.get_ref(), &mut self.found)
    }

    /// The token of the next socket with news that was found.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.found.pop_front()
    }
}

/// Adds the tokens that have news to `found`; returns how many.
fn look(epoll: &OwnedFd, found: &mut VecDeque<u64>) -> io::Result<usize> {
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
    // It does not wait, so no signal interrupts it.
    let (events, _) = epoll::wait(epoll, &mut events, Some(&AT_ONCE))?;
    found.extend(events.iter().map(|event| event.data.u64()));
    Ok(events.len())
}

/// The descriptor of a poller, made before descriptors get scarce.
pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(epoll::create(CreateFlags::CLOEXEC)?)
}
