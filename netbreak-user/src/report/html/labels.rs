//! Labels of outages, where there is room for them.

use maud::{Markup, html};

use super::axis::Axis;
use super::fate::most;
use super::{Page, row::BARS};
use crate::report::{Outage, Probe, text::format::time};

/// Outages of a probe that may have a label.
const MOST: usize = 40;
/// How wide a picture is likely to be, in pixels; the script knows it exactly.
const WIDTH: f64 = 800.0;
/// How wide a letter is likely to be.
const LETTER: f64 = 6.6;

/// Two lines for each of the longest outages: how long it was, and what most of its attempts died of. Those for which
/// there is no room are hidden, until somebody zooms.
pub(super) fn labels(page: &Page, axis: Axis, probe: &Probe) -> Markup {
    let mut longest: Vec<&Outage> = probe.outages.iter().collect();
    longest.sort_by(|a, b| b.duration_s.total_cmp(&a.duration_s));
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut shown = Vec::new();
    for outage in longest.into_iter().take(MOST) {
        let middle = axis.percent((outage.start_s + outage.end_s) / 2.0);
        let span = time(outage.duration_s);
        let fate = most(page, probe, (outage.start_s, outage.end_s)).map(|most| most.1).unwrap_or_default();
        let half = span.chars().count().max(fate.chars().count()) as f64 * LETTER / WIDTH * 50.0 + 1.0;
        // One at the edge stays inside.
        let middle = middle.clamp(half.min(50.0), 100.0 - half.min(50.0));
        let reach = (middle - half, middle + half);
        let free = taken.iter().all(|other| reach.1 <= other.0 || other.1 <= reach.0);
        if free {
            taken.push(reach);
        }
        shown.push((outage, middle, span, fate, free));
    }
    html! {
        @for (outage, middle, span, fate, free) in shown {
            g.label.off[!free] data-from=(outage.start_s) data-to=(outage.end_s) {
                text x=(percent(middle)) y="11" { (span) }
                text.fate x=(percent(middle)) y=((BARS.0 + BARS.1) / 2.0 + 4.0) { (fate) }
            }
        }
    }
}

pub(super) fn percent(part: f64) -> String {
    format!("{part:.3}%")
}
