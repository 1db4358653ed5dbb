//! The kernel's drops of the whole machine.

use maud::{Markup, html};

use super::Page;
use super::value::{count, known, number};
use crate::report::{
    DropRow, DropTotal, SensorState,
    text::{
        drops::{is_copy_of_a_delivered_echo, name_of, whose},
        format::{self, NOT_MEASURED, span},
    },
};

/// Rows that are open to see.
const SHOWN: usize = 10;
/// Rows of each table; the JSON has all.
const ROWS: usize = 100;

pub(super) fn drops(page: &Page) -> Markup {
    let report = page.report;
    let traced = report.run.sensors.iter().any(|s| s.name == "kfree_skb" && s.state != SensorState::Off);
    let total: u64 = report.drop_totals.iter().map(|row| row.packets).sum();
    let copies = |row: &&DropRow| is_copy_of_a_delivered_echo(row);
    let harmless: u64 = report.drops.iter().filter(copies).map(|row| row.packets).sum();
    let lost: Vec<_> =
        report.drops.iter().enumerate().filter(|(_, row)| !is_copy_of_a_delivered_echo(row)).collect();
    html! {
        section id="drops" {
            h2 { "Drops of this machine" }
            @if !traced { p { (NOT_MEASURED) " (kfree_skb was not traced)" } }
            @else if total == 0 { p { "None." } }
            @else {
                p {
                    (format::count(total, "packet")) " of " (format::count(report.drops.len() as u64, "flow"))
                    ", of the probes or not"
                    @if harmless > 0 { "; " (harmless) " of them are copies of delivered ICMP messages, no loss" }
                    "."
                }
                @if !lost.is_empty() { (flows(page, &lost[..lost.len().min(SHOWN)])) }
                @if lost.len() > SHOWN { details {
                    summary { (lost.len() - SHOWN) " more flows" @if lost.len() > ROWS { ", the first " (ROWS - SHOWN) } }
                    (flows(page, &lost[SHOWN..lost.len().min(ROWS)]))
                } }
                details {
                    summary { "by reason and device" @if report.drop_totals.len() > ROWS { ": the first " (ROWS) } }
                    div.scroll { table {
                        thead { tr { th.number { "packets" } th { "reason" } th { "device" } th { "namespace" } } }
                        tbody { @for (index, row) in report.drop_totals.iter().take(ROWS).enumerate() {
                            (total_row(page, index, row))
                        } }
                    } }
                }
            }
        }
    }
}

fn flows(page: &Page, rows: &[(usize, &DropRow)]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th.number { "packets" } th.number { "bytes" } th { "flow" } th { "reason" }
                th { "function" } th { "device" } th { "namespace" } th { "when" }
            } }
            tbody { @for (index, row) in rows { (flow_row(page, *index, row)) } }
        } }
    }
}

fn flow_row(page: &Page, index: usize, row: &DropRow) -> Markup {
    let field = |name: &str| format!("/drops/{index}/{name}");
    html! {
        tr {
            td.number { (count(&field("packets"), row.packets)) }
            td.number { (count(&field("bytes"), row.bytes)) }
            td { (whose(row).replace('\n', " ")) }
            td.name { (known(&field("reason"), row.reason.as_deref())) }
            td.name { (known(&field("symbol"), row.symbol.as_deref())) }
            td.name { (known(&field("device"), row.device.as_deref())) }
            td.name { (namespace(page, row.netns)) }
            td.nowrap { (span(row.first_s, row.last_s)) }
        }
    }
}

fn total_row(page: &Page, index: usize, row: &DropTotal) -> Markup {
    let field = |name: &str| format!("/drop_totals/{index}/{name}");
    html! {
        tr {
            td.number { (number(&field("packets"), row.packets, row.packets)) }
            td.name { (known(&field("reason"), row.reason.as_deref())) }
            td.name { (known(&field("device"), row.device.as_deref())) }
            td.name { (namespace(page, row.netns)) }
        }
    }
}

fn namespace(page: &Page, netns: Option<u32>) -> String {
    let name = netns.and_then(|inode| name_of(page.report, inode));
    format::namespace(name, netns).unwrap_or_else(|| NOT_MEASURED.to_owned())
}
