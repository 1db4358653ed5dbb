//! What is printed where there is no screen: a line a row and second, for people or as JSON. Pure.

use serde::Serialize;

use super::row::{Row, What};
use crate::report::Sensor;

/// The schema of the lines of `--json`.
pub const SCHEMA: &str = "netbreak.watch/1";

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "line", rename_all = "lowercase")]
pub enum Line<'a> {
    /// The first one.
    Start {
        /// [`SCHEMA`].
        schema: &'static str,
        /// Host name.
        host: String,
        /// Kernel release.
        kernel: String,
        /// Wall time, RFC 3339: what `at_s` counts from.
        started: String,
        /// As in a report.
        sensors: &'a [Sensor],
    },
    /// A row that has grown.
    Row {
        /// When it was looked at.
        at_s: f64,
        /// Since the look before.
        interval_s: f64,
        /// What has grown.
        #[serde(flatten)]
        row: &'a Row,
    },
    /// The last one.
    End {
        /// When.
        at_s: f64,
        /// What was seen.
        #[serde(flatten)]
        sums: &'a Sums,
    },
}

/// Over the whole time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sums {
    /// Dropped segments that passed the filter.
    pub drops: u64,
    /// Retransmitted segments that passed the filter.
    pub retransmits: u64,
    /// Segments, shown or not, whose flow found the table of flows full: their rows have no `flow`.
    pub map_full: u64,
    /// Packets whose headers could not be read.
    pub unreadable: u64,
    /// Times that the kernel skipped a program because it interrupted itself.
    pub missed: u64,
}

impl Sums {
    /// Adds what a row has grown by.
    pub fn add(&mut self, row: &Row) {
        match row.what {
            What::Drop => self.drops += row.packets,
            What::Retransmit => self.retransmits += row.packets,
        }
    }
}

/// One line of JSON with its newline.
///
/// # Errors
/// Only if a line cannot be JSON, which no value of it makes happen.
pub fn json(line: &Line) -> serde_json::Result<String> {
    serde_json::to_string(line).map(|line| line + "\n")
}

/// One line for people with its newline.
pub fn plain(at_s: f64, interval_s: f64, row: &Row) -> String {
    let Row { packets, total_packets, .. } = row;
    let ends = match &row.flow {
        Some(flow) if flow.src.is_some() => format!("{} → {}", row.source(), row.destination()),
        Some(_) => "no IP header".to_owned(),
        None => "flows that the table has no room for".to_owned(),
    };
    let reason = row.reason.as_deref().map(|reason| format!("  {reason}")).unwrap_or_default();
    let symbol = row.symbol.as_deref().map(|symbol| format!(" at {symbol}")).unwrap_or_default();
    let place = match (&row.device, row.netns) {
        (Some(device), Some(_)) => format!("  {device} in {}", row.namespace()),
        (Some(device), None) => format!("  {device}"),
        (None, Some(_)) => format!("  in {}", row.namespace()),
        (None, None) => String::new(),
    };
    visible(&format!(
        "{at_s:>7.1} s  {:<10} {:>8}/s {total_packets:>9}  {:<5} {ends}{reason}{symbol}{place}",
        row.what.name(),
        rate(*packets, interval_s),
        row.proto(),
    )) + "\n"
}

/// The last line for people.
pub fn summary(at_s: f64, sums: &Sums) -> String {
    let Sums { drops, retransmits, map_full, unreadable, missed } = sums;
    let lost = match (map_full, unreadable, missed) {
        (0, 0, 0) => "no loss".to_owned(),
        _ => format!(
            "{map_full} beyond the table of flows (--flows), {unreadable} unreadable, {missed} missed by programs"
        ),
    };
    format!("{at_s:.1} s: {drops} packets dropped, {retransmits} segments retransmitted; {lost}\n")
}

/// Per second, rounded; what is there is never 0.
pub fn rate(packets: u64, interval_s: f64) -> u64 {
    let rate = (packets as f64 / interval_s.max(0.001)).round() as u64;
    if packets > 0 { rate.max(1) } else { 0 }
}

/// Names come from the machine and may hold anything: no control character reaches a terminal.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::row;
    use super::*;

    #[test]
    fn a_line_for_people() {
        let mut row = row(What::Drop, "10.0.1.2", 5001);
        assert_eq!(
            plain(3.0, 0.5, &row),
            "    3.0 s  drop             10/s        50  udp   10.0.1.2:40000 → 10.0.2.2:5001  NETFILTER_DROP at \
             nft_do_chain  r0 in router\n"
        );
        row.netns_name = Some("a\u{1b}[2Jb".into());
        assert!(plain(3.0, 0.5, &row).ends_with("r0 in a?[2Jb\n"));
        (row.what, row.flow, row.reason, row.symbol) = (What::Retransmit, None, None, None);
        (row.device, row.netns_name) = (None, None);
        assert_eq!(
            plain(3.0, 1.0, &row),
            "    3.0 s  retransmit        5/s        50  –     flows that the table has no room for  in 4026532246\n"
        );
    }

    #[test]
    fn lines_of_json() {
        let mut row = row(What::Drop, "10.0.1.2", 5001);
        let line = json(&Line::Row { at_s: 3.0, interval_s: 1.0, row: &row }).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["line"], &value["what"], &value["packets"]),
            (&"row".into(), &"drop".into(), &5.into())
        );
        assert_eq!((&value["flow"]["dport"], &value["total_packets"]), (&5001.into(), &50.into()));
        assert!(line.ends_with("}\n") && line.lines().count() == 1, "{line}");
        row.symbol = None;
        assert!(!json(&Line::Row { at_s: 3.0, interval_s: 1.0, row: &row }).unwrap().contains("null"));
        let mut sums = Sums::default();
        sums.add(&row);
        let end = json(&Line::End { at_s: 4.0, sums: &sums }).unwrap();
        assert!(end.starts_with("{\"line\":\"end\",\"at_s\":4.0,\"drops\":5,\"retransmits\":0,"), "{end}");
    }

    #[test]
    fn what_is_there_has_a_rate() {
        assert_eq!((rate(0, 1.0), rate(1, 10.0), rate(30, 1.0), rate(5, 0.0)), (0, 1, 30, 5000));
    }

    #[test]
    fn losses_are_said() {
        let sums = Sums { drops: 3, retransmits: 1, ..Sums::default() };
        assert_eq!(summary(2.0, &sums), "2.0 s: 3 packets dropped, 1 segments retransmitted; no loss\n");
        let full = Sums { map_full: 7, ..sums };
        assert!(summary(2.0, &full).contains("7 beyond the table of flows"));
    }
}
