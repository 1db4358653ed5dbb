//! The table on a terminal: what stands on the screen. Pure.

use super::{
    lines::{Sums, rate, visible},
    row::{Row, What},
};

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Most packets in the last second.
    #[default]
    Rate,
    /// Most packets since the start.
    Total,
    /// By source and destination.
    Flow,
    /// By reason.
    Reason,
    /// By namespace and device.
    Place,
}

impl Sort {
    /// The one after it, in a circle.
    pub fn next(self) -> Self {
        match self {
            Sort::Rate => Sort::Total,
            Sort::Total => Sort::Flow,
            Sort::Flow => Sort::Reason,
            Sort::Reason => Sort::Place,
            Sort::Place => Sort::Rate,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Total => "total",
            Sort::Flow => "flow",
            Sort::Reason => "reason",
            Sort::Place => "place",
        }
    }

    /// Sorts; among equals those with most packets come first.
    pub fn apply(self, rows: &mut [&Row]) {
        rows.sort_by(|a, b| {
            let most = b.total_packets.cmp(&a.total_packets);
            let flow = |row: &Row| (row.source(), row.destination());
            match self {
                Sort::Rate => b.packets.cmp(&a.packets).then(most),
                Sort::Total => most,
                Sort::Flow => flow(a).cmp(&flow(b)).then(most),
                Sort::Reason => a.reason.cmp(&b.reason).then(most),
                Sort::Place => (a.namespace(), &a.device).cmp(&(b.namespace(), &b.device)).then(most),
            }
        });
    }
}

/// What the table shows beside its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// Since the start.
    pub at_s: f64,
    /// What the rows' `packets` are of.
    pub interval_s: f64,
    /// Up to now.
    pub sums: Sums,
    /// Order of rows.
    pub sort: Sort,
    /// The picture stands still; counting goes on.
    pub is_paused: bool,
}

const COLUMNS: [&str; 8] = ["/s", "total", "what", "proto", "source", "destination", "reason", "place"];
const KEYS: &str = "q quit   p pause   s sort";

/// The whole screen: at most `height` lines, none wider than `width` characters.
pub fn render(rows: &[Row], state: &State, (width, height): (usize, usize)) -> Vec<String> {
    let per_second =
        |what| -> u64 { rows.iter().filter(|row| row.what == what).map(|row| row.packets).sum() };
    let Sums { drops, retransmits, .. } = state.sums;
    let head = format!(
        "netbreak watch{} · {:.0} s · drops {}/s, {drops} in all · retransmits {}/s, {retransmits} in all · by {}",
        if state.is_paused { " · PAUSED" } else { "" },
        state.at_s,
        rate(per_second(What::Drop), state.interval_s),
        rate(per_second(What::Retransmit), state.interval_s),
        state.sort.name(),
    );
    let mut sorted: Vec<&Row> = rows.iter().collect();
    state.sort.apply(&mut sorted);
    let room = height.saturating_sub(4);
    let left_out = sorted.len().saturating_sub(room);
    let shown = sorted.into_iter().take(room).map(|row| cells(row, state.interval_s));
    let cells: Vec<[String; 8]> = [COLUMNS.map(str::to_owned)].into_iter().chain(shown).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let body = cells.iter().map(|row| {
        let aligned = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        aligned.collect::<Vec<_>>().join("  ")
    });
    let more = if left_out > 0 { format!("   {left_out} more rows") } else { String::new() };
    let nothing = rows.is_empty().then(|| "nothing was dropped or sent again yet".to_owned());
    let lines = [head].into_iter().chain(body).chain(nothing).chain([String::new(), format!("{KEYS}{more}")]);
    lines.map(|line| visible(line.trim_end()).chars().take(width).collect()).take(height).collect()
}

fn cells(row: &Row, interval_s: f64) -> [String; 8] {
    let reason = match (&row.reason, &row.symbol) {
        (Some(reason), Some(symbol)) => format!("{reason} at {symbol}"),
        (Some(only), None) | (None, Some(only)) => only.clone(),
        (None, None) => "–".to_owned(),
    };
    let place = match &row.device {
        Some(device) => format!("{device} in {}", row.namespace()),
        None => row.namespace(),
    };
    [
        rate(row.packets, interval_s).to_string(),
        row.total_packets.to_string(),
        row.what.name().to_owned(),
        row.proto().to_owned(),
        row.source(),
        row.destination(),
        reason,
        place,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::row;
    use super::*;

    fn rows() -> Vec<Row> {
        let mut rows = [
            row(What::Drop, "10.0.1.2", 5001),
            row(What::Retransmit, "10.0.1.9", 80),
            row(What::Drop, "10.0.1.1", 53),
        ];
        (rows[1].packets, rows[1].total_packets, rows[1].reason, rows[1].symbol) = (7, 8, None, None);
        (rows[2].packets, rows[2].total_packets) = (0, 900);
        (rows[2].device, rows[2].reason) = (None, Some("A".into()));
        rows.to_vec()
    }

    #[test]
    fn the_screen() {
        let sums = Sums { drops: 950, retransmits: 8, ..Sums::default() };
        let state = State { at_s: 12.3, interval_s: 1.0, sums, ..State::default() };
        insta::assert_snapshot!(render(&rows(), &state, (120, 10)).join("\n"));
        let state = State { sort: Sort::Total, is_paused: true, ..state };
        insta::assert_snapshot!("small", render(&rows(), &state, (60, 6)).join("\n"));
        insta::assert_snapshot!("nothing", render(&[], &State::default(), (80, 24)).join("\n"));
    }

    #[test]
    fn never_more_than_there_is_room_for() {
        for size in [(0, 0), (1, 1), (10, 2), (80, 3), (80, 4), (500, 100)] {
            let lines = render(&rows(), &State::default(), size);
            assert!(
                lines.len() <= size.1 && lines.iter().all(|line| line.chars().count() <= size.0),
                "{size:?}"
            );
        }
    }

    #[test]
    fn every_order() {
        let rows = rows();
        let order = |sort: Sort| {
            let mut sorted: Vec<&Row> = rows.iter().collect();
            sort.apply(&mut sorted);
            sorted.iter().map(|row| row.total_packets).collect::<Vec<_>>()
        };
        let mut sort = Sort::default();
        for expected in [[8, 50, 900], [900, 50, 8], [900, 50, 8], [8, 900, 50], [900, 50, 8]] {
            assert_eq!(order(sort), expected, "{sort:?}");
            sort = sort.next();
        }
        assert_eq!(sort, Sort::default());
    }
}
