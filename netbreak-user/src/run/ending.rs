//! Who ends a run before its time.

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Who ends a run before its time.
pub enum End {
    /// SIGINT and SIGTERM; from its start on these do not end the process any more.
    Signals,
    /// Whoever sends `true`, also before the start; signals are the caller's.
    Told(watch::Receiver<bool>),
}

/// [`End`], listened to.
pub(super) enum Ending {
    Signals(Signal, Signal),
    Told(watch::Receiver<bool>),
    /// It was told, which happens once.
    Over,
}

impl Ending {
    /// From here on a signal ends the run and not the process, if signals do.
    pub(super) fn new(end: End) -> Result<Self> {
        Ok(match end {
            End::Signals => Ending::Signals(
                signal(SignalKind::interrupt()).context("cannot handle SIGINT")?,
                signal(SignalKind::terminate()).context("cannot handle SIGTERM")?,
            ),
            End::Told(told) => Ending::Told(told),
        })
    }

    /// Returns when the run is to end; each signal counts.
    pub(super) async fn come(&mut self) {
        match self {
            Ending::Signals(interrupt, terminate) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Ending::Told(told) => {
                if told.wait_for(|is_over| *is_over).await.is_err() {
                    // Nobody is left to tell.
                    return std::future::pending().await;
                }
                *self = Ending::Over;
            }
            Ending::Over => std::future::pending().await,
        }
    }
}
