//! The flows that lost most packets, whoever they belong to.

use std::collections::HashMap;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::format::{NOT_MEASURED, count, namespace};
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
    let (copies, lost): (Vec<&DropRow>, Vec<&DropRow>) =
        report.drops.iter().partition(|row| is_copy_of_a_delivered_echo(row));
    let mut text = format!(
        "{} of {} on this machine, ours or not",
        count(total, "packet"),
        count(report.drops.len() as u64, "flow")
    );
    if !copies.is_empty() {
        let copies = copies.iter().map(|row| row.packets).sum();
        text.push_str(&format!(
            "; {} of delivered ICMP messages among them, no loss",
            copy_or_copies(copies)
        ));
    }
    if lost.len() > ROWS {
        text.push_str(&format!("; the first {ROWS}, --json has all:"));
    }
    page.paragraph("drops", 10, Style::Plain, &text);
    if !lost.is_empty() {
        page.line(table(&lost, report, page.width));
    }
}

/// ICMP finds its raw sockets before the kernel looks for a ping socket and, without one, frees its own copy: so each
/// answered echo leaves such a drop (`ip_protocol_deliver_rcu`, `ping_rcv`).
pub(in crate::report) fn is_copy_of_a_delivered_echo(row: &DropRow) -> bool {
    matches!(row.flow.proto.as_str(), "icmp" | "icmp6") && row.reason.as_deref() == Some("NO_SOCKET")
}

fn copy_or_copies(number: u64) -> String {
    if number == 1 { "1 copy".to_owned() } else { format!("{number} copies") }
}

/// The name of a network namespace, if this report has it anywhere.
pub(in crate::report) fn name_of(report: &Report, inode: u32) -> Option<&str> {
    let probes = report.targets.iter().flat_map(|target| &target.probes);
    let deaths = probes.flat_map(|probe| &probe.deaths).map(|death| (death.netns, &death.netns_name));
    let books = report.books.iter().map(|book| (Some(book.netns), &book.netns_name));
    let run = std::iter::once((Some(report.run.netns), &report.run.netns_name));
    run.chain(deaths).chain(books).find_map(|(netns, name)| name.as_deref().filter(|_| netns == Some(inode)))
}

/// Where most TCP packets to and from one service died, whoever sent them: `297 TCP packets of its port died at
/// nft_do_chain (NETFILTER_DROP), r0 in router`; nothing if no drop is known.
pub(in crate::report) fn most_of_service(
    report: &Report,
    address: &str,
    port: Option<u16>,
) -> Option<String> {
    let is_end = |end: &Option<String>, its_port| end.as_deref() == Some(address) && its_port == port;
    let mut places: HashMap<_, u64> = HashMap::new();
    for row in &report.drops {
        let flow = &row.flow;
        // A packet for another link address is dropped by whoever else hears it, and lives on (`ip_rcv_core`). Where its own
        // host drops it, these rows do not tell.
        let is_a_copy = matches!(row.reason.as_deref(), Some("OTHERHOST" | "SKB_CONSUMED"));
        // What a socket still held when it was closed has arrived (net/core/stream.c, `sk_stream_kill_queues`).
        let has_arrived = row.reason.as_deref() == Some("QUEUE_PURGE")
            || row.symbol.as_deref() == Some("sk_stream_kill_queues");
        if has_arrived || is_a_copy {
            continue;
        }
        if flow.proto == "tcp" && (is_end(&flow.dst, flow.dport) || is_end(&flow.src, flow.sport)) {
            *places.entry((&row.symbol, &row.reason, &row.device, row.netns)).or_default() += row.packets;
        }
    }
    // Of equal ones always the same.
    let ((symbol, reason, device, netns), packets) =
        places.into_iter().max_by_key(|(place, packets)| (*packets, *place))?;
    let symbol = symbol.as_ref().map(|symbol| format!(" at {symbol}")).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let netns = netns.and_then(|inode| namespace(name_of(report, inode), Some(inode)));
    let device = device.as_ref().map(|device| format!(", {device}")).unwrap_or_default();
    let netns = netns.map(|netns| format!(" in {netns}")).unwrap_or_default();
    Some(format!("{} of this port died{symbol}{reason}{device}{netns}", count(packets, "TCP packet")))
}

fn table(rows: &[&DropRow], report: &Report, width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(["packets", "flow", "reason, symbol", "device, netns"]);
    for row in rows.iter().take(ROWS) {
        let netns =
            row.netns.map(|inode| name_of(report, inode).map_or_else(|| inode.to_string(), str::to_owned));
        table.add_row([
            row.packets.to_string(),
            whose(row),
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

/// The flow of a row; what the kernel frees of its messages to programs, such as the copy of a packet that ovs-vswitchd could
/// not be handed (`queue_userspace_packet`, net/openvswitch/datapath.c), is said to be no packet.
pub(in crate::report) fn whose(row: &DropRow) -> String {
    let is_message = row.flow.proto == "0x0000"
        && row.device.is_none()
        && row
            .symbol
            .as_deref()
            .is_some_and(|symbol| symbol.starts_with("netlink_") || symbol.contains("_cmd_"));
    if is_message { "netlink message, no packet".to_owned() } else { flow(&row.flow) }
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
        (None, None) if flow.proto == "0x0000" => "protocol not set yet".to_owned(),
        (None, None) => flow.proto.clone(),
        _ => format!("{} {}\n→ {}", flow.proto, end(&flow.src, flow.sport), end(&flow.dst, flow.dport)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn a_packet_without_protocol_says_so() {
        let unset = Flow { src: None, sport: None, dst: None, dport: None, proto: "0x0000".into() };
        assert_eq!(flow(&unset), "protocol not set yet");
        assert_eq!(flow(&Flow { proto: "0x0806".into(), ..unset.clone() }), "0x0806");
        let mut row = fixtures::broken().drops[0].clone();
        (row.flow, row.device, row.symbol) = (unset, None, Some("netlink_unicast".to_owned()));
        assert_eq!(whose(&row), "netlink message, no packet");
        row.symbol = Some("ip_output".to_owned());
        assert_eq!(whose(&row), "protocol not set yet");
    }

    /// Both directions count together; another port, another protocol and a smaller place do not.
    #[test]
    fn most_packets_of_a_service_died_at_one_place() {
        let mut report = fixtures::broken();
        assert_eq!(most_of_service(&report, "10.0.2.2", Some(9)), None);
        let row = report.drops[0].clone();
        let tcp = |packets| DropRow {
            flow: Flow { proto: "tcp".into(), ..row.flow.clone() },
            packets,
            ..row.clone()
        };
        let back = Flow {
            src: row.flow.dst.clone(),
            sport: Some(9),
            dst: None,
            dport: Some(1),
            proto: "tcp".into(),
        };
        let elsewhere = DropRow { device: Some("s0".into()), ..tcp(6) };
        let purged = DropRow { reason: Some("QUEUE_PURGE".into()), ..tcp(50) };
        let overheard = DropRow { reason: Some("OTHERHOST".into()), ..tcp(60) };
        report.drops =
            vec![tcp(5), purged, overheard, DropRow { flow: back, packets: 2, ..row.clone() }, elsewhere];
        let text = "7 TCP packets of this port died at nft_do_chain (NETFILTER_DROP), r0 in router (netns 4026532340)";
        assert_eq!(most_of_service(&report, "10.0.2.2", Some(9)).as_deref(), Some(text));
        assert_eq!(most_of_service(&report, "10.0.2.2", Some(10)), None);
    }
}
