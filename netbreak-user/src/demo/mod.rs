//! `netbreak demo`: a disposable lab, five probes, a break in the middle, a verdict.

use std::{
    net::IpAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    clock::{self, Nanos, SECOND},
    kernel,
    lab::{FAULTS, Fault, Lab, Role, SERVER_V4, find},
    netns::Namespace,
    options::{DemoOptions, JsonFile},
    probe::{Kind, Spec},
    progress::Progress,
    report::VerdictWord,
    run::{Plan, measure, publish},
    serve,
    stdout::write_stdout,
};

const DEFAULT_FAULT: &str = "nft-forward";

/// Where `serve` listens.
const TCP: u16 = 7000;
const HTTP: u16 = 80;
const UDP: u16 = 4000;
const STREAM: u16 = 5201;

/// Runs the demo, or lists its faults. The lab goes when this returns, whatever happened; if the process is killed the
/// kernel removes it.
///
/// # Errors
/// An unknown fault, or whatever keeps the lab or the run from starting.
pub fn run(options: &DemoOptions) -> Result<VerdictWord> {
    if options.list {
        write_stdout(&list())?;
        return Ok(VerdictWord::Clean);
    }
    let name = options.fault.as_deref().unwrap_or(DEFAULT_FAULT);
    let Some(fault) = find(name).filter(|fault| fault.demo) else {
        bail!("--fault {name}: no such fault; `netbreak demo --list` shows them");
    };
    let json = options.output.json.as_deref().map(JsonFile::open).transpose()?;
    let mut lab = Lab::new().context("cannot build the lab (`netbreak demo` needs root)")?;
    let _server = Server::start(&lab)?;
    let client = Namespace::open(lab.namespace(Role::Client).path())?;
    let names = lab.names().map(|(inode, name)| (inode, name.to_owned())).to_vec();
    let address = IpAddr::V4(SERVER_V4);
    let (started, start) = mpsc::channel();
    let (over, is_over) = mpsc::channel::<()>();
    let duration = options.duration;
    let lab = &mut lab;
    let (measured, broken) = thread::scope(|scope| {
        let breaker = scope.spawn(move || break_and_mend(lab, fault, &start, &is_over, duration));
        let measured = measure(Plan {
            targets: vec![("server".to_owned(), address)],
            specs: probes(address, duration),
            netns: Arc::new(client),
            tracer: Some(kernel::Options::default()),
            progress: Progress::new(false),
            netns_names: names,
            give_up_privileges: false,
            started: Box::new(move |start| {
                // The breaker is gone only if it panicked, which is told later.
                let _ = started.send(start);
            }),
        });
        drop(over);
        let broken = breaker.join().unwrap_or_else(|_| bail!("the thread that breaks the lab panicked"));
        measured.and_then(|measured| broken.map(|broken| (measured, broken)))
    })?;
    if options.output.stdout == Some(crate::cli::Format::Text) {
        write_stdout(&introduction(fault, duration, measured.report.run.duration_s, broken))?;
    }
    publish(&measured.report, &options.output, json)?;
    Ok(measured.report.verdict)
}

fn list() -> String {
    let width = FAULTS.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    FAULTS
        .iter()
        .filter(|fault| fault.demo)
        .map(|fault| {
            let default = if fault.name == DEFAULT_FAULT { " (default)" } else { "" };
            format!("{:width$}  {}{default}\n", fault.name, fault.summary)
        })
        .collect()
}

fn probes(address: IpAddr, duration: Nanos) -> Vec<Spec> {
    let kinds = [
        (Kind::Icmp, None),
        (Kind::Tcp, Some(TCP)),
        (Kind::Http, Some(HTTP)),
        (Kind::Udp, Some(UDP)),
        (Kind::Stream, Some(STREAM)),
    ];
    let spec =
        |(kind, port)| Spec { duration, ..Spec::new(0, kind, address, port, u64::from(std::process::id())) };
    kinds.into_iter().map(spec).collect()
}

/// How long after the start the break begins: three of eight seconds.
fn broken_from(duration: Nanos) -> Nanos {
    duration * 3 / 8
}

/// How long the break takes: two of eight seconds.
fn broken_for(duration: Nanos) -> Nanos {
    duration / 4
}

/// What was done, before the report: a run that was interrupted had less of the break, or none.
fn introduction(fault: &Fault, planned: Nanos, lasted_s: f64, broken: bool) -> String {
    let seconds = |time: Nanos| time as f64 / SECOND as f64;
    let hundredths = |time: f64| (time * 100.0).round() / 100.0;
    let what = if broken {
        let broken_s = seconds(broken_for(planned)).min(lasted_s - seconds(broken_from(planned))).max(0.0);
        format!("The break, for {} of {} seconds", hundredths(broken_s), hundredths(lasted_s))
    } else {
        "The run ended before its break".to_owned()
    };
    format!("The lab: client – router – server. {what}: {}.\n\n", fault.summary)
}

/// Breaks the lab from [`broken_from`] on for [`broken_for`], unless the run is over before. Returns whether it did.
fn break_and_mend(
    lab: &mut Lab,
    fault: &Fault,
    start: &mpsc::Receiver<Nanos>,
    is_over: &mpsc::Receiver<()>,
    duration: Nanos,
) -> Result<bool> {
    let Ok(start) = start.recv() else { return Ok(false) };
    // The channel says nothing: it only closes when the run is over.
    let over_before = |at: Nanos| {
        let wait = Duration::from_nanos(at.saturating_sub(clock::now()));
        is_over.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Disconnected)
    };
    let from = start + broken_from(duration);
    let until = from + broken_for(duration);
    if over_before(from) {
        return Ok(false);
    }
    lab.apply(fault)?;
    over_before(until);
    lab.undo(fault)?;
    Ok(true)
}

/// `netbreak serve` in the server's namespace, until dropped.
struct Server {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Server {
    fn start(lab: &Lab) -> Result<Self> {
        let namespace = Namespace::open(lab.namespace(Role::Server).path())?;
        let mut config = serve::Config::new(SERVER_V4.into());
        (config.tcp, config.http, config.udp, config.stream) =
            (vec![TCP], vec![HTTP], vec![UDP], vec![STREAM]);
        let (ready, is_ready) = mpsc::sync_channel(1);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let work = move || -> Result<()> {
            namespace.enter()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    served = serve::serve(config, move |_| ready.send(()).unwrap_or(())) => served?,
                    _ = stopped => {}
                }
                Ok(())
            })
        };
        let thread = thread::Builder::new().name("serve".to_owned()).spawn(work)?;
        let mut server = Self { stop: Some(stop), thread: Some(thread) };
        if is_ready.recv().is_err() {
            let ended = server.thread.take().map(thread::JoinHandle::join);
            match ended {
                Some(Ok(Err(error))) => return Err(error.context("cannot start `serve` in the lab")),
                _ => bail!("`serve` ended unexpectedly in the lab"),
            }
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends because of that; whether it panicked before does not matter any more.
        self.thread.take().map(thread::JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fault_is_in_the_list() {
        assert!(list().lines().any(|line| line.starts_with(DEFAULT_FAULT) && line.ends_with("(default)")));
    }

    #[test]
    fn the_demo_breaks_two_of_eight_seconds() {
        assert_eq!((broken_from(8 * SECOND), broken_for(8 * SECOND)), (3 * SECOND, 2 * SECOND));
    }

    #[test]
    fn the_introduction_announces_only_the_break_that_was() {
        let fault = find(DEFAULT_FAULT).unwrap();
        let said = |lasted_s, broken| introduction(fault, 8 * SECOND, lasted_s, broken);
        assert!(said(8.0, true).contains("The break, for 2 of 8 seconds: the router"), "{}", said(8.0, true));
        assert!(said(4.25, true).contains("The break, for 1.25 of 4.25 seconds: the router"));
        assert!(said(2.0, false).contains("The run ended before its break: the router"));
    }
}
