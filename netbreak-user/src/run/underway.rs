//! A trigger that has started, until it ends.

use std::{
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};

use super::shell::Shell;
use crate::clock::{self, Nanos};

/// What was started.
pub(super) enum Underway {
    /// A command of the user's.
    Shell(Shell),
    /// Something of our own; `None` once its end was told.
    Own(Option<JoinHandle<(Nanos, Result<()>)>>),
}

/// How it ended.
pub(super) struct End {
    pub(super) at: Nanos,
    /// In words.
    pub(super) how: String,
    /// Did it do its work?
    pub(super) is_well: bool,
}

impl Underway {
    /// Starts something of our own.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn own(work: Box<dyn FnOnce() -> Result<()> + Send>) -> Result<Underway> {
        let done = move || {
            let result = work();
            (clock::now(), result)
        };
        let thread = thread::Builder::new().name("trigger".to_owned()).spawn(done);
        Ok(Underway::Own(Some(thread.context("cannot start the thread of the trigger")?)))
    }

    /// Its end, told once.
    pub(super) fn ended(&mut self) -> Option<End> {
        match self {
            Underway::Shell(shell) => {
                let (at, status) = shell.ended()?;
                let (how, is_well) = match status {
                    Ok(status) => (in_words(status), status.success()),
                    Err(error) => (format!("ended, and how is not known: {error}"), false),
                };
                Some(End { at, how, is_well })
            }
            Underway::Own(thread) => {
                let thread = thread.take_if(|thread| thread.is_finished())?;
                Some(match thread.join() {
                    Ok((at, Ok(()))) => End { at, how: "was done".to_owned(), is_well: true },
                    Ok((at, Err(error))) => End { at, how: format!("failed: {error:#}"), is_well: false },
                    Err(_) => End { at: clock::now(), how: "panicked".to_owned(), is_well: false },
                })
            }
        }
    }

    /// Asks a command to end.
    pub(super) fn terminate(&self) {
        if let Underway::Shell(shell) = self {
            shell.terminate();
        }
    }

    /// Waits for its end, for that of a command not long. What became of it, in words.
    pub(super) fn wait(&mut self) -> &'static str {
        match self {
            Underway::Shell(shell) => {
                shell.wait();
                "was ended"
            }
            Underway::Own(thread) => {
                // Whether it panicked does not matter any more: it did not do its work in time.
                thread.take().map(JoinHandle::join);
                "was waited for"
            }
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(127), _) => "ended with exit status 127: the shell did not find a command".to_owned(),
        (Some(126), _) => "ended with exit status 126: the shell may not run a command".to_owned(),
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}
