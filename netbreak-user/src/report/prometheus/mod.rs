//! Reports as metrics: what a run found is added to what the runs before it found.
//!
//! Counters go on over all reports; gauges are the last report's. What was not measured has no series.

mod classic;
mod probes;
mod series;
#[cfg(test)]
mod tests;

pub use classic::classic;

use prometheus_client::{encoding::text::encode, registry::Registry};

use self::{
    probes::Probes,
    series::{Counters, Gauges},
};
use super::{Losses, Report, SensorState, VerdictWord};

/// What the metrics of all reports so far are.
pub struct Metrics {
    registry: Registry,
    probes: Probes,
    drops: Counters,
    books: Gauges,
    losses: Counters,
    sensors: Gauges,
    windows: Counters,
    failed_windows: Counters,
    last_window: Gauges,
    resolve_failures: Counters,
}

impl Metrics {
    /// Of no report yet, by a netbreak of this version. No metric has more series than `most_series` and one.
    pub fn new(version: &str, most_series: usize) -> Metrics {
        let mut registry = Registry::with_prefix("netbreak");
        let to = &mut registry;
        let counters =
            |to: &mut Registry, name, labels, help| Counters::new(to, (name, help), labels, most_series);
        Gauges::new(to, ("build_info", "1 for the version of netbreak"))
            .set(&[("version", Some(version))], 1.0);
        let mut metrics = Metrics {
            probes: Probes::new(to, most_series),
            drops: counters(
                to,
                "drops",
                &["reason", "device", "netns"],
                "Packets that the kernel dropped on this machine, of whomever",
            ),
            books: Gauges::new(to, ("books", "Books of the last window, by whether they balance")),
            losses: counters(to, "losses", &["kind"], "What was lost while measuring"),
            sensors: Gauges::new(to, ("sensors", "1 for the state of each sensor in the last window")),
            windows: counters(to, "windows", &["verdict"], "Windows that ended"),
            failed_windows: counters(to, "failed_windows", &[], "Windows that could not be measured"),
            last_window: Gauges::seconds(
                to,
                ("last_window_timestamp", "When the last window that ended began, as a UNIX time"),
            ),
            resolve_failures: counters(
                to,
                "resolve_failures",
                &["target"],
                "Times that a target could not be resolved, and its last known addresses stayed",
            ),
            registry,
        };
        for verdict in [VerdictWord::Clean, VerdictWord::Broken, VerdictWord::Inconclusive] {
            metrics.windows.add(&[Some(verdict.name())], 0);
        }
        metrics.failed_windows.add(&[], 0);
        metrics
    }

    /// Adds a report.
    pub fn add(&mut self, report: &Report) {
        self.probes.add(report);
        for row in &report.drop_totals {
            let netns = row.netns.map(|netns| netns.to_string());
            self.drops.add(&[row.reason.as_deref(), row.device.as_deref(), netns.as_deref()], row.packets);
        }
        self.books.clear();
        for (word, balanced) in [("yes", Some(true)), ("no", Some(false)), ("unknown", None)] {
            let books = report.books.iter().filter(|book| book.balanced == balanced).count();
            self.books.set(&[("balanced", Some(word))], books as f64);
        }
        // Without a kernel side nothing can be lost of what it sees.
        if report.run.sensors.first().is_some_and(|first| first.state != SensorState::Off) {
            let Losses { ring_full, map_full, unreadable, missed, ledger } = report.losses;
            for (kind, lost) in [
                ("ring_full", ring_full),
                ("map_full", map_full),
                ("unreadable", unreadable),
                ("missed", missed),
                ("ledger", ledger),
            ] {
                self.losses.add(&[Some(kind)], lost);
            }
        }
        self.sensors.clear();
        for sensor in &report.run.sensors {
            let labels = [("sensor", Some(&*sensor.name)), ("state", Some(sensor.state.name()))];
            self.sensors.set(&labels, 1.0);
        }
        self.windows.add(&[Some(report.verdict.name())], 1);
        self.last_window.clear();
        if let Ok(started) = report.run.started.parse::<jiff::Timestamp>() {
            self.last_window.set(&[], started.as_millisecond() as f64 / 1e3);
        }
    }

    /// Makes the series of a probe known that a window begins with, so that what it loses in its first one is an increase.
    pub fn expect(&mut self, target: &str, address: &str, kind: &str, port: Option<u16>) {
        self.probes.expect(target, address, kind, port);
    }

    /// Counts a window that could not be measured.
    pub fn add_failed_window(&mut self) {
        self.failed_windows.add(&[], 1);
    }

    /// Counts so many failures to resolve a target; 0 makes its series known.
    pub fn add_resolve_failures(&mut self, target: &str, failures: u64) {
        self.resolve_failures.add(&[Some(target)], failures);
    }

    /// As OpenMetrics text; [`classic`] makes the older form of it.
    ///
    /// # Errors
    /// Only if text cannot be written to memory, which does not happen.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        // prometheus-client has no summaries, and to a reader of metrics the label `quantile` belongs to nothing else.
        let quantiles = |kind| format!("# TYPE netbreak_rtt_seconds {kind}\n");
        Ok(text.replace(&quantiles("gauge"), &quantiles("summary")))
    }
}
