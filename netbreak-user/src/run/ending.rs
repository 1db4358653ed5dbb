//! Who ends a run before its time.

use anyhow::Result;
use tokio::sync::watch;

use crate::signals::{Ended, Signals};

/// Who ends a run before its time.
pub enum End {
    /// SIGINT, SIGTERM and SIGHUP; from its start on these do not end the process any more.
    Signals,
    /// Whoever sends `true`, also before the start; signals are the caller's.
    Told(watch::Receiver<bool>),
}

/// [`End`], listened to.
pub(super) enum Ending {
    Signals(Signals),
    Told(watch::Receiver<bool>),
    /// It was told, which happens once.
    Over,
}

impl Ending {
    /// From here on a signal ends the run and not the process, if signals do.
    pub(super) fn new(end: End) -> Result<Self> {
        Ok(match end {
            End::Signals => Ending::Signals(Signals::handle()?),
            End::Told(told) => Ending::Told(told),
        })
    }

    /// Returns when the run is to end; each signal counts.
    pub(super) async fn come(&mut self) -> Ended {
        match self {
            Ending::Signals(signals) => signals.come().await,
            Ending::Told(told) => {
                if told.wait_for(|is_over| *is_over).await.is_err() {
                    // Nobody is left to tell.
                    return std::future::pending().await;
                }
                *self = Ending::Over;
                Ended::Asked
            }
            Ending::Over => std::future::pending().await,
        }
    }
}
