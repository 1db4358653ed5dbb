//! Bars of unanswered attempts: as high as their share of those sent, stacked by fate.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::Axis;
use super::fate::{Fate, Share, most, shares};
use super::value::coordinate;
use super::{Page, row::BARS};
use crate::report::{Probe, Timeline};

/// A bar from bin to bin (inclusive), and from one height to another in thousandths of the lane.
type Bar = (u32, u32, u32, u32);

/// Height of the lowest bar.
const LEAST: u32 = 120;

pub(super) fn bars(page: &Page, axis: Axis, probe: &Probe) -> Markup {
    let paths: Vec<(Fate, String)> = match &probe.timeline {
        Some(timeline) => {
            let stacked = stack(timeline, &shares(probe, &page.places));
            stacked.into_iter().map(|(fate, bars)| (fate, outline(&bars, axis, timeline.bin_s))).collect()
        }
        None => probe
            .outages
            .iter()
            .map(|outage| {
                let fate = most(page, probe, (outage.start_s, outage.end_s))
                    .map_or(Fate::Unexplained, |most| most.0);
                let (top, bottom) = BARS;
                let (from, to) = (axis.x(outage.start_s), axis.x(outage.end_s));
                (fate, format!("M{from} {bottom}V{top}H{to}V{bottom}z"))
            })
            .collect(),
    };
    html! {
        @for (fate, path) in &paths {
            path.bar.(fate.hue()) d=(path) fill=(format!("url(#t-{})", fate.name())) {}
        }
    }
}

/// The bars of each fate. Neighbours of the same heights are one.
fn stack(timeline: &Timeline, shares: &[Share]) -> BTreeMap<Fate, Vec<Bar>> {
    let mut filled: BTreeMap<u32, u64> = BTreeMap::new();
    let mut stacked: BTreeMap<Fate, Vec<Bar>> = BTreeMap::new();
    for share in shares {
        let bars = stacked.entry(share.fate).or_default();
        let mut last: Option<Bar> = None;
        for (bin, count) in share.counted.into_iter().flat_map(|counted| counted.iter()) {
            let sent = timeline.sent.get(bin as usize).copied().unwrap_or(0).max(1);
            let below = filled.entry(bin).or_default();
            let height = |attempts: u64| (attempts * 1000 / sent).min(1000) as u32;
            let low = height(*below);
            // One of many is seen, too.
            let high = height(*below + count).max((low + LEAST).min(1000));
            *below += count;
            last = match last {
                Some((from, to, l, h)) if to + 1 == bin && (l, h) == (low, high) => Some((from, bin, l, h)),
                other => {
                    bars.extend(other);
                    Some((bin, bin, low, high))
                }
            };
        }
        bars.extend(last);
    }
    stacked.retain(|_, bars| !bars.is_empty());
    stacked
}

fn outline(bars: &[Bar], axis: Axis, bin_s: f64) -> String {
    let (top, bottom) = BARS;
    let y = |height: u32| coordinate(bottom - (bottom - top) * f64::from(height) / 1000.0);
    let mut path = String::new();
    for (from, to, low, high) in bars {
        let (left, right) = (axis.x(f64::from(*from) * bin_s), axis.x(f64::from(to + 1) * bin_s));
        // Writing to a String cannot fail.
        let _ = write!(path, "M{left} {}V{}H{right}V{}z", y(*low), y(*high), y(*low));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counted, RttBins};

    #[test]
    fn neighbours_are_one_bar_and_fates_are_stacked() {
        let counted = |bins: &[u32], counts: &[u64]| Counted { bins: bins.to_vec(), counts: counts.to_vec() };
        let late = counted(&[1, 2, 3, 5], &[2, 2, 1, 4]);
        let unexplained = counted(&[1, 2, 3], &[2, 2, 1]);
        let timeline = Timeline {
            bin_s: 0.1,
            sent: vec![4; 6],
            rtt_us: RttBins::default(),
            late: late.clone(),
            reset: Counted::default(),
            deaths: vec![],
            unexplained: unexplained.clone(),
            retransmits: None,
        };
        let share = |fate, counted| Share { fate, label: String::new(), counted: Some(counted), attempts: 0 };
        let shares = [share(Fate::Unexplained, &unexplained), share(Fate::Late, &late)];
        let stacked = stack(&timeline, &shares);
        assert_eq!(stacked[&Fate::Unexplained], [(1, 2, 0, 500), (3, 3, 0, 250)]);
        assert_eq!(stacked[&Fate::Late], [(1, 2, 500, 1000), (3, 3, 250, 500), (5, 5, 0, 1000)]);
        assert_eq!(outline(&[(1, 2, 0, 1000)], Axis { extent_s: 1.0 }, 0.1), "M100 48V20H300V48z");
    }
}
