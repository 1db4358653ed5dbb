//! All that is known of one row. Pure.

use super::{lines::rate, seen::Entry, view::Detail};

/// Lines that a detail takes.
pub const LINES: usize = 6;

/// What stands below the table of a row that was opened; `interval_s` as in [`super::table::State`].
pub fn render(entry: &Entry, detail: &Detail, interval_s: f64) -> [String; LINES] {
    let row = &entry.row;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let at = row.symbol.as_ref().map_or_else(String::new, |symbol| format!(" at {symbol}"));
    let netns = row.netns.map_or_else(String::new, |inode| format!(" (netns {inode})"));
    let bytes = match (row.bytes, row.total_bytes) {
        (Some(now), Some(total)) => format!("; {} bytes/s, {total} in all", rate(now, interval_s)),
        _ => String::new(),
    };
    let now = rate(row.packets, interval_s);
    let most = detail.rates.iter().max().copied().unwrap_or(now);
    [
        format!("{} of {} {} → {}", row.what.name(), row.proto(), row.source(), row.destination()),
        format!("  reason   {}{at}", or_none(&row.reason)),
        format!("  place    {} in {}{netns}", or_none(&row.device), row.namespace()),
        format!("  packets  {now}/s, {} in all{bytes}", row.total_packets),
        format!("  seen     first {:.0} s after the start, last {:.0} s", entry.first_s, entry.last_s),
        format!(
            "  per s    {} at most {most}/s since it was opened",
            bars(detail.rates.iter().copied(), most)
        ),
    ]
}

/// A bar a number, of eight heights; a blank is 0.
fn bars(numbers: impl Iterator<Item = u64>, most: u64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |number: u64| match (number * 8).div_ceil(most.max(1)) {
        0 => ' ',
        height => BARS[height as usize - 1],
    };
    numbers.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::entries;
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_number() {
        assert_eq!(bars([0, 1, 4, 8].into_iter(), 8), " ▁▄█");
        assert_eq!(bars([3, 30_000].into_iter(), 30_000), "▁█");
        assert_eq!(bars([0].into_iter(), 0), " ");
    }

    #[test]
    fn all_of_a_row() {
        let detail = |rates: &[u64]| Detail { key: entries()[0].key, rates: rates.iter().copied().collect() };
        insta::assert_snapshot!(render(&entries()[0], &detail(&[0, 3, 10]), 0.5).join("\n"));
        insta::assert_snapshot!("little_known", render(&entries()[1], &detail(&[]), 1.0).join("\n"));
    }
}
