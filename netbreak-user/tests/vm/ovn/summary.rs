//! Tables of many reports: medians and spread by event, type of port and row.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use netbreak_user::probe::Kind;
use netbreak_user::report::{Probe, Report};

/// What one run says of one probe.
struct Sample {
    sent: u64,
    broken: u64,
    /// Seconds, all outages together.
    outage_s: f64,
    /// From when, in seconds after ovs-vswitchd of the probes' node started, and until when, in seconds after it had ended: if
    /// it did.
    around_s: Option<(f64, f64)>,
    /// Where and why, by number of attempts.
    places: BTreeMap<String, u64>,
}

/// What is repeated: the event by its turn, what differs beside it, the row by its turn and name.
type Key = (usize, String, usize, String);

/// All samples so far.
#[derive(Default)]
pub(super) struct Summary {
    samples: BTreeMap<Key, Vec<Sample>>,
    events: Vec<String>,
    runs: BTreeMap<(usize, String), usize>,
}

impl Summary {
    /// Adds a run; returns how many of its kind there are now.
    pub(super) fn add(&mut self, event: &str, variant: &str, report: &Report) -> usize {
        let known = self.events.iter().position(|name| name == event);
        let number = known.unwrap_or_else(|| {
            self.events.push(event.to_owned());
            self.events.len() - 1
        });
        for (row, target) in report.targets.iter().enumerate() {
            for probe in &target.probes {
                let title = target.row.as_ref().map_or(&target.target, |row| &row.name);
                let order = match probe.kind {
                    Kind::Icmp => row,
                    Kind::Stream => 200 + row,
                    _ => 100 + row,
                };
                let key = (number, variant.to_owned(), order, format!("{} {title}", kind(probe.kind)));
                self.samples.entry(key).or_default().push(sample(report, probe));
            }
        }
        let runs = self.runs.entry((number, variant.to_owned())).or_default();
        *runs += 1;
        *runs
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "Medians (least–most) of the runs.\n\n\
             | event | ovn0 | row | runs | not answered in time | outage, s | from, s after ovs-vswitchd's start | until, s after its end | where and why, all runs |\n\
             |---|---|---|--:|--:|--:|--:|--:|---|\n",
        );
        for ((event, variant, _, row), samples) in &self.samples {
            let event = &self.events[*event];
            let broken = spread(samples.iter().map(|sample| sample.broken as f64), 0);
            let outage = spread(samples.iter().map(|sample| sample.outage_s), 2);
            let around = |of: fn(&(f64, f64)) -> f64| {
                let values: Vec<f64> =
                    samples.iter().filter_map(|sample| sample.around_s.as_ref().map(of)).collect();
                if values.is_empty() { "–".to_owned() } else { spread(values.into_iter(), 2) }
            };
            let (from, until) = (around(|(from, _)| *from), around(|(_, until)| *until));
            let sent: u64 = samples.iter().map(|sample| sample.sent).sum();
            let runs = samples.len();
            let mut places: BTreeMap<&str, u64> = BTreeMap::new();
            for (place, attempts) in samples.iter().flat_map(|sample| &sample.places) {
                *places.entry(place).or_default() += attempts;
            }
            let mut places = Vec::from_iter(places);
            places.sort_by_key(|(_, attempts)| std::cmp::Reverse(*attempts));
            let places: Vec<String> =
                places.iter().map(|(place, attempts)| format!("{attempts} {place}")).collect();
            let per_run = sent / runs as u64;
            let _ = writeln!(
                text,
                "| {event} | {variant} | {row} | {runs} | {broken} of {per_run} | {outage} | {from} | {until} | {} |",
                places.join("; ")
            );
        }
        text
    }
}

/// What a run lost, row by row, and what happened meanwhile: for the console.
pub(super) fn lines(report: &Report) -> String {
    let probes =
        report.targets.iter().flat_map(|target| target.probes.iter().map(move |probe| (target, probe)));
    let said = probes.map(|(target, probe)| {
        let (title, sample) = (target.row.as_ref().map_or("", |row| &row.name), sample(report, probe));
        let Sample { sent, broken, outage_s, places, .. } = sample;
        format!("  {} {title}: {broken} of {sent}, {outage_s:.2} s, {places:?}", kind(probe.kind))
    });
    let changes = report.changes.iter().map(|change| format!("  {:.2} s {}", change.at_s, change.detail));
    said.chain(changes).collect::<Vec<_>>().join("\n")
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Icmp => "icmp",
        Kind::Stream => "stream",
        _ => "tcp",
    }
}

fn sample(report: &Report, probe: &Probe) -> Sample {
    let mut places = BTreeMap::new();
    for death in &probe.deaths {
        let reason = death.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
        let device = death.device.as_deref().unwrap_or("–");
        let netns = death.netns_name.as_deref().unwrap_or("–");
        let place = format!("{}{reason} at {device} in {netns}", death.cause.name());
        *places.entry(place).or_default() += death.attempts;
    }
    if probe.unexplained > 0 {
        places.insert("unexplained".to_owned(), probe.unexplained);
    }
    if let Some(stream) = probe.stream {
        places.insert("resets of the stream".to_owned(), stream.resets);
        places.retain(|_, attempts| *attempts > 0);
    }
    for rst in &probe.rsts {
        let by = rst.netns_name.as_deref().unwrap_or("nobody known");
        let state = rst.state.as_deref().unwrap_or("no known state");
        let reason = rst.reason.as_deref().unwrap_or("no known reason");
        *places.entry(format!("RSTs by {by} in {state} ({reason})")).or_default() += rst.segments;
    }
    Sample {
        sent: probe.sent,
        broken: probe.sent - probe.answered,
        // The sum of none is -0.
        outage_s: probe.outages.iter().map(|outage| outage.duration_s).sum::<f64>() + 0.0,
        around_s: around(report, probe),
        places,
    }
}

fn around(report: &Report, probe: &Probe) -> Option<(f64, f64)> {
    let switch = |became| {
        let is_it = |detail: &str| detail.starts_with("ovs-vswitchd") && detail.ends_with("in node1");
        report.changes.iter().find(|change| is_it(&change.detail) && change.detail.contains(became))
    };
    let (ended, started) = (switch("exited")?.at_s, switch("started")?.at_s);
    Some((probe.outages.first()?.start_s - started, probe.outages.last()?.end_s - ended))
}

/// The median, and the least and the most.
fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp);
    let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
    match values.len() {
        1 => format!("{median:.digits$}"),
        last => format!("{median:.digits$} ({:.digits$}–{:.digits$})", values[0], values[last - 1]),
    }
}
