//! The score as text.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use super::judge::Score;

const HEADER: [&str; 10] =
    ["fault", "probes", "sent", "lost", "right", "wrong", "unexplained", "hidden", "counted", ""];

/// One line a case, and totals.
pub fn render(scores: &[Score]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(HEADER).add_rows(scores.iter().map(row));
    for column in table.column_iter_mut().skip(2).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = String::new();
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let clean = scores.iter().filter(|score| score.complaints.is_empty() && score.unexplained == 0).count();
    let _ = writeln!(text, "\n{clean} of {} cases have nothing wrong and nothing unexplained.", scores.len());
    let streams = |wanted| scores.iter().filter(|score| score.stream == wanted).collect::<Vec<_>>();
    let _ = writeln!(text, "attempts: {}", total(&streams(false)));
    let _ = writeln!(text, "writes of streams: {}", total(&streams(true)));
    text
}

fn row(score: &Score) -> [String; 10] {
    let counted = score.truths.iter().map(|truth| truth.map_or_else(|| "–".to_owned(), |n| n.to_string()));
    [
        score.name.clone(),
        score.probes.clone(),
        score.sent.to_string(),
        score.lost.to_string(),
        score.right.to_string(),
        score.wrong.to_string(),
        score.unexplained.to_string(),
        score.hidden.to_string(),
        counted.collect::<Vec<_>>().join(" "),
        verdict(score),
    ]
}

fn verdict(score: &Score) -> String {
    if !score.complaints.is_empty() {
        "FAILED".to_owned()
    } else if score.silent && score.unexplained > 0 {
        "no drop to see".to_owned()
    } else {
        String::new()
    }
}

fn total(scores: &[&Score]) -> String {
    let sum = |number: fn(&Score) -> u64| -> u64 { scores.iter().map(|score| number(score)).sum() };
    let lost = sum(|score| score.lost);
    let share = |part: u64| match lost {
        0 => part.to_string(),
        _ => format!("{part} ({:.2} %)", 100.0 * part as f64 / lost as f64),
    };
    format!(
        "{lost} lost, {} located rightly, {} wrongly, {} unexplained (at the most {} of them hidden by this kernel)",
        share(sum(|score| score.right)),
        share(sum(|score| score.wrong)),
        share(sum(|score| score.unexplained)),
        sum(|score| score.hidden),
    )
}
