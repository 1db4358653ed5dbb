//! What breaks what is measured: when it starts, what became of it, and when the run has seen enough.

use anyhow::Result;

use super::{
    quiet::{is_quiet, was_quiet},
    shell::Shell,
    underway::{End, Underway},
};
use crate::{clock::Nanos, options, probe::Pulse};

/// What breaks the network meanwhile, and when.
pub struct Break {
    /// What is done.
    pub work: Work,
    /// From the first attempt to its start, in nanoseconds.
    pub lead_in: Nanos,
    /// How long everything must be quiet after it for the run to end, in nanoseconds.
    pub quiet_for: Nanos,
}

/// What is done to the network.
pub enum Work {
    /// `sh -c`.
    Command(String),
    /// Something of our own, in a thread of its own.
    Own {
        /// What it is, for people.
        name: String,
        /// Returns when it is done.
        work: Box<dyn FnOnce() -> Result<()> + Send>,
    },
}

impl From<options::Trigger> for Break {
    fn from(trigger: options::Trigger) -> Break {
        let options::Trigger { command, lead_in, quiet_for } = trigger;
        Break { work: Work::Command(command), lead_in, quiet_for }
    }
}

/// A trigger, on its way through life.
pub(super) struct Trigger {
    quiet_for: Nanos,
    /// As it is shown.
    shown: String,
    state: State,
    /// When something happened, and what.
    marks: Vec<(Nanos, String)>,
    /// Why the run did not measure what it was to measure.
    failed: Option<String>,
}

enum State {
    /// It starts then.
    Due(Nanos, Work),
    Running(Underway),
    /// What it left behind in its group ends with the run.
    Over {
        at: Nanos,
        _rest: Option<Underway>,
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
    pub(super) fn new(plan: Break, start: Nanos) -> Trigger {
        let shown = match &plan.work {
            Work::Command(command) => format!("`{}`", shown(command)),
            Work::Own { name, .. } => name.clone(),
        };
        let state = State::Due(start.saturating_add(plan.lead_in), plan.work);
        Trigger { quiet_for: plan.quiet_for, shown, state, marks: Vec::new(), failed: None }
    }

    /// Starts it when its time has come, and sees whether it has ended. Returns whether the run has seen enough.
    pub(super) fn look(&mut self, now: Nanos, probes: &[Pulse]) -> bool {
        match &mut self.state {
            State::Due(at, _) if *at <= now => self.start(now, probes),
            State::Due(..) => {}
            State::Running(underway) => {
                if let Some(end) = underway.ended() {
                    self.end(end);
                }
            }
            State::Over { at, .. } => return is_quiet(probes, *at, self.quiet_for),
        }
        false
    }

    fn start(&mut self, now: Nanos, probes: &[Pulse]) {
        let State::Due(_, work) = std::mem::replace(&mut self.state, State::Over { at: now, _rest: None })
        else {
            return;
        };
        let started = match work {
            Work::Command(command) => Shell::start(&command).map(Underway::Shell),
            Work::Own { work, .. } => Underway::own(work),
        };
        match started {
            Ok(underway) => {
                let before = match was_quiet(probes) {
                    true => "",
                    false => "; not everything had been answered before it",
                };
                self.marks.push((now, format!("{} started{before}", self.shown)));
                self.state = State::Running(underway);
            }
            Err(error) => self.fail(now, format!("could not be started: {error:#}")),
        }
    }

    fn end(&mut self, End { at, how, is_well }: End) {
        match is_well {
            true => self.marks.push((at, format!("{} {how}", self.shown))),
            false => self.fail(at, how),
        }
        let running = std::mem::replace(&mut self.state, State::Over { at, _rest: None });
        if let (State::Running(underway), State::Over { _rest, .. }) = (running, &mut self.state) {
            *_rest = Some(underway);
        }
    }

    fn fail(&mut self, at: Nanos, what: String) {
        self.marks.push((at, format!("{} {what}", self.shown)));
        self.failed = Some(format!("the trigger {} {what}", self.shown));
    }

    /// The run is to end early: so is this.
    pub(super) fn interrupt(&self) {
        if let State::Running(underway) = &self.state {
            underway.terminate();
        }
    }

    /// The run was over at `at`. Ends what still runs.
    pub(super) fn finish(mut self, at: Nanos) -> Outcome {
        match &mut self.state {
            State::Due(..) => self.fail(at, "was never started: the run was over before".to_owned()),
            State::Running(underway) => {
                let what = underway.wait();
                self.fail(at, format!("had not ended when the run was over, and {what}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(command: &str) -> Trigger {
        work(Work::Command(command.to_owned()))
    }

    fn work(work: Work) -> Trigger {
        Trigger::new(Break { work, lead_in: 10, quiet_for: 50 }, 100)
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
    fn work_of_our_own_is_told_by_its_name() {
        let own = |work: fn() -> Result<()>| super::Work::Own {
            name: "the reload".to_owned(),
            work: Box::new(work),
        };
        for (done, marks, failed) in [
            (own(|| Ok(())), ["the reload started", "the reload was done"], None),
            (
                own(|| anyhow::bail!("no switch")),
                ["the reload started", "the reload failed: no switch"],
                Some("the trigger the reload failed: no switch"),
            ),
        ] {
            let mut trigger = work(done);
            run(&mut trigger, &[pulse(105)]);
            let outcome = trigger.finish(500);
            assert_eq!(outcome.marks.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(), marks);
            assert_eq!(outcome.failed.as_deref(), failed);
        }
        let (go, wait) = std::sync::mpsc::channel();
        let slow = move || Ok(wait.recv()?);
        let mut trigger = work(super::Work::Own { name: "the reload".to_owned(), work: Box::new(slow) });
        assert!(!trigger.look(110, &[]));
        go.send(()).unwrap();
        assert!(trigger.finish(500).failed.unwrap().contains("had not ended when the run was over"));
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
