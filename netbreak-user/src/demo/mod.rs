//! `netbreak demo`: a disposable lab, probes, a break in the middle, a verdict.

mod cluster;
mod ovs;
mod plain;
mod served;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    cli::DemoLab,
    clock::{self, Nanos, SECOND},
    kernel, lab,
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::{Kind, Spec},
    progress::Progress,
    report::VerdictWord,
    run::{End, Plan, Source, Visited, follow, measure, publish},
    stdout::write_stdout,
};

/// Where the other ends listen.
const TCP: u16 = 7000;
const UDP: u16 = 4000;

/// Runs the demo, or lists what can happen. The lab goes when this returns, whatever happened; if the process is killed
/// the kernel removes it.
///
/// # Errors
/// An unknown fault, or whatever keeps the lab or the run from starting.
pub fn run(options: &DemoOptions) -> Result<VerdictWord> {
    match options.lab {
        DemoLab::Plain => plain::run(options),
        DemoLab::Ovs => ovs::run(options, lab::ovs::Kind::Ovs),
        DemoLab::Ovn => ovs::run(options, lab::ovs::Kind::Ovn),
        DemoLab::OvnCluster => cluster::run(options),
    }
}

/// A lab, and what shall happen to it.
trait Breakable: Send {
    fn apply(&mut self) -> Result<()>;
    fn undo(&mut self) -> Result<()>;
}

/// What is measured meanwhile, and how the lab and its break are called.
struct Scene {
    /// Who is connected to whom.
    lab: &'static str,
    /// What happens.
    summary: &'static str,
    /// Where the probes leave from.
    client: Namespace,
    /// Names for namespaces.
    names: Vec<(u32, String)>,
    /// Whom they visit.
    targets: Vec<Visited>,
    /// How: on which port each.
    probes: &'static [(Kind, Option<u16>)],
    /// How often each.
    interval: Nanos,
}

/// Measures while the lab breaks and heals, and writes the report.
fn play(scene: Scene, lab: &mut dyn Breakable, options: &DemoOptions, files: Files) -> Result<VerdictWord> {
    let (started, start) = mpsc::channel();
    let (over, is_over) = mpsc::channel::<()>();
    let duration = options.duration;
    let what = (scene.lab, scene.summary);
    let (measured, broken) = thread::scope(|scope| {
        let breaker = scope.spawn(move || break_and_mend(lab, &start, &is_over, duration));
        let specs = specs(&scene, duration);
        let sources = vec![Source { netns: Arc::new(scene.client), specs }];
        let measured = measure(Plan {
            targets: scene.targets,
            tracer: Some(follow_all(&sources)),
            sources,
            path: options.path,
            trigger: None,
            progress: Progress::new(false),
            netns_names: scene.names,
            give_up_privileges: false,
            started: Box::new(move |start| {
                // The breaker is gone only if it panicked, which is told later.
                let _ = started.send(start);
            }),
            end: End::Signals,
        });
        drop(over);
        let broken = breaker.join().unwrap_or_else(|_| bail!("the thread that breaks the lab panicked"));
        measured.and_then(|measured| broken.map(|broken| (measured, broken)))
    })?;
    if options.output.stdout == Some(crate::cli::Format::Text) {
        let lasted_s = measured.report.run.duration_s;
        write_stdout(&introduction(what, duration, lasted_s, broken))?;
    }
    publish(&measured.report, &options.output, files)?;
    Ok(measured.report.verdict)
}

/// A kernel side that follows the packets of all probes.
fn follow_all(sources: &[Source]) -> kernel::Options {
    let specs = sources.iter().flat_map(|source| &source.specs);
    kernel::Options { follow: Some(follow(specs)), ..Default::default() }
}

/// One line for each of `(name, summary)`; the first one called `default` is marked.
fn list(all: &[(&str, &str)], default: &str) -> String {
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, summary): &(&str, &str)| {
        let mark = if *name == default { " (default)" } else { "" };
        format!("{name:width$}  {summary}{mark}\n")
    };
    all.iter().map(line).collect()
}

/// Every probe of every target.
fn specs(scene: &Scene, duration: Nanos) -> Vec<Spec> {
    let run_id = u64::from(std::process::id());
    let interval = scene.interval;
    let of_target = |(index, visited): (usize, &Visited)| {
        let address = visited.address;
        scene.probes.iter().map(move |(kind, port)| Spec {
            duration,
            interval,
            ..Spec::new(index, *kind, address, *port, run_id)
        })
    };
    scene.targets.iter().enumerate().flat_map(of_target).collect()
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
fn introduction((lab, summary): (&str, &str), planned: Nanos, lasted_s: f64, broken: bool) -> String {
    let seconds = |time: Nanos| time as f64 / SECOND as f64;
    let hundredths = |time: f64| (time * 100.0).round() / 100.0;
    let what = if broken {
        let broken_s = seconds(broken_for(planned)).min(lasted_s - seconds(broken_from(planned))).max(0.0);
        format!("The break, for {} of {} seconds", hundredths(broken_s), hundredths(lasted_s))
    } else {
        "The run ended before its break".to_owned()
    };
    format!("The lab: {lab}. {what}: {summary}.\n\n")
}

/// Breaks the lab from [`broken_from`] on for [`broken_for`], unless the run is over before. Returns whether it did.
fn break_and_mend(
    lab: &mut dyn Breakable,
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
    lab.apply()?;
    over_before(until);
    lab.undo()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_marks_the_default() {
        let said = list(&[("ab", "one"), ("c", "two")], "c");
        assert_eq!(said, "ab  one\nc   two (default)\n");
    }

    #[test]
    fn the_demo_breaks_two_of_eight_seconds() {
        assert_eq!((broken_from(8 * SECOND), broken_for(8 * SECOND)), (3 * SECOND, 2 * SECOND));
    }

    #[test]
    fn the_introduction_announces_only_the_break_that_was() {
        let said = |lasted_s, broken| introduction(("a – b", "the router"), 8 * SECOND, lasted_s, broken);
        assert_eq!(said(8.0, true), "The lab: a – b. The break, for 2 of 8 seconds: the router.\n\n");
        assert!(said(4.25, true).contains("The break, for 1.25 of 4.25 seconds: the router"));
        assert!(said(2.0, false).contains("The run ended before its break: the router"));
    }
}
