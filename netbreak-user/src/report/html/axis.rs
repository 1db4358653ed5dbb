//! The one axis of all pictures: time since the start of the run.

use super::value::coordinate;
use crate::report::{Report, Timeline};

/// Ticks that fit beside each other on a page of usual width.
const TICKS: f64 = 12.0;

/// From the start of the run to the last thing that is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Its length in seconds; more than 0.
    pub extent_s: f64,
}

impl Axis {
    pub fn of(report: &Report) -> Self {
        let end = |timeline: &Timeline| {
            let last = [&timeline.late, &timeline.reset, &timeline.unexplained]
                .into_iter()
                .chain(&timeline.deaths)
                .chain(&timeline.retransmits)
                .filter_map(|counted| counted.bins.last().copied())
                .chain(timeline.sent.iter().rposition(|sent| *sent > 0).map(|bin| bin as u32))
                .max();
            last.map_or(0.0, |bin| f64::from(bin) * timeline.bin_s)
        };
        let bins = report.probes().filter_map(|probe| probe.timeline.as_ref()).map(end);
        let outages = report.probes().flat_map(|probe| &probe.outages).map(|outage| outage.end_s);
        let changes = report.changes.iter().map(|change| change.at_s);
        let extent_s = bins.chain(outages).chain(changes).fold(report.run.duration_s, f64::max);
        Axis { extent_s: if extent_s.is_finite() { extent_s.max(0.001) } else { 1.0 } }
    }

    /// A time as a coordinate of the pictures: milliseconds.
    pub fn x(self, at_s: f64) -> String {
        coordinate(at_s.clamp(0.0, self.extent_s) * 1000.0)
    }

    /// A time as a part of the axis, in percent.
    pub fn percent(self, at_s: f64) -> f64 {
        (at_s / self.extent_s * 100.0).clamp(0.0, 100.0)
    }

    /// Times for labels, with their texts.
    pub fn ticks(self) -> Vec<(f64, String)> {
        let step = step(self.extent_s / TICKS);
        let last = (self.extent_s / step + 1e-9).floor() as u64;
        (0..=last).map(|index| index as f64 * step).map(|at| (at, label(at, step))).collect()
    }
}

/// The smallest of 1, 2, 5, 10 … (and of round minutes and hours) that is not below `least` seconds.
fn step(least: f64) -> f64 {
    let long = [60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
    if least > 20.0 {
        return long.into_iter().find(|step| *step >= least).unwrap_or((least / 3600.0).ceil() * 3600.0);
    }
    let decade = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(decade)
}

/// `3 s`, `3.25 s`, and from steps of a minute on hours and minutes: `0:02 h`.
fn label(at: f64, step: f64) -> String {
    if step >= 60.0 {
        let minutes = (at / 60.0).round() as u64;
        return format!("{}:{:02} h", minutes / 60, minutes % 60);
    }
    let digits = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
    format!("{at:.digits$} s")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        let texts = |extent_s| Axis { extent_s }.ticks().into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(texts(8.0), ["0 s", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s", "7 s", "8 s"]);
        assert_eq!(texts(1.0)[..2], ["0.0 s", "0.1 s"]);
        assert_eq!(texts(0.25)[1], "0.05 s");
        assert_eq!(texts(600.0)[..2], ["0:00 h", "0:01 h"]);
        assert_eq!(texts(86_400.0)[1], "2:00 h");
    }

    proptest! {
        #[test]
        fn there_are_some_ticks_and_not_many(extent_s in 0.001..1e7f64) {
            let ticks = Axis { extent_s }.ticks();
            prop_assert!((2..=14).contains(&ticks.len()), "{:?}", ticks);
            prop_assert!(ticks.iter().all(|(at, _)| *at <= extent_s * 1.001));
        }
    }
}
