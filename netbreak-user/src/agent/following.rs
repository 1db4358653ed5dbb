//! Following the packets of another node's run, for one who asks by HTTP.

use std::{sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::Message;
use crate::{
    report::json,
    run::{Followed, sightings_of},
};

/// What was asked for, and whom to tell.
pub(super) struct Ask {
    /// What the packets carry.
    pub(super) run_id: u64,
    /// How long they are followed.
    pub(super) duration: Duration,
    /// Told when they are, or why they cannot be.
    pub(super) following: oneshot::Sender<Result<(), String>>,
    /// Told what was seen, as JSON.
    pub(super) seen: oneshot::Sender<String>,
    /// Over when nobody waits for it any more.
    pub(super) gone: oneshot::Receiver<()>,
    /// Of those who may ask at the same time: given back when the kernel side is gone.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Follows in a thread of its own, which gives up its privileges once its programs are attached, until its time is over,
/// nobody waits any more, or `end` is told `true`. Its end is a message.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn begin(
    ask: Ask,
    flows: u32,
    end: watch::Receiver<bool>,
    tell: mpsc::Sender<Message>,
) -> Result<()> {
    let work = move || {
        // Told also when it panics.
        let _told = Told(tell);
        follow(ask, flows, end);
    };
    thread::Builder::new()
        .name("follow".to_owned())
        .spawn(work)
        .context("cannot start the thread that follows")?;
    Ok(())
}

/// Tells that it is over when it is dropped.
struct Told(mpsc::Sender<Message>);

impl Drop for Told {
    fn drop(&mut self) {
        // Whoever does not listen any more has given up waiting.
        let _ = self.0.send(Message::Followed);
    }
}

fn follow(ask: Ask, flows: u32, mut end: watch::Receiver<bool>) {
    let Ask { run_id, duration, following, seen, gone, permit } = ask;
    let mut waiting = Some(following);
    let begun = || {
        if let Some(following) = waiting.take() {
            // Gone again: then `gone` ends it.
            let _ = following.send(Ok(()));
        }
    };
    let over = async move {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            _ = gone => {}
            _ = end.wait_for(|is_over| *is_over) => {}
        }
    };
    let followed = Followed { run_id, only: Vec::new(), flows };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let sightings =
        runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(sightings_of(followed, begun, over)));
    let text = sightings.and_then(|sightings| Ok(json::render_sightings(&sightings)?));
    // The kernel side is gone: the next one may ask.
    drop(permit);
    match (text, waiting) {
        (Ok(text), _) => drop(seen.send(text)),
        (Err(error), Some(following)) => drop(following.send(Err(format!("{error:#}")))),
        // The answer has begun: that it breaks off says as much.
        (Err(_), None) => {}
    }
}
