//! The end of a run before its time.

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::{clock::Nanos, signals::Ended};

/// Whether, when and why the probes were told to make no more attempts.
#[derive(Debug, Default)]
pub(super) struct Early {
    at: Option<Nanos>,
    interrupted: bool,
}

impl Early {
    /// When they were told.
    pub(super) fn at(&self) -> Option<Nanos> {
        self.at
    }

    /// Was it a signal?
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// The run has seen enough: the probes only wait for the answers that are still to come.
    pub(super) fn end(&mut self, now: Nanos, probes: &watch::Sender<bool>) {
        if self.at.is_none() {
            self.at = Some(now);
            // If nobody listens the probes are over already.
            let _ = probes.send(true);
        }
    }

    /// A signal came. It ends the run; the second one does not wait for answers, if somebody sent it.
    pub(super) fn interrupt(&mut self, now: Nanos, ended: Ended, probes: &watch::Sender<bool>) -> Result<()> {
        if self.interrupted && ended == Ended::Asked {
            bail!("interrupted twice: gave up waiting for the last answers, so there is no report");
        }
        self.interrupted = true;
        self.end(now, probes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_no_interruption_and_the_first_time_stands() {
        let (probes, told) = watch::channel(false);
        let mut early = Early::default();
        early.end(5, &probes);
        assert_eq!((early.at(), early.interrupted(), *told.borrow()), (Some(5), false, true));
        early.interrupt(7, Ended::Asked, &probes).unwrap();
        assert_eq!((early.at(), early.interrupted()), (Some(5), true));
        assert!(
            early.interrupt(8, Ended::Asked, &probes).unwrap_err().to_string().contains("interrupted twice")
        );
    }

    #[test]
    fn a_terminal_that_goes_sends_two_signals_and_the_report_is_still_written() {
        let (probes, _told) = watch::channel(false);
        let mut early = Early::default();
        early.interrupt(5, Ended::HungUp, &probes).unwrap();
        early.interrupt(6, Ended::HungUp, &probes).unwrap();
        assert_eq!((early.at(), early.interrupted()), (Some(5), true));
        assert!(early.interrupt(7, Ended::Asked, &probes).is_err());
    }
}
