//! One run: from checked options to a report. The only place that knows probes, kernel, counters, verdict and report.

mod assemble;
mod books;
mod changes;
mod dead;
mod early;
mod ending;
mod follow;
mod kept;
mod matrix;
mod measure;
mod names;
pub(crate) mod privileges;
mod probing;
mod quiet;
mod shell;
mod sightings;
mod trigger;
mod underway;
mod urgency;

pub(crate) use assemble::flow_at;
pub use ending::End;
pub use follow::command as follow_run;
pub use matrix::command as matrix_command;
pub use measure::{Measurement, NoTracer, Plan, Source, Visited, measure};

pub(crate) use sightings::{Followed, follow as sightings_of};
pub use trigger::{Break, Work};

use std::{io::Write as _, net::IpAddr, sync::Arc};

use anyhow::{Context, Result};

use crate::{
    clock::{Nanos, SECOND},
    kernel,
    netns::Namespace,
    options::{Files, MeasureOptions, Netns, Output, ProbeSpec, ReportFile, RunOptions, TargetSpec, resolve},
    pcapng,
    probe::{Spec, stream_rate},
    progress::Progress,
    report::{self, Report, VerdictWord},
    stdout::write_stdout,
};

/// `netbreak run`: measures and writes the report wherever it was asked for.
///
/// # Errors
/// Everything that keeps a run from starting. Once it has started there is a report.
pub fn run(options: &RunOptions) -> Result<VerdictWord> {
    run_with(options, None)
}

/// The same without the kernel side, which could not be started: the report says why.
///
/// # Errors
/// As [`run`].
pub fn run_untraced(options: &RunOptions, why: &NoTracer) -> Result<VerdictWord> {
    let mut options = options.clone();
    options.measure.no_kernel = true;
    run_with(&options, Some(format!("nothing was loaded into the kernel, and deaths have no place: {why}")))
}

/// `untraced` is why there is no kernel side, if not because the options say so.
fn run_with(options: &RunOptions, untraced: Option<String>) -> Result<VerdictWord> {
    let netns = match &options.netns {
        Some(netns) => open(netns).context("--netns")?,
        None => Namespace::current()?,
    };
    // Names are resolved where the probes will be sent.
    let addresses = netns.run(|| {
        options
            .targets
            .iter()
            .map(|target| resolve(&target.host, options.family))
            .collect::<Result<Vec<_>, _>>()
    })??;
    let run_id = options.measure.run_id.map_or_else(random_run_id, Ok)?;
    let mut specs = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        for probe in &options.probes {
            let mut spec = spec_of(probe, (index, &options.targets[index].typed, *address), run_id);
            (spec.interval, spec.timeout, spec.duration) =
                (options.interval_of(probe.kind()), options.timeout, options.duration);
            spec.size = options.size.unwrap_or(spec.size);
            spec.dont_fragment = options.dont_fragment;
            (spec.sources, spec.interface) = (options.sources.clone(), options.interface.clone());
            spec.connections = options.connections_of(probe.kind());
            spec.insecure = options.insecure;
            let streams = options.probes_of(probe.kind());
            spec.stream_rate_bps = stream_rate(streams);
            for turn in 0..streams as u64 {
                spec.delay = if streams > 1 { spec.pace() * turn / streams as u64 } else { 0 };
                specs.push(spec.clone());
            }
        }
    }
    // Before the run, and after the resolver, which may take long and be interrupted: that leaves no empty file.
    let files = Files::open(&options.measure.output)?;
    let visited = |(target, address): (&TargetSpec, IpAddr)| Visited::new(&target.typed, address);
    let targets = options.targets.iter().zip(addresses).map(visited).collect();
    let sources = vec![Source { netns: Arc::new(netns), specs }];
    let mut measurement = measure(plan(&options.measure, targets, sources, &files))?;
    if let (Some(why), Some(sensor)) = (untraced, measurement.report.run.sensors.first_mut()) {
        sensor.why = Some(why);
    }
    finish(measurement, &options.measure.output, files)
}

/// One way of visiting a target: its index, as typed, and its address.
pub(crate) fn spec_of(
    probe: &ProbeSpec,
    (index, typed, address): (usize, &str, IpAddr),
    run_id: u64,
) -> Spec {
    let mut spec = Spec::new(index, probe.kind(), address, probe.port(), run_id);
    if let ProbeSpec::Http { path, .. } | ProbeSpec::Https { path, .. } = probe {
        spec.http_path.clone_from(path);
        spec.http_host = typed.to_owned();
    }
    spec
}

/// What was typed, as a plan.
pub(crate) fn plan(
    options: &MeasureOptions,
    targets: Vec<Visited>,
    sources: Vec<Source>,
    files: &Files,
) -> Plan {
    let follow = (!options.no_path).then(|| follow(sources.iter().flat_map(|source| &source.specs)));
    Plan {
        targets,
        sources,
        tracer: (!options.no_kernel).then_some(kernel::Options {
            flows: options.flows,
            follow,
            headers: files.pcap.is_some(),
            ..Default::default()
        }),
        path: options.path,
        trigger: options.trigger.clone().map(Break::from),
        progress: Progress::new(options.quiet),
        netns_names: Vec::new(),
        give_up_privileges: true,
        started: Box::new(|_| ()),
        end: End::Signals,
    }
}

/// Writes the report of what was measured, and says what became of the trigger.
fn finish(measurement: Measurement, output: &Output, mut files: Files) -> Result<VerdictWord> {
    let pcap = files.pcap.take().map_or(Ok(()), |file| write_packets(&measurement, file));
    publish(&measurement.report, output, files)?;
    pcap?;
    if let Some(failed) = &measurement.trigger_failed {
        // Nobody reads it: the verdict says as much.
        let _ = writeln!(std::io::stderr(), "netbreak: {failed}");
    }
    Ok(measurement.report.verdict)
}

/// Writes the packets that died, and says which are missing.
fn write_packets(measurement: &Measurement, file: ReportFile) -> Result<()> {
    let packets = &measurement.packets;
    let said = dead::said(&measurement.report, packets.len());
    // Nobody reads it: the file says as much.
    let _ = writeln!(std::io::stderr(), "netbreak: {}: {said}", file.path().display());
    file.write(pcapng::render(&said, netbreak_common::HEADER_BYTES as u32, packets))
}

/// What following the packets of these probes takes.
pub fn follow<'a>(specs: impl IntoIterator<Item = &'a Spec>) -> kernel::Room {
    // An answer is waited for that long, and its absence is noticed at the next attempt, or when a busy machine gets to it.
    const NOTICED_WITHIN: Nanos = SECOND / 2;
    let open = |spec: &Spec| (spec.timeout + NOTICED_WITHIN) / spec.pace().max(1) + 2;
    let (probes, most) =
        specs.into_iter().fold((0, 1), |(probes, most), spec| (probes + 1, open(spec).max(most)));
    kernel::Room::for_plan(probes, u32::try_from(most).unwrap_or(u32::MAX >> 1))
}

/// Writes a report wherever it was asked for.
///
/// # Errors
/// The first thing that could not be written; the others are written all the same.
pub fn publish(report: &Report, output: &Output, files: Files) -> Result<()> {
    let json = files.json.map_or(Ok(()), |file| file.write(&report::json::render(report)?));
    let html = files.html.map_or(Ok(()), |file| file.write(report::html::render(report)));
    let text = match output.stdout {
        None => return json.and(html),
        Some(crate::cli::Format::Json) => report::json::render(report)?,
        Some(crate::cli::Format::Html) => report::html::render(report),
        Some(crate::cli::Format::Markdown) => report::markdown::render(report),
        Some(crate::cli::Format::TestServer) => report::test_server::json(report)?,
        Some(crate::cli::Format::TestServerText) => {
            for note in report::test_server::notes(report) {
                // The numbers count; whether anybody reads the notes does not.
                let _ = writeln!(std::io::stderr(), "netbreak: {note}");
            }
            report::test_server::text(report)
        }
        Some(crate::cli::Format::Text) => report::text::render(report, terminal()),
    };
    write_stdout(&text).context("cannot write the report to standard output")?;
    json.and(html)
}

/// How wide standard output is, and whether it shows colours.
fn terminal() -> report::text::Options {
    use std::io::IsTerminal;
    let is_terminal = std::io::stdout().is_terminal();
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|_| is_terminal);
    report::text::Options {
        color: is_terminal && std::env::var_os("NO_COLOR").is_none(),
        width: size.map_or(100, |size| usize::from(size.ws_col)),
    }
}

/// Tells the payloads of this run from those of any other.
pub(crate) fn random_run_id() -> Result<u64> {
    let mut bytes = [0; 8];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    anyhow::ensure!(
        filled.context("cannot get random bytes")? == bytes.len(),
        "getrandom gave too few bytes"
    );
    Ok(u64::from_ne_bytes(bytes).max(1))
}

/// The inode numbers of the namespaces that `--netns` names.
pub(crate) fn inodes(names: &[Netns]) -> Result<Vec<u32>> {
    names.iter().map(|name| Ok(open(name).context("--netns")?.inode())).collect()
}

fn open(netns: &Netns) -> Result<Namespace> {
    let opened = match netns {
        Netns::Name(name) => Namespace::resolve(name),
        Netns::Path(path) => Namespace::open(path),
        Netns::Pid(pid) => Namespace::resolve(&format!("pid:{pid}")),
    };
    opened.map_err(Into::into)
}
