//! One probe over time: its outages, what became of the attempts, round-trip times, retransmits.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::Axis;
use super::labels::percent;
use super::rtt::{self, Decades};
use super::value::coordinate;
use super::{Page, bars, labels};
use crate::report::{
    Counted, Outage, Probe, Target, Timeline,
    text::{
        format::{count, span},
        probes::is_alike,
    },
};

/// From top to bottom, in pixels: the bars.
pub(super) const BARS: (f64, f64) = (20.0, 48.0);
/// Round-trip times.
pub(super) const RTT: (f64, f64) = (58.0, 118.0);
/// Retransmitted segments.
const RESENT: (f64, f64) = (126.0, 138.0);
/// Height with and without the lane of retransmits.
const HEIGHT: (f64, f64) = (144.0, 124.0);
/// Outages that are drawn, of a probe: the longest ones. Bars show all.
const OUTAGES: usize = 500;

/// What all rows share.
pub(super) struct Frame {
    pub axis: Axis,
    pub decades: Option<Decades>,
}

pub(super) fn row(page: &Page, frame: &Frame, number: usize, name: &str, probe: &Probe) -> Markup {
    let axis = frame.axis;
    let timeline = probe.timeline.as_ref();
    let resent = timeline.and_then(|timeline| timeline.retransmits.as_ref().map(|resent| (timeline, resent)));
    let height = if resent.is_some() { HEIGHT.0 } else { HEIGHT.1 };
    let outages = outages(axis, &probe.outages);
    html! {
        div.line.probe data-probe=(number) {
            (gutter(frame, name, probe, resent.map(|(_, resent)| resent), height))
            svg.plot width="100%" height=(height) role="img" aria-label=(in_words(page, name, probe)) {
                (ticks(axis, height))
                @if let (Some(decades), true) = (frame.decades, timeline.is_some()) {
                    @for (y, _) in decades.lines() {
                        line.decade x1="0" x2="100%" y1=(coordinate(y)) y2=(coordinate(y)) {}
                    }
                }
                line.base x1="0" x2="100%" y1=(BARS.1) y2=(BARS.1) {}
                (scaled(axis, height, html! {
                    (guides(page, axis, height))
                    path.shade d=(outages.shade) {}
                    (bars::bars(page, axis, probe))
                    path.outage d=(outages.line) {}
                    @if let (Some(decades), Some(timeline)) = (frame.decades, timeline) {
                        (rtt::curve(axis, decades, timeline))
                    }
                    @if let Some((timeline, resent)) = resent {
                        path.resent d=(self::resent(axis, timeline, resent)) {}
                    }
                }))
                (labels::labels(page, axis, probe))
            }
        }
    }
}

/// What is drawn with time as x, in milliseconds: zooming is another `viewBox`.
pub(super) fn scaled(axis: Axis, height: f64, drawn: Markup) -> Markup {
    let view = format!("0 0 {} {height}", coordinate(axis.extent_s * 1000.0));
    html! {
        svg.time width="100%" height=(height) viewBox=(view) preserveAspectRatio="none" { (drawn) }
    }
}

/// A line for each label of the axis.
pub(super) fn ticks(axis: Axis, height: f64) -> Markup {
    html! {
        g.grid {
            @for (at, _) in axis.ticks() {
                line x1=(percent(axis.percent(at))) x2=(percent(axis.percent(at))) y1="0" y2=(height) {}
            }
        }
    }
}

/// A line for each change, so that it can be seen what it did.
fn guides(page: &Page, axis: Axis, height: f64) -> Markup {
    let mut path = String::new();
    let mut times: Vec<String> = page.report.changes.iter().map(|change| axis.x(change.at_s)).collect();
    times.dedup();
    for x in times {
        // Writing to a String cannot fail.
        let _ = write!(path, "M{x} 0V{height}");
    }
    html! { path.guide d=(path) {} }
}

struct Outlines {
    shade: String,
    line: String,
}

fn outages(axis: Axis, outages: &[Outage]) -> Outlines {
    let mut longest: Vec<&Outage> = outages.iter().collect();
    longest.sort_by(|a, b| b.duration_s.total_cmp(&a.duration_s));
    let mut outlines = Outlines { shade: String::new(), line: String::new() };
    for outage in longest.into_iter().take(OUTAGES) {
        let (from, to) = (axis.x(outage.start_s), axis.x(outage.end_s));
        let _ = write!(outlines.shade, "M{from} {}V{}H{to}V{}z", RTT.1, RTT.0, RTT.1);
        let _ = write!(outlines.line, "M{from} 14V19M{from} 16.5H{to}M{to} 14V19");
    }
    outlines
}

/// A bar for each bin with some, at least two pixels high.
fn resent(axis: Axis, timeline: &Timeline, resent: &Counted) -> String {
    let most = resent.counts.iter().max().copied().unwrap_or(1).max(1) as f64;
    let mut path = String::new();
    for (bin, segments) in resent.iter() {
        let height = ((RESENT.1 - RESENT.0) * segments as f64 / most).max(2.0);
        let (from, to) = (f64::from(bin) * timeline.bin_s, f64::from(bin + 1) * timeline.bin_s);
        let (from, to, y) = (axis.x(from), axis.x(to), coordinate(RESENT.1 - height));
        let _ = write!(path, "M{from} {}V{y}H{to}V{}z", RESENT.1, RESENT.1);
    }
    path
}

/// The names of the lanes.
fn gutter(frame: &Frame, name: &str, probe: &Probe, resent: Option<&Counted>, height: f64) -> Markup {
    let unanswered = probe.unanswered();
    let drawn = probe.timeline.is_some();
    html! {
        svg.gutter width="168" height=(height) aria-hidden="true" {
            text.name x="0" y="14" { (name) }
            @if unanswered > 0 {
                text.bad x="0" y="31" { (unanswered) " of " (probe.sent) }
                text.bad x="0" y="45" { "not in time" }
            } @else {
                text x="0" y="31" { "all " (probe.sent) }
                text x="0" y="45" { "answered" }
            }
            text.end x="162" y=(BARS.0 + 8.0) { "100 %" }
            text.end x="162" y=(BARS.1) { "0" }
            @match frame.decades.filter(|_| drawn) {
                Some(decades) => {
                    text x="0" y=(RTT.0 + 20.0) { "round trip:" }
                    text x="0" y=(RTT.0 + 34.0) { "median, range" }
                    @for (y, label) in decades.lines() {
                        @if let Some(label) = label { text.end x="162" y=(coordinate(y + 4.0)) { (label) } }
                    }
                }
                None => { text x="0" y=(RTT.0 + 28.0) { "no times in this report" } }
            }
            @if let Some(resent) = resent {
                text x="0" y=(RESENT.1) { "resent" }
                @let most = resent.counts.iter().max().copied().unwrap_or(0);
                text.end x="162" y=(RESENT.1) { @if most > 0 { "≤ " (most) } @else { "none" } }
            }
        }
    }
}

/// `tcp 7000`; of several streams to one port `stream 5201 #417`. `index` is the probe's among those of its target.
pub(super) fn name(target: &Target, index: usize, probe: &Probe) -> String {
    let port = probe.port.map(|port| format!(" {port}")).unwrap_or_default();
    let alike = |probes: &[Probe]| probes.iter().filter(|other| is_alike(other, probe)).count();
    let number = match alike(&target.probes) {
        2.. => format!(" #{}", alike(&target.probes[..index]) + 1),
        _ => String::new(),
    };
    format!("{}{port}{number}", probe.kind.name())
}

/// The picture for those who cannot see it.
fn in_words(page: &Page, name: &str, probe: &Probe) -> String {
    let mut text = format!("{name}: {} of {} not answered in time", probe.unanswered(), probe.sent);
    for outage in probe.outages.iter().take(5) {
        let most = super::fate::most(page, probe, (outage.start_s, outage.end_s)).map(|most| most.1);
        let most = most.map(|most| format!(", {most}")).unwrap_or_default();
        let span = span(outage.start_s, outage.end_s);
        let _ = write!(text, "; {span}: {}{most}", count(outage.attempts, "attempt"));
    }
    if probe.outages.len() > 5 {
        let _ = write!(text, "; and {} more", count(probe.outages.len() as u64 - 5, "outage"));
    }
    text
}
