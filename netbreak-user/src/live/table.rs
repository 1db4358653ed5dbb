//! The table on a terminal: what stands on the screen. Pure.

use super::{
    detail,
    lines::{Sums, rate, visible},
    row::{Row, What},
    seen::Entry,
    view::View,
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
    pub fn apply(self, entries: &mut [&Entry]) {
        entries.sort_by(|a, b| {
            let (a, b) = (&a.row, &b.row);
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
    /// The picture stands still; counting goes on.
    pub is_paused: bool,
}

const COLUMNS: [&str; 8] = ["/s", "total", "what", "proto", "source", "destination", "reason", "place"];
const KEYS: &str = "q quit   p pause   s sort   ↑↓ select   Enter detail   / filter";

/// What stands on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// From the top.
    pub lines: Vec<String>,
    /// Which of them is the selected row's.
    pub selected: Option<usize>,
}

/// The whole screen: at most `height` lines, none wider than `width` characters.
pub fn render(entries: &[Entry], state: &State, view: &View, (width, height): (usize, usize)) -> Screen {
    let opened = view.detail.as_ref().and_then(|detail| {
        let entry = entries.iter().find(|entry| entry.key == detail.key)?;
        Some(detail::render(entry, detail, state.interval_s))
    });
    let opened: Vec<String> =
        opened.into_iter().flat_map(|lines| [String::new()].into_iter().chain(lines)).collect();
    let shown = view.shown(entries);
    let selected = shown.iter().position(|entry| Some(entry.key) == view.selected);
    // Head, columns, a blank and the keys.
    let room = height.saturating_sub(4 + opened.len());
    // The selected row is always seen.
    let first = selected.map_or(0, |selected| (selected + 1).saturating_sub(room));
    let left_out = shown.len().saturating_sub(room);
    let (in_all, passed) = (entries.len(), shown.len());
    let rows = shown.into_iter().skip(first).take(room).map(|entry| &entry.row);
    let selected = selected.filter(|_| room > 0).map(|selected| 2 + selected - first);
    let body = aligned(rows, state.interval_s);
    let nothing = match (in_all, passed) {
        (0, _) => Some("nothing was dropped or sent again yet"),
        (_, 0) => Some("no row has all of these words"),
        _ => None,
    };
    let lines = [head(entries, state, view)]
        .into_iter()
        .chain(body.into_iter().enumerate().map(|(number, line)| {
            let mark = if selected == Some(number + 1) { "›" } else { " " };
            format!("{mark}{line}")
        }))
        .chain(nothing.map(|nothing| format!(" {nothing}")))
        .chain(opened)
        .chain([String::new(), foot(view, (passed, in_all), left_out)]);
    let lines = lines.map(|line| visible(line.trim_end()).chars().take(width).collect());
    Screen { lines: lines.take(height).collect(), selected: selected.filter(|selected| *selected < height) }
}

fn head(entries: &[Entry], state: &State, view: &View) -> String {
    let per_second = |what| -> u64 {
        entries.iter().filter(|entry| entry.row.what == what).map(|entry| entry.row.packets).sum()
    };
    let Sums { drops, retransmits, .. } = state.sums;
    format!(
        "netbreak watch{} · {:.0} s · drops {}/s, {drops} in all · retransmits {}/s, {retransmits} in all · by {}",
        if state.is_paused { " · PAUSED" } else { "" },
        state.at_s,
        rate(per_second(What::Drop), state.interval_s),
        rate(per_second(What::Retransmit), state.interval_s),
        view.sort.name(),
    )
}

fn foot(view: &View, (passed, in_all): (usize, usize), left_out: usize) -> String {
    let more = if left_out > 0 { format!("{left_out} more rows   ") } else { String::new() };
    let of_all = format!("{passed} of {in_all} rows");
    match (view.is_typing, view.filter.is_empty()) {
        (true, _) => format!("filter: {}▏ {of_all}   Enter keeps it, Esc takes it off", view.filter),
        (false, false) => format!("filter: {} ({of_all}), Esc takes it off   {more}{KEYS}", view.filter),
        (false, true) => format!("{more}{KEYS}"),
    }
}

/// The names of the columns, then a line a row.
fn aligned<'a>(rows: impl Iterator<Item = &'a Row>, interval_s: f64) -> Vec<String> {
    let rows = rows.map(|row| cells(row, interval_s));
    let cells: Vec<[String; 8]> = [COLUMNS.map(str::to_owned)].into_iter().chain(rows).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 8]| {
        let aligned = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        aligned.collect::<Vec<_>>().join("  ")
    };
    cells.iter().map(line).collect()
}

/// What the words of a filter are looked for in: a row as it stands there but for its numbers, in lower case.
pub fn words(row: &Row) -> String {
    cells(row, 1.0)[2..].join(" ").to_lowercase()
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
    use super::super::{
        keys::parse,
        seen::tests::{entries, number},
    };
    use super::*;

    fn view(keys: &str) -> View {
        let mut view = View::default();
        for key in parse(keys.as_bytes()) {
            view.press(key, &entries());
        }
        view.look(&entries(), 1.0);
        view
    }

    fn text(screen: Screen) -> String {
        screen.lines.join("\n")
    }

    #[test]
    fn the_screen() {
        let sums = Sums { drops: 950, retransmits: 8, ..Sums::default() };
        let state = State { at_s: 12.3, interval_s: 1.0, sums, ..State::default() };
        insta::assert_snapshot!(text(render(&entries(), &state, &View::default(), (120, 10))));
        let detail = render(&entries(), &state, &view("jj\r"), (120, 20));
        insta::assert_snapshot!("detail", text(detail));
        let filtered = |keys| text(render(&entries(), &state, &view(keys), (120, 10)));
        insta::assert_snapshot!("typing", filtered("/nft 50"));
        insta::assert_snapshot!("filtered", filtered("/nothing\r"));
        let paused = State { is_paused: true, ..state };
        insta::assert_snapshot!("small", text(render(&entries(), &paused, &view("s"), (60, 6))));
        insta::assert_snapshot!("nothing", text(render(&[], &State::default(), &View::default(), (80, 24))));
    }

    #[test]
    fn never_more_than_there_is_room_for() {
        for size in [(0, 0), (1, 1), (10, 2), (80, 3), (80, 4), (80, 12), (500, 100)] {
            for keys in ["", "jj", "jj\r", "/drop"] {
                let Screen { lines, selected } = render(&entries(), &State::default(), &view(keys), size);
                assert!(
                    lines.len() <= size.1 && lines.iter().all(|line| line.chars().count() <= size.0),
                    "{size:?} {keys:?}"
                );
                assert!(selected.is_none_or(|selected| selected < lines.len()), "{size:?} {keys:?}");
            }
        }
    }

    #[test]
    fn the_selected_row_is_seen_and_marked() {
        for (keys, height, expected) in
            [("", 10, None), ("j", 10, Some(2)), ("\x1b[F", 10, Some(4)), ("\x1b[F", 5, Some(2))]
        {
            let Screen { lines, selected } =
                render(&entries(), &State::default(), &view(keys), (200, height));
            assert_eq!(selected, expected, "{keys:?}");
            let marked: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].starts_with('›')).collect();
            assert_eq!(marked, Vec::from_iter(expected), "{lines:#?}");
        }
    }

    #[test]
    fn every_order() {
        let entries = entries();
        let order = |sort: Sort| {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sort.apply(&mut sorted);
            sorted.iter().map(|entry| number(entry.key)).collect::<Vec<_>>()
        };
        let mut sort = Sort::default();
        for expected in [[2, 1, 3], [3, 1, 2], [3, 1, 2], [2, 3, 1], [3, 1, 2]] {
            assert_eq!(order(sort), expected, "{sort:?}");
            sort = sort.next();
        }
        assert_eq!(sort, Sort::default());
    }
}
