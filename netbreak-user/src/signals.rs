//! Signals that end what goes on, and not the process.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// SIGINT or SIGTERM: somebody asked for it.
    Asked,
    /// SIGHUP: the terminal is gone. Nobody asked, and it may come twice: from the shell and from the kernel
    /// (`disassociate_ctty` in drivers/tty/tty_jobctrl.c).
    HungUp,
}

/// From the first of these on, SIGINT, SIGTERM and SIGHUP end no process; a SIGHUP that was ignored, as under `nohup`,
/// still is.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Handles them.
    ///
    /// # Errors
    /// With the name of the signal that cannot be handled.
    pub fn handle() -> Result<Self> {
        let handle = |kind, name| signal(kind).with_context(|| format!("cannot handle {name}"));
        Ok(Signals {
            interrupt: handle(SignalKind::interrupt(), "SIGINT")?,
            terminate: handle(SignalKind::terminate(), "SIGTERM")?,
            hangup: match is_ignored(SignalKind::hangup()) {
                true => None,
                false => Some(handle(SignalKind::hangup(), "SIGHUP")?),
            },
        })
    }

    /// Waits for the next of them.
    pub async fn come(&mut self) -> Ended {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Ended::Asked,
            _ = self.terminate.recv() => Ended::Asked,
            _ = hangup => Ended::HungUp,
        }
    }
}

/// Does this process ignore it? What /proc does not tell is no.
fn is_ignored(kind: SignalKind) -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign >> (kind.as_raw_value() - 1) & 1 == 1)
}
