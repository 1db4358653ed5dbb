//! Books, changes, losses, sensors, and the last line.

use super::format::{NOT_MEASURED, count, measured, namespace, seconds};
use super::{Page, Style, style_of, word_of};
use crate::report::{Book, Change, Probe, Report, TRIGGER, VerdictWord};

/// Where the text of these parts begins.
const TEXT: usize = 10;
/// More changes than this are summed up.
const CHANGES: usize = 10;

/// The unbalanced ones with both sides; of those that cannot hold only how many they are.
pub(super) fn books(page: &mut Page, report: &Report) {
    let (comparable, impossible): (Vec<&Book>, Vec<&Book>) =
        report.books.iter().partition(|book| book.balanced.is_some());
    let unbalanced: Vec<&Book> = comparable.iter().copied().filter(|b| b.balanced == Some(false)).collect();
    if comparable.is_empty() {
        page.paragraph("books", TEXT, Style::Plain, &format!("{NOT_MEASURED} (nothing to compare)"));
        return;
    }
    let mut text = format!("{} of {} balance", comparable.len() - unbalanced.len(), comparable.len());
    if !impossible.is_empty() {
        text.push_str(&format!("; {} more cannot be checked here (--json says why)", impossible.len()));
    }
    let style = if unbalanced.is_empty() { Style::Plain } else { Style::Warning };
    page.paragraph("books", TEXT, style, &text);
    for book in unbalanced {
        let netns = namespace(book.netns_name.as_deref(), Some(book.netns)).unwrap_or_default();
        let text = format!(
            "NOT BALANCED: {} in {netns}: traced {}, {} counted {}",
            book.name,
            measured(book.traced),
            book.counter,
            measured(book.counted)
        );
        page.paragraph("", TEXT, Style::Warning, &text);
        let why = book.why.as_deref().unwrap_or("nothing explains the difference");
        page.paragraph(&format!("{:>1$}", "→ ", TEXT), TEXT, Style::Plain, why);
    }
}

pub(super) fn changes(page: &mut Page, report: &Report) {
    // What the trigger did is what the run is about: it is never summed up.
    let is_trigger = |change: &Change| change.what == TRIGGER;
    let triggers = report.changes.iter().filter(|change| is_trigger(change)).count();
    let mut room = CHANGES.saturating_sub(triggers);
    let fitting = report.changes.iter().filter(|change| {
        let fits = is_trigger(change) || room > 0;
        room -= usize::from(fits && !is_trigger(change));
        fits
    });
    let shown: Vec<&Change> = fitting.collect();
    for (number, change) in shown.iter().enumerate() {
        let device = change.device.as_deref().map(|device| format!(" {device}")).unwrap_or_default();
        let text = format!("{}: {}{device} {}", seconds(change.at_s), change.what, change.detail);
        page.paragraph(if number == 0 { "changes" } else { "" }, TEXT, Style::Plain, &text);
    }
    let hidden = report.changes.len() - shown.len();
    if hidden > 0 {
        page.paragraph("", TEXT, Style::Plain, &format!("and {hidden} more; --json has all"));
    }
}

/// Loud: what was lost while measuring makes the rest uncertain.
pub(super) fn losses(page: &mut Page, report: &Report) {
    for (_, number, what) in named_losses(report) {
        if number > 0 {
            page.paragraph("LOSSES", TEXT, Style::Bad, &format!("{what}: {number}"));
        }
    }
}

/// Each loss: its field, how many, and of what.
pub(in crate::report) fn named_losses(report: &Report) -> [(&'static str, u64, &'static str); 5] {
    let losses = &report.losses;
    [
        (
            "ring_full",
            losses.ring_full,
            "events of probe packets, the ring buffer was full (deaths may be unexplained)",
        ),
        (
            "map_full",
            losses.map_full,
            "packets in the totals but in no flow, the flow table was full (see --flows)",
        ),
        ("ledger", losses.ledger, "attempts whose way the ledger had forgotten"),
        ("unreadable", losses.unreadable, "packets whose headers could not be read"),
        ("missed", losses.missed, "program runs that the kernel skipped (recursion)"),
    ]
}

pub(super) fn sensors(page: &mut Page, report: &Report) {
    for sensor in report.run.sensors.iter().filter(|sensor| sensor.is_missed()) {
        let why = sensor.why.as_deref().unwrap_or("no reason is known");
        page.paragraph(
            "sensor",
            TEXT,
            Style::Warning,
            &format!("{} is {}: {why}", sensor.name, sensor.state.name()),
        );
    }
}

/// The last line: what the exit status says.
pub(super) fn verdict(page: &mut Page, report: &Report) {
    let status = report.verdict.exit_code();
    let text = format!("{}: {} (exit status {status})", word_of(report.verdict), sentence(report));
    page.paragraph("", 0, style_of(report.verdict), &text);
}

/// What the verdict says, in numbers.
pub(in crate::report) fn sentence(report: &Report) -> String {
    let sent: u64 = report.probes().map(|probe| probe.sent).sum();
    let unanswered: u64 = report.probes().map(Probe::unanswered).sum();
    let unexplained: u64 = report.probes().map(|probe| probe.unexplained).sum();
    let refused: u64 = report.probes().map(|probe| probe.refused).sum();
    let broken = report.probes().filter(|probe| probe.unanswered() > 0).count();
    let mut text = match report.verdict {
        VerdictWord::Clean if refused > 0 => {
            format!("all {} answered in time, {refused} of them refused", count(sent, "attempt"))
        }
        VerdictWord::Clean => format!("all {} answered in time", count(sent, "attempt")),
        VerdictWord::Broken => format!(
            "{broken} of {} had an outage, {unanswered} of {} not answered in time, {unexplained} unexplained",
            count(report.probes().count() as u64, "probe"),
            count(sent, "attempt"),
        ),
        VerdictWord::Inconclusive if sent == 0 => "no attempt was made".to_owned(),
        VerdictWord::Inconclusive if report.triggered() => {
            format!("all {} answered in time, but the trigger did not do its work", count(sent, "attempt"))
        }
        VerdictWord::Inconclusive => "the run could not tell".to_owned(),
    };
    if report.run.interrupted {
        text.push_str(", interrupted");
    }
    text
}
