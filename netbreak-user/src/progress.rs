//! The progress bar: on standard error, only on a terminal. It has no thread; [`Progress::tick`] draws.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::{MILLISECOND, Nanos, SECOND};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Attempts handed to the kernel.
    pub sent: u64,
    /// Answered (or refused).
    pub answered: u64,
    /// Not answered in time.
    pub unanswered: u64,
    /// Since the first attempt.
    pub elapsed: Nanos,
    /// As planned.
    pub duration: Nanos,
}

/// Draws [`Snapshot`]s. Cleared when dropped, so nothing stands before the report.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar on standard error; hidden with `quiet` or where standard error is not a terminal.
    pub fn new(quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        Self::on(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() })
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // The template is ours and a test draws it; without it the bar would only look different.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress { bar }
    }

    /// Draws where the run stands. Call it as often as is convenient: indicatif limits the rate.
    pub fn tick(&self, snapshot: Snapshot) {
        self.bar.set_length(snapshot.duration / MILLISECOND);
        self.bar.set_position(snapshot.elapsed.min(snapshot.duration) / MILLISECOND);
        self.bar.set_message(message(snapshot));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn message(snapshot: Snapshot) -> String {
    format!(
        "{}/{} s  {} sent  {} answered  {} unanswered",
        snapshot.elapsed / SECOND,
        snapshot.duration.div_ceil(SECOND),
        snapshot.sent,
        snapshot.answered,
        snapshot.unanswered
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    const HALF: Snapshot =
        Snapshot { sent: 400, answered: 390, unanswered: 7, elapsed: 4 * SECOND + 10, duration: 8 * SECOND };

    #[test]
    fn draws_and_leaves_nothing() {
        let terminal = InMemoryTerm::new(5, 80);
        let progress = Progress::on(ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255));
        progress.tick(HALF);
        assert_eq!(
            terminal.contents(),
            "============>            4/8 s  400 sent  390 answered  7 unanswered"
        );
        drop(progress);
        assert_eq!(terminal.contents(), "");
    }

    #[test]
    fn more_time_than_planned_is_a_full_bar() {
        let terminal = InMemoryTerm::new(5, 80);
        let progress = Progress::on(ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255));
        progress.tick(Snapshot { elapsed: 9 * SECOND, ..HALF });
        assert!(terminal.contents().starts_with("======================== 9/8 s"), "{}", terminal.contents());
    }

    #[test]
    fn quiet_draws_nothing() {
        let progress = Progress::new(true);
        progress.tick(HALF);
        assert!(progress.bar.is_hidden());
    }
}
