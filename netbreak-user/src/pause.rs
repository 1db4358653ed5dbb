//! `netbreak pause`: nothing, until SIGINT or SIGTERM.
//!
//! An image of one binary has no `sleep`, and a process 1 that does not handle SIGTERM never gets it
//! (`sig_task_ignored` in kernel/signal.c): its pod would only go when it is killed.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Waits.
///
/// # Errors
/// When the signals cannot be handled.
pub fn command() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
