//! The command that breaks what is measured: when it starts, what became of it, and when the run has seen enough.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use super::{
    quiet::{is_quiet, was_quiet},
    shell::{End, Shell},
};
use crate::{clock::Nanos, options, probe::Pulse};

/// A trigger, on its way through life.
pub(super) struct Trigger {
    plan: options::Trigger,
    /// The command as it is shown.
    shown: String,
    state: State,
    /// When something happened, and what.
    marks: Vec<(Nanos, String)>,
    /// Why the run did not measure what it was to measure.
    failed: Option<String>,
}

enum State {
    /// It starts then.
    Due(Nanos),
    Running(Shell),
    /// What it left behind in its group ends with the run.
    Over {
        at: Nanos,
        _rest: Option<Shell>,
    },
}

/// Characters of a command that are shown.
const SHOWN: usize = 80;

/// What became of it.
#[derive(Default)]
pub(super) struct Outcome {
    /// When something happened, and what.
    pub(super) marks: Vec<(Nanos, String)>,
    /// Why the run did not measure what it was to measure.
    pub(super) failed: Option<String>,
}

impl Trigger {
    /// For a run whose first attempt leaves at `start`.
    pub(super) fn new(plan: options::Trigger, start: Nanos) -> Trigger {
        let state = State::Due(start.saturating_add(plan.lead_in));
        Trigger { shown: shown(&plan.command), plan, state, marks: Vec::new(), failed: None }
    }

    /// Starts it when its time has come, and sees whether it has ended. Returns whether the run has seen enough.
    pub(super) fn look(&mut self, now: Nanos, probes: &[Pulse]) -> bool {
        match &self.state {
            State::Due(at) if *at <= now => self.start(now, probes),
            State::Due(_) => {}
            State::Running(shell) => {
                if let Some(end) = shell.ended() {
                    self.end(end);
                }
            }
            State::Over { at, .. } => return is_quiet(probes, *at, self.plan.quiet_for),
        }
        false
    }

    fn start(&mut self, now: Nanos, probes: &[Pulse]) {
        match Shell::start(&self.plan.command) {
            Ok(shell) => {
                let before = match was_quiet(probes) {
                    true => "",
                    false => "; not everything had been answered before it",
                };
                self.marks.push((now, format!("`{}` started{before}", self.shown)));
                self.state = State::Running(shell);
            }
            Err(error) => {
                self.fail(now, format!("could not be started: {error:#}"));
                self.state = State::Over { at: now, _rest: None };
            }
        }
    }

    fn end(&mut self, (at, status): End) {
        let (how, is_well) = match status {
            Ok(status) => (in_words(status), status.success()),
            Err(error) => (format!("ended, and how is not known: {error}"), false),
        };
        match is_well {
            true => self.marks.push((at, format!("`{}` {how}", self.shown))),
            false => self.fail(at, how),
        }
        let running = std::mem::replace(&mut self.state, State::Over { at, _rest: None });
        if let (State::Running(shell), State::Over { _rest, .. }) = (running, &mut self.state) {
            *_rest = Some(shell);
        }
    }

    fn fail(&mut self, at: Nanos, what: String) {
        self.marks.push((at, format!("`{}` {what}", self.shown)));
        self.failed = Some(format!("the trigger `{}` {what}", self.shown));
    }

    /// The run is to end early: so is this.
    pub(super) fn interrupt(&self) {
        if let State::Running(shell) = &self.state {
            shell.terminate();
        }
    }

    /// The run was over at `at`. Ends what still runs.
    pub(super) fn finish(mut self, at: Nanos) -> Outcome {
        match &self.state {
            State::Due(_) => self.fail(at, "was never started: the run was over before".to_owned()),
            State::Running(shell) => {
                shell.wait();
                self.fail(at, "had not ended when the run was over, and was ended".to_owned());
            }
            State::Over { .. } => {}
        }
        Outcome { marks: self.marks, failed: self.failed }
    }
}

/// A command may be a whole script: its begin, on one line.
fn shown(command: &str) -> String {
    let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(command: &str) -> Trigger {
        let plan = options::Trigger { command: command.to_owned(), lead_in: 10, quiet_for: 50 };
        Trigger::new(plan, 100)
    }

    fn pulse(settled: Nanos) -> Pulse {
        Pulse { settled: Some(settled), troubled: None }
    }

    /// Looks until it is over, and returns when that was.
    fn run(trigger: &mut Trigger, probes: &[Pulse]) -> Nanos {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            trigger.look(110, probes);
            if let State::Over { at, .. } = trigger.state {
                return at;
            }
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_starts_after_the_lead_in_and_the_run_is_over_once_all_was_quiet() {
        let mut trigger = trigger("true");
        assert!(!trigger.look(109, &[pulse(105)]));
        assert!(trigger.marks.is_empty());
        let over = run(&mut trigger, &[pulse(105)]);
        assert!(!trigger.look(over + 50, &[pulse(over + 49)]));
        assert!(trigger.look(over + 60, &[pulse(over + 50)]));
        let Outcome { marks, failed } = trigger.finish(over + 60);
        let said: Vec<&str> = marks.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(said, ["`true` started", "`true` ended with exit status 0"]);
        assert_eq!((marks[0].0, failed), (110, None));
    }

    #[test]
    fn what_kept_it_from_its_work_is_said() {
        for (command, words) in [
            ("exit 3", "the trigger `exit 3` ended with exit status 3"),
            ("no-such-command-at-all", "ended with exit status 127: the shell did not find a command"),
            ("kill -USR1 $$", "was killed by signal 10"),
        ] {
            let mut trigger = trigger(command);
            run(&mut trigger, &[]);
            let failed = trigger.finish(0).failed.unwrap();
            assert!(failed.contains(words), "{failed}");
        }
    }

    #[test]
    fn a_script_is_shown_by_its_begin() {
        assert_eq!(shown("  set -e\n\treload  now\n"), "set -e reload now");
        assert_eq!(shown(&"é".repeat(100)), format!("{}…", "é".repeat(SHOWN)));
    }

    #[test]
    fn one_that_never_starts_or_never_ends_is_said_and_ended() {
        assert!(trigger("true").finish(5).failed.unwrap().contains("never started"));
        let mut endless = trigger("sleep 1000");
        assert!(!endless.look(110, &[Pulse::default()]));
        let Outcome { marks, failed } = endless.finish(500);
        assert!(marks[0].1.ends_with("started; not everything had been answered before it"), "{marks:?}");
        assert!(failed.unwrap().contains("had not ended when the run was over"));
        assert_eq!(marks[1].0, 500);
    }
}
