//! What changed meanwhile: a lane of the picture for each kind of thing, and a list.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::Page;
use super::axis::Axis;
use super::row::{scaled, ticks};
use super::value::{known, number, word};
use crate::report::{TRIGGER, text::format::seconds};

/// Height of a lane in pixels.
const LANE: usize = 18;
/// Lanes; what a report of a later version has more is in the list.
const LANES: usize = 12;
/// Rows of the list that are open to see.
const SHOWN: usize = 20;
/// Rows of the list; the JSON has all.
const ROWS: usize = 1_000;

/// The lanes, in the order of their first change. A trigger is a change too.
pub(super) fn lanes(page: &Page, axis: Axis) -> Markup {
    let mut lanes: Vec<(&str, String)> = Vec::new();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &page.report.changes {
        let number = *numbers.entry(&change.what).or_insert_with(|| {
            lanes.push((&change.what, String::new()));
            lanes.len() - 1
        });
        let y = number * LANE;
        // Writing to a String cannot fail.
        let _ = write!(lanes[number].1, "M{} {}V{}", axis.x(change.at_s), y + 3, y + LANE - 3);
    }
    lanes.truncate(LANES);
    let height = lanes.len() * LANE;
    html! {
        @if !lanes.is_empty() {
            div.line.changes {
                svg.gutter width="168" height=(height) aria-hidden="true" {
                    @for (number, (what, _)) in lanes.iter().enumerate() {
                        text.end x="162" y=(number * LANE + 13) { (what) }
                    }
                }
                svg.plot width="100%" height=(height) role="img" aria-label="Changes; they are listed below." {
                    @for number in 0..lanes.len() {
                        rect.lane x="0" y=(number * LANE + 1) width="100%" height=(LANE - 2) {}
                    }
                    (ticks(axis, height as f64))
                    (scaled(axis, height as f64, html! {
                        @for (what, path) in &lanes { path.change.trigger[*what == TRIGGER] d=(path) {} }
                    }))
                }
            }
        }
    }
}

/// The list.
pub(super) fn changes(page: &Page) -> Markup {
    let changes = &page.report.changes;
    let rows = |from: usize, to: usize| {
        let rows = changes.iter().enumerate().skip(from).take(to - from);
        html! {
            div.scroll { table {
                thead { tr { th.number { "when" } th { "what" } th { "device" } th { "how" } } }
                tbody { @for (index, change) in rows {
                    @let at = format!("/changes/{index}");
                    tr {
                        td.number.nowrap { (number(&format!("{at}/at_s"), change.at_s, seconds(change.at_s))) }
                        td.name { (word(&format!("{at}/what"), &change.what)) }
                        td.name { (known(&format!("{at}/device"), change.device.as_deref())) }
                        td { (word(&format!("{at}/detail"), &change.detail)) }
                    }
                } }
            } }
        }
    };
    html! {
        section id="changes" {
            h2 { "What changed meanwhile" }
            @if changes.is_empty() { p { "Nothing that is watched." } }
            @else if changes.len() <= SHOWN { (rows(0, SHOWN)) }
            @else {
                (rows(0, SHOWN))
                details { summary { (changes.len() - SHOWN) " more" } (rows(SHOWN, ROWS)) }
                @if changes.len() > ROWS { p.quiet { "The first " (ROWS) " of " (changes.len()) "; --json has all." } }
            }
        }
    }
}
