//! Where attempts died, and what to look at.

use maud::{Markup, html};

use super::Page;
use super::fate::{Fate, sample};
use super::head::name_of;
use super::value::{count, sentence, word};
use crate::report::{Death, text::format::span};

/// Rows of the table; the JSON has every place.
const ROWS: usize = 100;

/// Probes that are named at a place.
const NAMED: usize = 40;

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
                                (evidence(page, number))
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

/// The deaths at one place: the name of the probe, the JSON pointer, and the death.
fn deaths_at<'a>(page: &Page<'a>, number: usize) -> Vec<(String, String, &'a Death)> {
    let mut found = Vec::new();
    for (t, target) in page.report.targets.iter().enumerate() {
        for (p, probe) in target.probes.iter().enumerate() {
            for (d, death) in probe.deaths.iter().enumerate() {
                if page.places.number(death) == Some(number) {
                    let at = format!("/targets/{t}/probes/{p}/deaths/{d}");
                    found.push((name_of(page, target, p, probe), at, death));
                }
            }
        }
    }
    found
}

/// `NETFILTER_DROP at nft_do_chain (netfilter forward)`, or what is known of it.
fn evidence(page: &Page, number: usize) -> Markup {
    let deaths = deaths_at(page, number);
    let known = |death: &Death| death.reason.is_some() || death.symbol.is_some() || death.stage.is_some();
    html! {
        @if let Some((_, at, death)) = deaths.first().filter(|(_, _, death)| known(death)) {
            p.evidence {
                @if let Some(reason) = &death.reason { (word(&format!("{at}/reason"), reason)) " " }
                @if let Some(symbol) = &death.symbol { "at " (word(&format!("{at}/symbol"), symbol)) " " }
                @if let Some(stage) = &death.stage { "(" (word(&format!("{at}/stage"), stage)) ")" }
            }
        }
    }
}

/// How many attempts of which probe died there.
fn by_probe(page: &Page, number: usize) -> Markup {
    let deaths = deaths_at(page, number);
    html! {
        @for (index, (name, at, death)) in deaths.iter().take(NAMED).enumerate() {
            @if index > 0 { ", " }
            (name) " " (count(&format!("{at}/attempts"), death.attempts))
        }
        @if deaths.len() > NAMED { ", and " (deaths.len() - NAMED) " more probes" }
    }
}
