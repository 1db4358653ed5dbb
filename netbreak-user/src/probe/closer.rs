//! Closing connections beside the loop that opens them: a fifth of a connection's time is its RST, which on the same machine
//! its server receives in the same call.

use std::io;
use std::mem;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::visit::Visit;

/// So many are handed over at once: to wake a thread takes as long as to close a connection or two.
pub(super) const BATCH: usize = 16;

/// So many batches may wait. When there are more the loop closes them itself.
const QUEUE: usize = 2;

/// How many connections may be open that are over: those that wait, those that are being closed, and those that gather.
pub(super) const MOST_OPEN: usize = (QUEUE + 2) * BATCH;

/// A thread that closes what it is given. Dropping it waits until all is closed.
pub(super) struct Closer {
    gathered: Vec<Visit>,
    queue: Option<SyncSender<Vec<Visit>>>,
    thread: Option<JoinHandle<()>>,
}

impl Closer {
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start() -> io::Result<Closer> {
        let (queue, batches) = sync_channel::<Vec<Visit>>(QUEUE);
        let work = move || batches.into_iter().for_each(drop);
        let thread = thread::Builder::new().name("close".to_owned()).spawn(work)?;
        Ok(Closer { gathered: Vec::with_capacity(BATCH), queue: Some(queue), thread: Some(thread) })
    }

    /// Closes a connection, sooner or later.
    pub(super) fn close(&mut self, visit: Visit) {
        self.gathered.push(visit);
        if self.gathered.len() < BATCH {
            return;
        }
        let batch = mem::replace(&mut self.gathered, Vec::with_capacity(BATCH));
        match self.queue.as_ref().map(|queue| queue.try_send(batch)) {
            // It is closed here.
            Some(Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch))) => drop(batch),
            None | Some(Ok(())) => {}
        }
    }

    /// Closes what would wait for others.
    pub(super) fn flush(&mut self) {
        self.gathered.clear();
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            let _ = thread.join();
        }
    }
}
