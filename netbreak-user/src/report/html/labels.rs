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
const LETTER: f64 = 7.2;

/// For each of the longest outages: how long it was, and what most of its attempts died of, below each other where the
/// bar is wide enough to be written on. Those for which there is no room are hidden, until somebody zooms.
pub(super) fn labels(page: &Page, axis: Axis, probe: &Probe) -> Markup {
    let mut longest: Vec<&Outage> = probe.outages.iter().collect();
    longest.sort_by(|a, b| b.duration_s.total_cmp(&a.duration_s));
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut shown = Vec::new();
    for outage in longest.into_iter().take(MOST) {
        let span = time(outage.duration_s);
        let fate = most(page, probe, (outage.start_s, outage.end_s)).map(|most| most.1).unwrap_or_default();
        let (from, to) = (axis.percent(outage.start_s), axis.percent(outage.end_s));
        let is_wide = width(&fate) <= to - from;
        let above = if is_wide { span.clone() } else { beside(&span, &fate) };
        let half = (width(&above) / 2.0).min(50.0);
        // One at the edge stays inside.
        let middle = ((from + to) / 2.0).clamp(half, 100.0 - half);
        let reach = (middle - half, middle + half);
        let free = taken.iter().all(|other| reach.1 <= other.0 || other.1 <= reach.0);
        if free {
            taken.push(reach);
        }
        shown.push((outage, middle, span, fate, above, is_wide, free));
    }
    html! {
        @for (outage, middle, span, fate, above, is_wide, free) in shown {
            g.label.off[!free] data-from=(outage.start_s) data-to=(outage.end_s) data-span=(span) data-fate=(fate) {
                text x=(percent(middle)) y="11" { (above) }
                text x=(percent(middle)) y=((BARS.0 + BARS.1) / 2.0 + 4.0) { @if is_wide { (fate) } }
            }
        }
    }
}

fn beside(span: &str, fate: &str) -> String {
    if fate.is_empty() { span.to_owned() } else { format!("{span} · {fate}") }
}

/// How wide a text is likely to be, in percent of a picture.
fn width(text: &str) -> f64 {
    (text.chars().count() as f64 * LETTER + 12.0) / WIDTH * 100.0
}

pub(super) fn percent(part: f64) -> String {
    format!("{part:.3}%")
}
