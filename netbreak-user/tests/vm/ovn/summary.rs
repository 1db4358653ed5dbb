//! Tables of many reports: medians and spread by event, type of port and row.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use netbreak_user::lab::ovs::cluster::{Event, PortType};
use netbreak_user::probe::Kind;
use netbreak_user::report::{Probe, Report};

/// What one run says of one probe.
struct Sample {
    sent: u64,
    broken: u64,
    /// Seconds, all outages together.
    outage_s: f64,
    /// Where and why, by number of attempts.
    places: BTreeMap<String, u64>,
}

/// What is repeated: which event, over which port, of which row, in which way.
type Key = (usize, &'static str, &'static str, usize, String);

/// All samples so far.
#[derive(Default)]
pub(super) struct Summary {
    samples: BTreeMap<Key, Vec<Sample>>,
    events: Vec<&'static str>,
}

impl Summary {
    pub(super) fn add(&mut self, event: &'static Event, ovn0: PortType, report: &Report) {
        let known = self.events.iter().position(|name| *name == event.name);
        let number = known.unwrap_or_else(|| {
            self.events.push(event.name);
            self.events.len() - 1
        });
        for (row, target) in report.targets.iter().enumerate() {
            for probe in &target.probes {
                let title = target.row.as_ref().map_or(&target.target, |row| &row.name);
                let name = format!("{} {title}", kind(probe.kind));
                let order = row + if probe.kind == Kind::Icmp { 0 } else { 100 };
                let key = (number, event.name, ovn0.name(), order, name);
                self.samples.entry(key).or_default().push(sample(probe));
            }
        }
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| event | ovn0 | row | runs | not answered in time: median (least–most) | outage, s: median (least–most) | where and why, all runs |\n\
             |---|---|---|--:|--:|--:|---|\n",
        );
        for ((_, event, ovn0, _, row), samples) in &self.samples {
            let broken = spread(samples.iter().map(|sample| sample.broken as f64), 0);
            let outage = spread(samples.iter().map(|sample| sample.outage_s), 2);
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
                "| {event} | {ovn0} | {row} | {runs} | {broken} of {per_run} | {outage} | {} |",
                places.join("; ")
            );
        }
        text
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Icmp => "icmp",
        Kind::Stream => "stream",
        _ => "tcp",
    }
}

fn sample(probe: &Probe) -> Sample {
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
    Sample {
        sent: probe.sent,
        broken: probe.sent - probe.answered,
        outage_s: probe.outages.iter().map(|outage| outage.duration_s).sum(),
        places,
    }
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
