//! Where attempts died, and what to look at.

use maud::{Markup, html};

use super::Page;
use super::fate::{Fate, sample};
use super::head::name_of;
use super::value::{count, sentence, word};
use crate::report::{Death, text::format::span};

/// Rows of the table; the JSON has every place.
const ROWS: usize = 100;

pub(super) fn deaths(page: &Page) -> Markup {
    let unexplained: u64 = page.report.probes().map(|probe| probe.unexplained).sum();
    let places = page.places.iter().count();
    if places == 0 && unexplained == 0 {
        return html! {};
    }
    html! {
        section id="deaths" {
            h2 { "Where they died" }
            @if places > 0 {
                table {
                    thead { tr { th { "" } th { "cause" } th.number { "attempts" } th { "where, when, and what to look at" } } }
                    tbody { @for (number, place) in page.places.iter().take(ROWS) {
                        tr {
                            td.nowrap { "[" (number) "]" }
                            td.nowrap { (sample(Fate::Died(place.death.cause))) (place.death.cause.name()) }
                            td.number { (place.attempts) }
                            td {
                                p { strong { (place.name()) } ", " (span(place.first_s, place.last_s)) }
                                @let evidence = place.evidence();
                                @if !evidence.is_empty() { p.evidence { (evidence.trim_start_matches(": ")) } }
                                p { "→ " (sentence(&place.death.explain)) }
                                p.quiet { (by_probe(page, number)) }
                            }
                        }
                    } }
                }
                @if places > ROWS { p.quiet { "and " (places - ROWS) " more places; --json has all" } }
            }
            @if unexplained > 0 {
                p { (sample(Fate::Unexplained)) strong { (unexplained) " unexplained" }
                    ": nothing shows where they died" }
            }
        }
    }
}

/// How many attempts of which probe died there.
fn by_probe(page: &Page, number: usize) -> Markup {
    let mut parts: Vec<(String, String, &Death)> = Vec::new();
    for (t, target) in page.report.targets.iter().enumerate() {
        for (p, probe) in target.probes.iter().enumerate() {
            for (d, death) in probe.deaths.iter().enumerate() {
                if page.places.number(death) == Some(number) {
                    let at = format!("/targets/{t}/probes/{p}/deaths/{d}");
                    parts.push((name_of(page, t, probe), at, death));
                }
            }
        }
    }
    html! {
        @for (index, (name, at, death)) in parts.iter().enumerate() {
            @if index > 0 { ", " }
            (name) " " (count(&format!("{at}/attempts"), death.attempts))
        }
        @if let Some((_, at, death)) = parts.first() {
            // The place itself, value by value, for programs and for copying.
            @for (field, text) in [("reason", &death.reason), ("symbol", &death.symbol), ("stage", &death.stage)] {
                @if let Some(text) = text { span hidden { (word(&format!("{at}/{field}"), text)) } }
            }
        }
    }
}
