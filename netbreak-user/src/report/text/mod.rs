//! The report for a tired person: what was lost, when, for how long, where, why, and whether the books balance.

pub(super) mod drops;
pub(super) mod format;
mod matrix;
mod paint;
mod path;
pub(super) mod places;
pub(super) mod probes;
pub(super) mod rest;
pub(super) mod streams;

use std::collections::BTreeSet;

use super::{Report, Target, VerdictWord};
use format::count;
use paint::{Paint, Style};
use places::Places;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Colours, which never carry meaning alone.
    pub color: bool,
    /// Columns; less than 80 is taken as 80.
    pub width: usize,
}

/// Writes one part of the report after the other.
struct Page {
    text: String,
    paint: Paint,
    width: usize,
}

impl Page {
    /// Adds a line.
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// Adds `text`, broken at spaces to the width: `label` stands before its first line, in a column of `indent`.
    fn paragraph(&mut self, label: &str, indent: usize, style: Style, text: &str) {
        for (number, row) in format::wrap(text, self.width.saturating_sub(indent)).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let painted = self.paint.paint(style, row);
            self.line(format!("{label:<indent$}{painted}"));
        }
    }
}

/// The whole report as text, no line wider than `options.width`.
pub fn render(report: &Report, options: Options) -> String {
    let mut page =
        Page { text: String::new(), paint: Paint::new(options.color), width: options.width.max(80) };
    headline(&mut page, report);
    let places = Places::of(report);
    for table in super::matrix::tables(report, &places) {
        matrix::table(&mut page, &table);
    }
    // The tables tell enough of rows where nothing happened.
    let is_told =
        |target: &&Target| target.row.is_some() && target.probes.iter().all(|p| p.unanswered() == 0);
    for target in report.targets.iter().filter(|target| !is_told(target)) {
        probes::target(&mut page, report, target, &places);
    }
    places.print(&mut page);
    page.line("");
    rest::books(&mut page, report);
    drops::drops(&mut page, report);
    rest::changes(&mut page, report);
    rest::losses(&mut page, report);
    rest::sensors(&mut page, report);
    page.line("");
    rest::verdict(&mut page, report);
    page.text
}

fn headline(page: &mut Page, report: &Report) {
    let run = &report.run;
    let from = origin(report);
    let word = page.paint.paint(style_of(report.verdict), word_of(report.verdict));
    page.line(format!("netbreak · {word} · {:.1} s from {from}", run.duration_s));
    page.line(format!("{} · kernel {} · {}", run.host, run.kernel, run.started));
    for node in &run.nodes {
        page.paragraph("with", 5, Style::Plain, &node.sentence());
    }
    if run.interrupted {
        page.line(page.paint.paint(Style::Warning, &format!("interrupted after {:.2} s", run.duration_s)));
    }
}

/// Where the probes left from: a namespace, or how many sources a matrix has.
pub(super) fn origin(report: &Report) -> String {
    let run = &report.run;
    let sources = report.targets.iter().filter_map(|target| Some(target.row.as_ref()?.source.as_str()));
    match &run.netns_name {
        _ if report.is_matrix() => count(sources.collect::<BTreeSet<_>>().len() as u64, "source"),
        Some(name) => format!("{name} (netns {})", run.netns),
        None => format!("netns {}", run.netns),
    }
}

pub(super) fn word_of(verdict: VerdictWord) -> &'static str {
    match verdict {
        VerdictWord::Clean => "CLEAN",
        VerdictWord::Broken => "BROKEN",
        VerdictWord::Inconclusive => "INCONCLUSIVE",
    }
}

fn style_of(verdict: VerdictWord) -> Style {
    match verdict {
        VerdictWord::Clean => Style::Good,
        VerdictWord::Broken => Style::Bad,
        VerdictWord::Inconclusive => Style::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, TRIGGER, fixtures};
    use super::*;

    const PLAIN: Options = Options { color: false, width: 80 };

    #[test]
    fn what_the_trigger_did_is_never_summed_up() {
        let [(_, mut report), ..] = fixtures::all();
        let change =
            |what: &str, detail: String| Change { at_s: 1.0, what: what.to_owned(), device: None, detail };
        report.changes = (0..20).map(|n| change("route", format!("number {n}"))).collect();
        report.changes.push(change(TRIGGER, "`reload` started".to_owned()));
        let page = render(&report, PLAIN);
        assert!(page.contains("`reload` started") && page.contains("and 11 more"), "{page}");
        assert!(page.contains("number 8") && !page.contains("number 9"), "{page}");
    }

    #[test]
    fn snapshots() {
        for (name, report) in fixtures::all() {
            insta::assert_snapshot!(name, render(&report, PLAIN));
        }
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for (name, report) in fixtures::all() {
            for width in [80, 100, 120] {
                for line in render(&report, Options { color: false, width }).lines() {
                    assert!(line.chars().count() <= width, "{name} at {width}: {line}");
                }
            }
        }
    }

    /// Without its colours the coloured text is the plain text, so colour says nothing by itself.
    #[test]
    fn colour_only_adds() {
        for (name, report) in fixtures::all() {
            let coloured = render(&report, Options { color: true, ..PLAIN });
            let mut plain = String::new();
            let mut rest = coloured.as_str();
            while let Some((before, after)) = rest.split_once('\x1b') {
                plain.push_str(before);
                rest = after.split_once('m').unwrap().1;
            }
            plain.push_str(rest);
            assert!(coloured.contains('\x1b'), "{name}");
            assert_eq!(plain, render(&report, PLAIN), "{name}");
        }
    }
}
