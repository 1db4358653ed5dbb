//! The packets whose drop ended an attempt, as `--pcap` writes them.

use std::collections::HashMap;

use netbreak_common::{Event, FAMILY_V6, sensor};

use crate::{
    clock::Nanos,
    pcapng::{Interface, Packet},
    probe::Record,
    report::{Death, Leg, Probe, Report},
    verdict::Judged,
};

/// How the packets of dropped attempts began.
#[derive(Debug, Default)]
pub(super) struct Headers(HashMap<(u32, u64, Nanos), (Vec<u8>, u32)>);

impl Headers {
    /// Keeps those of a drop; `bytes` from the network header on, none where they were not asked for.
    pub(super) fn take(&mut self, event: &Event, bytes: &[u8]) {
        if event.sensor != sensor::DROP || event.attempt_known == 0 {
            return;
        }
        if let Some(tag) = before_ip(event, bytes) {
            let (bytes, length) = (bytes[tag..].to_vec(), event.bytes.saturating_sub(tag as u32));
            self.0.insert((event.probe, event.attempt, event.time), (bytes, length));
        }
    }
}

/// How many bytes there are before the IP header: none, or a VLAN's tag. `None` where no such header is to be found.
fn before_ip(event: &Event, bytes: &[u8]) -> Option<usize> {
    let (at, size) = if event.family == FAMILY_V6 { (8, 16) } else { (12, 4) };
    [0, 4].into_iter().find(|tag| {
        let address = |at: usize| bytes.get(tag + at..tag + at + size);
        address(at) == Some(&event.source[..size]) && address(at + size) == Some(&event.destination[..size])
    })
}

/// What CLOCK_MONOTONIC is called elsewhere: the same moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) monotonic: Nanos,
    pub(super) wall: jiff::Timestamp,
}

impl Anchor {
    fn wall(self, at: Nanos) -> u64 {
        let wall = self.wall.as_nanosecond() + i128::from(at) - i128::from(self.monotonic);
        u64::try_from(wall).unwrap_or_default()
    }
}

/// The packets of a probe (its index among the records): one for each attempt that a drop ended.
pub(super) fn packets(
    headers: &Headers,
    anchor: Anchor,
    probe: usize,
    record: &Record,
    judged: &Judged,
) -> Vec<Packet> {
    let packet = |(attempt, at): (&u64, &Nanos)| {
        let (bytes, length) = headers.0.get(&(probe as u32, *attempt, *at))?;
        let death = judged.deaths.get(*judged.of.get(attempt)?)?;
        let (bytes, length) = (bytes.clone(), *length);
        let comment = comment(record, *attempt, death);
        Some(Packet { wall: anchor.wall(*at), interface: interface(death), bytes, length, comment })
    };
    judged.dropped.iter().filter_map(packet).collect()
}

fn interface(death: &Death) -> Interface {
    let name = death.device.clone().unwrap_or_else(|| "none".to_owned());
    Interface { name, description: netns(death).map_or_else(String::new, |netns| format!("in {netns}")) }
}

fn netns(death: &Death) -> Option<String> {
    let number = death.netns.map(|inode| format!("netns {inode}"));
    death.netns_name.clone().or(number)
}

/// Such as `icmp attempt 17, request: netfilter, NETFILTER_DROP at nft_do_chain (netfilter forward), on r0 in router:` and
/// what the report says of it.
fn comment(record: &Record, attempt: u64, death: &Death) -> String {
    let port = record.port.map_or_else(String::new, |port| format!(" {port}"));
    let leg = match death.leg {
        Leg::Request => ", request",
        Leg::Reply => ", reply",
        Leg::Unknown => "",
    };
    let mut text = format!("{}{port} attempt {attempt}{leg}: {}", record.kind.name(), death.cause.name());
    for (before, part, after) in [
        (", ", death.reason.as_ref(), ""),
        (" at ", death.symbol.as_ref(), ""),
        (" (", death.stage.as_ref(), ")"),
        (", on ", death.device.as_ref(), ""),
        (" in ", netns(death).as_ref(), ""),
    ] {
        if let Some(part) = part {
            text += &format!("{before}{part}{after}");
        }
    }
    format!("{text}: {}", death.explain)
}

/// What a file with so many packets has, and what it does not have.
pub(super) fn said(report: &Report, packets: usize) -> String {
    let of = |probe: &Probe| probe.deaths.iter().map(|death| death.attempts).sum::<u64>() + probe.unexplained;
    let all: u64 = report.probes().map(of).sum();
    match all.saturating_sub(packets as u64) {
        0 => format!("packets of all {all} attempts that were lost"),
        rest => format!(
            "{packets} packets of {all} attempts that were lost: of the other {rest} no packet of their own was seen to be dropped"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        // SAFETY: plain integers.
        let mut event: Event = unsafe { std::mem::zeroed() };
        event.sensor = sensor::DROP;
        event.attempt_known = 1;
        event.family = netbreak_common::FAMILY_V4;
        event.source[..4].copy_from_slice(&[10, 0, 0, 1]);
        event.destination[..4].copy_from_slice(&[10, 0, 0, 2]);
        event.bytes = 84;
        event
    }

    fn ip() -> Vec<u8> {
        [&[0x45_u8; 12][..], &[10, 0, 0, 1], &[10, 0, 0, 2], &[8, 0]].concat()
    }

    #[test]
    fn a_tag_before_the_ip_header_is_left_out() {
        let tagged = [&[0x40_u8, 1, 8, 0][..], &ip()].concat();
        assert_eq!(before_ip(&event(), &ip()), Some(0));
        assert_eq!(before_ip(&event(), &tagged), Some(4));
        assert_eq!(before_ip(&event(), &ip()[..16]), None);

        let mut headers = Headers::default();
        headers.take(&event(), &tagged);
        assert_eq!(headers.0.values().next(), Some(&(ip(), 80)));
    }

    #[test]
    fn what_is_not_in_the_file_is_counted() {
        let report = crate::report::fixtures::broken();
        let of =
            |probe: &Probe| probe.deaths.iter().map(|death| death.attempts).sum::<u64>() + probe.unexplained;
        let all: u64 = report.probes().map(of).sum();
        assert_eq!(said(&report, all as usize), format!("packets of all {all} attempts that were lost"));
        let some = said(&report, all as usize - 3);
        assert!(some.starts_with(&format!("{} packets of {all} attempts", all - 3)), "{some}");
        assert!(some.contains("of the other 3 no packet"), "{some}");
    }

    #[test]
    fn what_was_not_asked_for_is_not_kept() {
        let mut headers = Headers::default();
        headers.take(&event(), &[]);
        headers.take(&Event { sensor: sensor::RETRANSMIT, ..event() }, &ip());
        headers.take(&Event { attempt_known: 0, ..event() }, &ip());
        assert!(headers.0.is_empty());
    }

    #[test]
    fn wall_time_goes_on_as_the_monotonic_clock_does() {
        let anchor = Anchor { monotonic: 1_000, wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        let anchored = anchor.wall.as_nanosecond() as u64;
        assert_eq!((anchor.wall(1_007), anchor.wall(999)), (anchored + 7, anchored - 1));
    }
}
