//! Round-trip times over time: the median as a line in the range from the smallest to the largest, on a scale of decades.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::Axis;
use super::row::RTT;
use super::value::coordinate;
use crate::report::{Report, Timeline};

/// From which decade to which, in powers of ten of a microsecond: of all probes, so that they can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decades {
    low: i32,
    high: i32,
}

impl Decades {
    /// `None` when nothing was answered.
    pub fn of(report: &Report) -> Option<Self> {
        let bins =
            || report.probes().filter_map(|probe| probe.timeline.as_ref()).map(|timeline| &timeline.rtt_us);
        let smallest = bins().flat_map(|bins| &bins.min).copied().fold(f64::INFINITY, f64::min);
        let largest = bins().flat_map(|bins| &bins.max).copied().fold(0.0, f64::max);
        if !smallest.is_finite() {
            return None;
        }
        let low = smallest.max(1.0).log10().floor() as i32;
        Some(Decades { low, high: (largest.max(1.0).log10().ceil() as i32).max(low + 1) })
    }

    fn y(self, us: f64) -> f64 {
        let (top, bottom) = RTT;
        let part = (us.max(1.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        bottom - (bottom - top) * part.clamp(0.0, 1.0)
    }

    /// Each decade: its height, and its text where there is room for one.
    pub fn lines(self) -> Vec<(f64, Option<String>)> {
        // A line of text needs 15 pixels.
        let every = (f64::from(self.high - self.low) * 15.0 / (RTT.1 - RTT.0)).ceil() as i32;
        let text = |power: i32| match power {
            ..3 => format!("{} µs", 10u64.pow(power.unsigned_abs())),
            3..6 => format!("{} ms", 10u64.pow(power.unsigned_abs() - 3)),
            _ => format!("{} s", 10u64.pow(power.unsigned_abs().min(24) - 6)),
        };
        let line = |power: i32| {
            let shown = (self.high - power) % every == 0;
            (self.y(10f64.powi(power)), shown.then(|| text(power)))
        };
        (self.low..=self.high).map(line).collect()
    }
}

pub(super) fn curve(axis: Axis, decades: Decades, timeline: &Timeline) -> Markup {
    let (band, line) = outlines(axis, decades, timeline);
    html! {
        path.band d=(band) {}
        path.median d=(line) {}
    }
}

/// The range and the median. They are interrupted where attempts were sent and none was answered in time.
fn outlines(axis: Axis, decades: Decades, timeline: &Timeline) -> (String, String) {
    let (mut band, mut line) = (String::new(), String::new());
    let rtt = &timeline.rtt_us;
    let indices: Vec<usize> = (0..rtt.bins.len()).collect();
    let silent = |a: u32, b: u32| timeline.sent[a as usize + 1..b as usize].iter().any(|sent| *sent > 0);
    for run in indices.chunk_by(|a, b| !silent(rtt.bins[*a], rtt.bins[*b])) {
        let x = |index: usize, part: f64| axis.x((f64::from(rtt.bins[index]) + part) * timeline.bin_s);
        let y = |us: f64| coordinate(decades.y(us));
        let (first, last) = (run[0], run[run.len() - 1]);
        // From the beginning of the first bin to the end of the last one: a single bin is seen, too. Writing to a String
        // cannot fail.
        let _ = write!(band, "M{} {}", x(first, 0.0), y(rtt.max[first]));
        let _ = write!(line, "M{} {}", x(first, 0.0), y(rtt.p50[first]));
        for index in run {
            let _ = write!(band, "L{} {}", x(*index, 0.5), y(rtt.max[*index]));
            let _ = write!(line, "L{} {}", x(*index, 0.5), y(rtt.p50[*index]));
        }
        let _ = write!(band, "L{} {}", x(last, 1.0), y(rtt.max[last]));
        let _ = write!(band, "L{} {}", x(last, 1.0), y(rtt.min[last]));
        let _ = write!(line, "L{} {}", x(last, 1.0), y(rtt.p50[last]));
        for index in run.iter().rev() {
            let _ = write!(band, "L{} {}", x(*index, 0.5), y(rtt.min[*index]));
        }
        let _ = write!(band, "L{} {}z", x(first, 0.0), y(rtt.min[first]));
    }
    (band, line)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn decades_hold_all_times() {
        let decades = Decades::of(&fixtures::clean());
        assert_eq!(decades, Some(Decades { low: 1, high: 3 }));
        let texts: Vec<_> = decades.unwrap().lines().into_iter().filter_map(|line| line.1).collect();
        assert_eq!(texts, ["10 µs", "100 µs", "1 ms"]);
        assert_eq!(Decades::of(&fixtures::without_kernel()), None);
    }

    #[test]
    fn a_silence_interrupts_the_line() {
        let report = fixtures::broken();
        let mut timeline = report.targets[0].probes[0].timeline.clone().unwrap();
        let moves = |timeline: &Timeline| {
            let (band, line) = outlines(Axis { extent_s: 8.0 }, Decades { low: 1, high: 3 }, timeline);
            assert_eq!(band.matches('M').count(), band.matches('z').count());
            line.matches('M').count()
        };
        assert_eq!(moves(&timeline), 1);
        // Nothing was answered in bin 5; and then nothing was sent there, either.
        timeline.rtt_us.bins.remove(5);
        for times in [&mut timeline.rtt_us.min, &mut timeline.rtt_us.p50, &mut timeline.rtt_us.max] {
            times.remove(5);
        }
        assert_eq!(moves(&timeline), 2);
        timeline.sent[5] = 0;
        assert_eq!(moves(&timeline), 1);
    }
}
