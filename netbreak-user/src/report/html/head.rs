//! What a hurried reader has to know.

use maud::{Markup, html};

use super::Page;
use super::value::{number, word};
use crate::report::{
    Probe, Target, VerdictWord,
    text::{
        format::{NOT_MEASURED, count, time},
        origin,
        rest::sentence,
        word_of,
    },
};

pub(super) fn head(page: &Page) -> Markup {
    let (report, run) = (page.report, &page.report.run);
    let (class, mark) = match report.verdict {
        VerdictWord::Clean => ("good", "✓"),
        VerdictWord::Broken => ("bad", "✗"),
        VerdictWord::Inconclusive => ("warn", "?"),
    };
    html! {
        header {
            p.brand { "netbreak" }
            h1 {
                span.verdict.(class) { (mark) " " (word_of(report.verdict)) }
                " " (sentence(report))
            }
            p.quiet {
                (word("/run/host", &run.host)) " · kernel " (word("/run/kernel", &run.kernel))
                " · from " (origin(report))
                " · started " time datetime=(run.started) { (to_the_second(&run.started)) }
                " · " (number("/run/duration_s", run.duration_s, format!("{:.1} s", run.duration_s)))
                @if run.interrupted { " · " strong { "interrupted" } }
            }
            @for node in &run.nodes { p.quiet { "with " (node.sentence()) } }
            ul.tiles { @for (label, figure, note) in tiles(page) {
                li { span.what { (label) } strong { (figure) } span.quiet { (note) } }
            } }
        }
    }
}

/// Label, figure, and what it stands for.
fn tiles(page: &Page) -> [(&'static str, String, String); 4] {
    let report = page.report;
    let (mut sent, mut unanswered, mut dead, mut unexplained) = (0, 0, 0, 0);
    for probe in report.probes() {
        sent += probe.sent;
        unanswered += probe.unanswered();
        dead += probe.needing_a_death();
        unexplained += probe.unexplained;
    }
    let outages = || report.probes().flat_map(|probe| &probe.outages);
    let longest = outages().map(|outage| outage.duration_s).max_by(f64::total_cmp);
    let share = if sent == 0 { NOT_MEASURED.to_owned() } else { percent(unanswered as f64 / sent as f64) };
    let explained =
        if dead == 0 { NOT_MEASURED.to_owned() } else { percent(1.0 - unexplained as f64 / dead as f64) };
    let comparable = report.books.iter().filter(|book| book.balanced.is_some()).count();
    let balanced = report.books.iter().filter(|book| book.balanced == Some(true)).count();
    let broken = report.probes().filter(|probe| probe.unanswered() > 0).count();
    let books = if comparable == 0 { NOT_MEASURED.to_owned() } else { format!("{balanced} of {comparable}") };
    [
        (
            "longest outage",
            longest.map_or_else(|| "none".to_owned(), time),
            format!("{} of {}", count(outages().count() as u64, "outage"), count(broken as u64, "probe")),
        ),
        ("not answered in time", share, format!("{unanswered} of {}", count(sent, "attempt"))),
        ("lost and explained", explained, format!("{} of {dead}", dead - unexplained)),
        ("books that balance", books, "traced against counted".to_owned()),
    ]
}

/// A time of RFC 3339 as a person reads it.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) => {
            seconds.replace('T', " ") + rest.trim_start_matches(|letter: char| letter.is_ascii_digit())
        }
        None => time.replace('T', " "),
    }
}

/// Never 0 % or 100 % of what is only nearly so.
fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".to_owned(),
        100.0 => "100 %".to_owned(),
        percent => format!("{:.1} %", percent.clamp(0.1, 99.9)),
    }
}

/// `icmp`, `tcp 7000`, with its target where there are several. `index` is the probe's among those of the target.
pub(super) fn name_of(page: &Page, target: &Target, index: usize, probe: &Probe) -> String {
    let name = super::row::name(target, index, probe);
    match &target.row {
        Some(row) => format!("{} · {name}", row.name),
        None if page.report.targets.len() > 1 => format!("{} {name}", target.target),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_has_no_nanoseconds() {
        assert_eq!(to_the_second("2026-11-22T22:25:10.690607683Z"), "2026-11-22 22:25:10Z");
        assert_eq!(to_the_second("2026-01-02T03:04:05Z"), "2026-01-02 03:04:05Z");
    }

    #[test]
    fn nearly_all_is_not_all() {
        let texts = [0.0, 1e-6, 0.25, 0.99999, 1.0].map(percent);
        assert_eq!(texts, ["0 %", "0.1 %", "25.0 %", "99.9 %", "100 %"]);
    }
}
