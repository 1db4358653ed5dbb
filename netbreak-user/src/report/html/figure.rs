//! The picture of the run: changes and every probe, on one axis of time.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::axis::Axis;
use super::labels::percent;
use super::row::{self, Frame, scaled, ticks};
use super::rtt::Decades;
use super::{Page, changes};
use crate::{
    probe::Kind,
    report::{Probe, Target, text::format::count},
};

/// Probes that are drawn; with more of them, those with most unanswered attempts.
const DRAWN: usize = 60;
/// Streams to one port that are drawn, if there are more.
const STREAMS: usize = 10;
/// How many pixels wide a picture is likely to be.
const WIDTH: f64 = 900.0;

pub(super) fn figure(page: &Page) -> Markup {
    let report = page.report;
    let frame = Frame { axis: Axis::of(report), decades: Decades::of(report) };
    let axis = frame.axis;
    let drawn = drawn(page);
    let hidden = report.probes().count() - drawn.len();
    html! {
        section id="timeline" {
            h2 { "Timeline" }
            (page.fates.patterns(axis.extent_s * 1000.0 / WIDTH))
            ul.legend {
                (page.fates.legend())
                li { svg.sample width="24" height="16" aria-hidden="true" {
                    rect.band width="24" height="16" {} line.median x1="0" x2="24" y1="9" y2="9" {}
                } "round trip" }
                @if drawn.iter().any(|drawn| drawn.probe.retransmits.is_some()) {
                    li { svg.sample width="24" height="16" aria-hidden="true" {
                        path.resent d="M3 16V6H6V16zM10 16V10H13V16zM18 16V8H21V16z" {}
                    } "segments resent" }
                }
                @if !report.changes.is_empty() {
                    li { svg.sample width="24" height="16" aria-hidden="true" {
                        path.change d="M12 3V13" {} path.guide d="M12 0V16" {}
                    } "change" }
                }
            }
            div.tools {
                button type="button" data-do="in" title="Zoom in (+)" { "+" }
                button type="button" data-do="out" title="Zoom out (−)" { "−" }
                button type="button" data-do="all" title="The whole run (0)" { "whole run" }
                button type="button" data-do="previous" title="Previous outage (p)" { "‹ outage" }
                button type="button" data-do="next" title="Next outage (n)" { "outage ›" }
                span.quiet {
                    "drag to zoom, double-click for the whole run; keys: "
                    kbd { "←" } " " kbd { "→" } " " kbd { "+" } " " kbd { "−" } " " kbd { "0" } " " kbd { "n" } " " kbd { "p" }
                }
            }
            div.scroll {
                div.figure id="figure" tabindex="0" role="group"
                    aria-label="What happened to each probe, over time. Left and right move, plus and minus zoom, 0 shows the whole run, n and p go from outage to outage." {
                    (scale(axis))
                    (changes::lanes(page, axis))
                    @for (index, target) in report.targets.iter().enumerate() {
                        @if drawn.iter().any(|drawn| drawn.target == index) { (heading(target)) }
                        @for Drawn { number, within, probe, .. } in drawn.iter().filter(|drawn| drawn.target == index) {
                            (row::row(page, &frame, *number, &row::name(target, *within, probe), probe))
                        }
                    }
                    (scale(axis))
                    div.cursor hidden {}
                    div.selection hidden {}
                    div.readout role="status" hidden {}
                }
            }
            @if hidden > 0 {
                p.quiet { (count(hidden as u64, "probe")) " with no more unanswered attempts: not drawn." }
            }
        }
    }
}

/// A probe that is drawn.
pub(super) struct Drawn<'a> {
    /// The index of its target.
    target: usize,
    /// Its number among all probes.
    pub number: usize,
    /// Its index within the target.
    within: usize,
    probe: &'a Probe,
}

/// The probes that are drawn, in their order: those with most unanswered attempts, and few of many streams.
pub(super) fn drawn<'a>(page: &Page<'a>) -> Vec<Drawn<'a>> {
    let mut probes = Vec::new();
    for (target, of) in page.report.targets.iter().enumerate() {
        for (within, probe) in of.probes.iter().enumerate() {
            probes.push(Drawn { target, number: probes.len(), within, probe });
        }
    }
    probes.sort_by_key(|drawn| (std::cmp::Reverse(drawn.probe.unanswered()), drawn.number));
    let mut streams: BTreeMap<(usize, Option<u16>), usize> = BTreeMap::new();
    probes.retain(|drawn| {
        let alike = streams.entry((drawn.target, drawn.probe.port)).or_default();
        *alike += usize::from(drawn.probe.kind == Kind::Stream);
        drawn.probe.kind != Kind::Stream || *alike <= STREAMS
    });
    probes.truncate(DRAWN);
    probes.sort_by_key(|drawn| drawn.number);
    probes
}

fn heading(target: &Target) -> Markup {
    html! {
        h3 {
            @if let Some(row) = &target.row { (row.name) ": " (row.source) " → " }
            (target.target)
            @if target.target != target.address { " " span.quiet { (target.address) } }
        }
    }
}

fn scale(axis: Axis) -> Markup {
    html! {
        div.line.scale {
            svg.gutter width="168" height="22" aria-hidden="true" { text x="0" y="15" { "since the start" } }
            svg.plot width="100%" height="22" aria-hidden="true" {
                (ticks(axis, 22.0))
                (scaled(axis, 22.0, html! {}))
                g.times {
                    @for (at, label) in axis.ticks() {
                        @let part = axis.percent(at);
                        text x=(percent(part)) y="15" class=[anchor(part)] { (label) }
                    }
                }
            }
        }
    }
}

/// The first and the last label stay inside the picture.
fn anchor(part: f64) -> Option<&'static str> {
    match part {
        ..2.0 => Some("first"),
        98.0.. => Some("last"),
        _ => None,
    }
}
