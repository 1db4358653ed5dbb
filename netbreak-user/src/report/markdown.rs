//! The report for an issue tracker: the same facts as the text, as Markdown tables.

use std::fmt::Write as _;

use super::matrix::tables;
use super::text::{
    format::{count, measured, namespace},
    places::Places,
    probes::late_because,
};
use super::{Book, Leg, Report, TRIGGER, VerdictWord};

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut page, report);
    page
}

fn write(page: &mut String, report: &Report) -> std::fmt::Result {
    let verdict = match report.verdict {
        VerdictWord::Clean => "clean",
        VerdictWord::Broken => "broken",
        VerdictWord::Inconclusive => "inconclusive",
    };
    let run = &report.run;
    let interrupted = if run.interrupted { ", interrupted" } else { "" };
    writeln!(page, "## netbreak: {verdict}{interrupted}\n")?;
    writeln!(page, "{} · kernel {} · {} · {:.1} s\n", run.host, run.kernel, run.started, run.duration_s)?;
    for node in &run.nodes {
        writeln!(page, "- with {}", node.sentence())?;
    }
    if !run.nodes.is_empty() {
        writeln!(page)?;
    }
    for change in report.changes.iter().filter(|change| change.what == TRIGGER) {
        writeln!(page, "- trigger at {:.2} s: {}", change.at_s, change.detail)?;
    }
    if report.triggered() {
        writeln!(page)?;
    }
    if report.is_matrix() {
        let places = Places::of(report);
        matrix(page, report, &places)?;
        places_of(page, &places)?;
        late(page, report)?;
        return unbalanced(page, report);
    }
    writeln!(page, "| target | probe | sent | answered | not in time | longest outage | unexplained |")?;
    writeln!(page, "|---|---|--:|--:|--:|--:|--:|")?;
    for target in &report.targets {
        for probe in &target.probes {
            let port = probe.port.map(|port| format!(" {port}")).unwrap_or_default();
            let longest = probe.outages.iter().map(|o| o.duration_s).max_by(f64::total_cmp);
            writeln!(
                page,
                "| {} | {}{port} | {} | {} | {} | {} | {} |",
                cell(&target.target),
                probe.kind.name(),
                probe.sent,
                probe.answered + probe.refused,
                probe.unanswered(),
                longest.map_or_else(|| "–".to_owned(), |s| format!("{s:.2} s")),
                probe.unexplained,
            )?;
        }
    }
    deaths(page, report)?;
    books(page, report)
}

fn matrix(page: &mut String, report: &Report, places: &Places) -> std::fmt::Result {
    for table in tables(report, places) {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let rules: Vec<&str> =
            table.columns.iter().map(|column| if column.is_number { "--:" } else { "---" }).collect();
        writeln!(page, "### {}\n\n| {} |\n|{}|", table.title, names.join(" | "), rules.join("|"))?;
        for row in &table.rows {
            writeln!(page, "| {} |", row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "))?;
        }
        writeln!(page)?;
    }
    Ok(())
}

/// What the numbers in brackets stand for.
fn places_of(page: &mut String, places: &Places) -> std::fmt::Result {
    for (number, place) in places.iter() {
        let (cause, explain) = (place.death.cause.name(), cell(&place.death.explain));
        writeln!(
            page,
            "- [{number}] {}: {cause}, {}: {explain}",
            cell(&place.name()),
            count(place.attempts, "attempt")
        )?;
    }
    Ok(())
}

/// What held up attempts that were answered late.
fn late(page: &mut String, report: &Report) -> std::fmt::Result {
    for target in &report.targets {
        for probe in &target.probes {
            let Some(why) = late_because(report, target, probe) else { continue };
            let (title, kind) = (cell(&target.title()), probe.kind.name());
            writeln!(page, "- {title}, {kind}: {} late: {}", probe.late, cell(&why))?;
        }
    }
    Ok(())
}

/// A matrix has books of many namespaces: those that do not balance are told.
fn unbalanced(page: &mut String, report: &Report) -> std::fmt::Result {
    let comparable = report.books.iter().filter(|book| book.balanced.is_some()).count();
    let open: Vec<&Book> = report.books.iter().filter(|book| book.balanced == Some(false)).collect();
    writeln!(page, "\n{} of {comparable} books balance.", comparable - open.len())?;
    for book in open {
        writeln!(
            page,
            "- **not balanced**: {} in {}: traced {}, {} counted {}: {}",
            book.name,
            cell(&namespace(book.netns_name.as_deref(), Some(book.netns)).unwrap_or_default()),
            measured(book.traced),
            book.counter,
            measured(book.counted),
            cell(book.why.as_deref().unwrap_or("nothing explains the difference")),
        )?;
    }
    Ok(())
}

fn deaths(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.probes().all(|probe| probe.deaths.is_empty()) {
        return Ok(());
    }
    writeln!(page, "\n| probe | died | leg | where | cause | why |\n|---|--:|---|---|---|---|")?;
    for target in &report.targets {
        for probe in &target.probes {
            for death in &probe.deaths {
                let leg = match death.leg {
                    Leg::Request => "request",
                    Leg::Reply => "reply",
                    Leg::Unknown => "–",
                };
                let netns = death.netns_name.clone().or_else(|| death.netns.map(|inode| inode.to_string()));
                let place: Vec<_> = [&death.node, &death.device, &netns, &death.stage]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect();
                let evidence: Vec<_> =
                    [&death.reason, &death.symbol].into_iter().flatten().cloned().collect();
                writeln!(
                    page,
                    "| {} {} | {} | {leg} | {} | {} {} | {} |",
                    cell(&target.target),
                    probe.kind.name(),
                    death.attempts,
                    cell(&place.join(", ")),
                    death.cause.name(),
                    cell(&evidence.join(" ")),
                    cell(&death.explain),
                )?;
            }
        }
    }
    Ok(())
}

fn books(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.books.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n| book | traced | counter | counted | balanced | why |\n|---|--:|---|--:|---|---|")?;
    for book in &report.books {
        let balanced = match book.balanced {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        writeln!(
            page,
            "| {} | {} | {} | {} | {balanced} | {} |",
            cell(&book.name),
            measured(book.traced),
            book.counter,
            measured(book.counted),
            cell(book.why.as_deref().unwrap_or("")),
        )?;
    }
    Ok(())
}

/// A bar would end the cell, and a line break the row. A space that no line may end at is one for the text only.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\u{a0}'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::{Change, fixtures};
    use super::*;

    #[test]
    fn snapshots() {
        insta::assert_snapshot!("broken", render(&fixtures::broken()));
        insta::assert_snapshot!("interrupted", render(&fixtures::interrupted()));
        insta::assert_snapshot!("matrix", render(&fixtures::matrix()));
    }

    #[test]
    fn what_the_trigger_did_stands_first() {
        let mut report = fixtures::broken();
        let detail = "`reload` ended with exit status 0".to_owned();
        report.changes.push(Change { at_s: 5.25, what: TRIGGER.to_owned(), device: None, detail });
        let page = render(&report);
        assert!(
            page.contains("\n- trigger at 5.25 s: `reload` ended with exit status 0\n\n| target "),
            "{page}"
        );
    }

    #[test]
    fn a_bar_stays_in_its_cell() {
        let mut report = fixtures::broken();
        report.books[0].name = "a|b\nc".into();
        assert!(render(&report).contains("| a\\|b c |"));
    }
}
