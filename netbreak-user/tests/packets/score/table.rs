//! The score as text.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use super::judge::Score;

/// One line a case, what is to be said of those that failed, and a total.
pub fn render(scores: &[Score]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "fault",
        "probes",
        "sent",
        "lost",
        "right",
        "wrong",
        "unexplained",
        "hidden",
        "counted",
        "",
    ]);
    for score in scores {
        let counted: Vec<String> =
            score.truths.iter().map(|t| t.map_or_else(|| "–".to_owned(), |n| n.to_string())).collect();
        let verdict = match (score.complaints.is_empty(), score.silent) {
            (false, _) => "FAILED",
            (true, true) if score.unexplained > 0 => "no drop to see",
            _ => "",
        };
        table.add_row([
            score.name.clone(),
            score.probes.clone(),
            score.sent.to_string(),
            score.lost.to_string(),
            score.right.to_string(),
            score.wrong.to_string(),
            score.unexplained.to_string(),
            score.hidden.to_string(),
            counted.join(" "),
            verdict.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = String::new();
    for score in scores.iter().filter(|score| !score.complaints.is_empty()) {
        let _ = writeln!(text, "{}: FAILED\n  {}\n", score.name, score.complaints.join("\n  "));
    }
    let _ = writeln!(text, "{table}\n\n{}", total(scores));
    text
}

fn total(scores: &[Score]) -> String {
    let sum = |number: fn(&Score) -> u64| -> u64 { scores.iter().map(number).sum() };
    let (lost, right, wrong) = (sum(|s| s.lost), sum(|s| s.right), sum(|s| s.wrong));
    let percent = |part: u64| if lost == 0 { 100.0 } else { 100.0 * part as f64 / lost as f64 };
    let failed = scores.iter().filter(|score| !score.complaints.is_empty()).count();
    format!(
        "{} cases, {failed} failed. {lost} attempts lost: {right} located rightly ({:.2} %), {wrong} wrongly ({:.2} %), \
         {} unexplained ({:.2} %; {} hidden by this kernel at the most)",
        scores.len(),
        percent(right),
        percent(wrong),
        sum(|s| s.unexplained),
        percent(sum(|s| s.unexplained)),
        sum(|s| s.hidden),
    )
}
