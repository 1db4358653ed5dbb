//! `netbreak agent`: windows of probes, one after another, for ever; what they found by HTTP.
//!
//! This thread starts the threads of windows and of whoever follows a run, and keeps the privileges that the next one
//! needs; they give up theirs, and the thread that listens has none.

mod following;
mod health;
mod http;
mod kept;
mod mesh;
mod sentence;
mod window;

use std::{
    io::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use self::{
    following::Ask,
    health::Health,
    http::Server,
    kept::Kept,
    mesh::{Mesh, Round},
    sentence::sentence,
    window::{Ended, Windows},
};
use crate::{
    clock::{self, Nanos, SECOND},
    netns::Namespace,
    options::{AgentOptions, Host, Refused},
    report::{Report, VerdictWord, prometheus::Metrics},
    run::privileges,
};

/// Series of one metric: those of some thousand probes.
const MOST_SERIES: usize = 10_000;

/// After a window that could not be measured, or with nobody to visit; never longer than a window.
const PAUSE: Nanos = 5 * SECOND;

/// What the main thread is told.
enum Message {
    /// SIGINT or SIGTERM came.
    End,
    /// A window ended.
    Window(Box<Ended>),
    /// Somebody wants a run followed.
    Follow(Box<Ask>),
    /// That is over.
    Followed,
}

/// What answers are made of.
struct Shared(Mutex<Results>);

struct Results {
    metrics: Metrics,
    kept: Kept,
    health: Health,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Results> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The main thread's own.
struct Agent {
    windows: Windows,
    shared: Arc<Shared>,
    tell: mpsc::Sender<Message>,
    /// Ends the window and whoever follows a run.
    end: watch::Sender<bool>,
    /// What is under way: a window, and runs that are followed.
    in_progress: (bool, usize),
    /// When the next window begins; `None` while there is one.
    next: Option<Nanos>,
    /// Has a window been measured yet?
    is_proved: bool,
    /// Was the lack of anybody to visit, or of room for all, said?
    is_said: bool,
}

/// Probes until a signal comes.
///
/// # Errors
/// Whatever keeps it from starting: no target that can be resolved, a port that cannot be had, a first window that cannot
/// be measured. Later ones are tried again.
pub fn command(options: AgentOptions) -> Result<()> {
    let options = Arc::new(options);
    let (end, ending) = watch::channel(false);
    let results = Results {
        metrics: Metrics::new(env!("CARGO_PKG_VERSION"), MOST_SERIES),
        kept: Kept::new(options.keep),
        health: Health::default(),
    };
    let shared = Arc::new(Shared(Mutex::new(results)));
    let windows = Windows {
        netns: Arc::new(Namespace::current()?),
        mesh: Arc::new(Mutex::new(Mesh::new(&options))),
        options: Arc::clone(&options),
        shared: Arc::clone(&shared),
        end: ending,
    };
    let round = windows.look()?;
    if let Some(first) = round.failed.first().filter(|_| round.failed.len() == options.targets.len()) {
        let all = if options.targets.len() > 1 { "no target can be resolved; the first: " } else { "" };
        return Err(Refused::new(format!("{all}{}", first.why)).into());
    }
    for name in options.targets.iter().filter(|target| matches!(target.host, Host::Name(_))) {
        shared.lock().metrics.add_resolve_failures(&name.typed, 0);
    }
    let (tell, told) = mpsc::channel();
    let server = Server::start(options.listen, Arc::clone(&shared), tell.clone())?;
    say(&format!("listening on http://{}/metrics", server.address));
    privileges::keep_only(privileges::STARTER);
    let mut agent = Agent {
        windows,
        shared,
        tell,
        end,
        in_progress: (false, 0),
        next: Some(clock::now()),
        is_proved: false,
        is_said: false,
    };
    agent.note(&round);
    agent.run(&told)?;
    server.stop();
    Ok(())
}

/// For a person: whether anybody reads it does not matter.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "netbreak: {text}");
}

impl Agent {
    /// Until it was told to end and nothing is under way.
    fn run(&mut self, told: &mpsc::Receiver<Message>) -> Result<()> {
        loop {
            let is_over = *self.end.borrow();
            if is_over && self.in_progress == (false, 0) {
                return Ok(());
            }
            let message = match self.next.filter(|_| !is_over) {
                None => told.recv().context("the thread that listens is gone")?,
                Some(next) => match told.recv_timeout(until(next)) {
                    Ok(message) => message,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        self.begin_window()?;
                        continue;
                    }
                    Err(error) => return Err(error).context("the thread that listens is gone"),
                },
            };
            match message {
                Message::End if is_over => bail!("interrupted twice: gave up waiting for the last answers"),
                Message::End => drop(self.end.send(true)),
                Message::Window(ended) => self.take(*ended)?,
                // Told to end: whoever asks finds out, as nobody answers.
                Message::Follow(ask) if is_over => drop(ask),
                Message::Follow(ask) => self.begin_following(*ask),
                Message::Followed => self.in_progress.1 -= 1,
            }
        }
    }

    fn begin_window(&mut self) -> Result<()> {
        let options = &self.windows.options;
        self.shared.lock().health.began(clock::now(), options.window + options.timeout);
        if let Err(error) = self.windows.begin(self.tell.clone()) {
            return self.take(Ended { round: None, report: Err(error) });
        }
        self.in_progress.0 = true;
        self.next = None;
        Ok(())
    }

    fn begin_following(&mut self, ask: Ask) {
        let measure = &self.windows.options.measure;
        if measure.no_kernel {
            let why = "this agent follows no packets: it was started with --no-kernel, and loads nothing into the kernel";
            // Gone again: then nobody need be told.
            let _ = ask.following.send(Err(why.to_owned()));
            return;
        }
        let (flows, end) = (measure.flows, self.end.subscribe());
        match following::begin(ask, flows, end, self.tell.clone()) {
            Ok(()) => self.in_progress.1 += 1,
            // Whoever asked finds out, as nobody answers.
            Err(error) => say(&format!("{error:#}")),
        }
    }

    /// What a window found, or why it did not.
    fn take(&mut self, Ended { round, report }: Ended) -> Result<()> {
        self.in_progress.0 = false;
        if let Some(round) = round {
            self.note(&round);
        }
        let pause = PAUSE.min(self.windows.options.window);
        let (pause, failed) = match report {
            Ok(Some(report)) => {
                self.is_proved = true;
                self.add(report);
                (0, None)
            }
            Ok(None) => (pause, None),
            // What keeps the first one from being measured would keep all.
            Err(error) if !self.is_proved => return Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                say(&format!("a window could not be measured, and the next one is tried: {why}"));
                self.shared.lock().metrics.add_failed_window();
                (pause, Some(why))
            }
        };
        self.shared.lock().health.ended(failed);
        self.next = Some(clock::now() + pause);
        Ok(())
    }

    fn add(&self, report: Report) {
        if report.verdict != VerdictWord::Clean {
            say(&sentence(&report));
        }
        let mut results = self.shared.lock();
        results.metrics.add(&report);
        results.kept.add(report);
    }

    /// Counts and says what is wrong with the targets, each thing once.
    fn note(&mut self, round: &Round) {
        for failure in &round.failed {
            self.shared.lock().metrics.add_resolve_failures(&failure.target, 1);
            if failure.is_new {
                say(&format!("{}; its last known addresses stay", failure.why));
            }
        }
        let what = match (round.left_out, round.visits.is_empty()) {
            (0, false) => None,
            (0, true) => {
                Some("there is nobody to visit but this host itself: looking again and again".to_owned())
            }
            (more, _) => {
                Some(format!("one window has no room for all addresses: {more} of them are not visited"))
            }
        };
        if let Some(what) = what.as_deref().filter(|_| !self.is_said) {
            say(what);
        }
        self.is_said = what.is_some();
    }
}

fn until(at: Nanos) -> Duration {
    Duration::from_nanos(at.saturating_sub(clock::now()))
}
