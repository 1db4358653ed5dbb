//! The flows that lost most packets, whoever they belong to.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::format::{NOT_MEASURED, count};
use super::{Page, Style};
use crate::report::{DropRow, Flow, Report, SensorState};

/// Rows of the table; JSON has every flow.
const ROWS: usize = 10;

pub(super) fn drops(page: &mut Page, report: &Report) {
    let traced = report.run.sensors.iter().any(|s| s.name == "kfree_skb" && s.state != SensorState::Off);
    if !traced {
        page.paragraph("drops", 10, Style::Plain, &format!("{NOT_MEASURED} (kfree_skb was not traced)"));
        return;
    }
    let total: u64 = report.drop_totals.iter().map(|row| row.packets).sum();
    if total == 0 {
        page.paragraph("drops", 10, Style::Plain, "none on this machine");
        return;
    }
    let mut text = format!(
        "{} of {} on this machine, ours or not",
        count(total, "packet"),
        count(report.drops.len() as u64, "flow")
    );
    if report.drops.len() > ROWS {
        text.push_str(&format!("; the first {ROWS}, --json has all:"));
    }
    page.paragraph("drops", 10, Style::Plain, &text);
    if !report.drops.is_empty() {
        page.line(table(&report.drops, page.width));
    }
}

fn table(rows: &[DropRow], width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(["packets", "flow", "reason, symbol", "device, netns"]);
    for row in rows.iter().take(ROWS) {
        let netns = row.netns.map(|inode| inode.to_string());
        table.add_row([
            row.packets.to_string(),
            flow(&row.flow),
            format!("{}\n{}", known(row.reason.as_deref()), known(row.symbol.as_deref())),
            format!("{}\n{}", known(row.device.as_deref()), known(netns.as_deref())),
        ]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn known(value: Option<&str>) -> String {
    value.unwrap_or(NOT_MEASURED).to_owned()
}

/// `udp 10.0.1.1:4242` and, on the next line, `→ 10.0.2.2:9`: two IPv6 addresses do not fit beside each other.
fn flow(flow: &Flow) -> String {
    let end = |address: &Option<String>, port: Option<u16>| match (address, port) {
        (None, _) => NOT_MEASURED.to_owned(),
        (Some(address), None) => address.clone(),
        (Some(address), Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
    };
    match (&flow.src, &flow.dst) {
        (None, None) => flow.proto.clone(),
        _ => format!("{} {}\n→ {}", flow.proto, end(&flow.src, flow.sport), end(&flow.dst, flow.dport)),
    }
}
