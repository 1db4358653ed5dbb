//! A counter that has grown, in names: what lines and the table are made of.

use std::collections::HashMap;

use netbreak_common::sensor;
use serde::Serialize;

use super::difference::Difference;
use crate::{
    kernel::{PlaceRow, Reasons, Symbols},
    netns,
    report::Flow,
    run::flow_at,
};

/// What happened to the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Freed unread.
    Drop,
    /// Sent again.
    Retransmit,
}

impl What {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            What::Drop => "drop",
            What::Retransmit => "retransmit",
        }
    }
}

/// Drops or retransmits of one flow at one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which of them.
    pub what: What,
    /// Whose packets; absent for those that found the table of flows full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// The kernel's name of the drop reason. Of a retransmit: `SYN-ACK`, or the errno that it failed with; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kernel function that freed them; absent when symbols may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Where; absent when the packet had no device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Network namespace (inode number); absent when the packet had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Segments since the last look.
    pub packets: u64,
    /// Their bytes from the network header on; absent where `flow` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Segments since the start.
    pub total_packets: u64,
    /// Bytes since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
}

/// Names of this machine's numbers.
pub(super) struct Names {
    /// Functions of the kernel.
    pub symbols: Symbols,
    /// Namespaces by inode number.
    pub netns: HashMap<u32, String>,
}

impl Names {
    /// Namespaces come and go: asks for their names again if one of these has none yet.
    pub fn learn(&mut self, mut namespaces: impl Iterator<Item = u32>) {
        if namespaces.any(|netns| netns != 0 && !self.netns.contains_key(&netns)) {
            self.netns.extend(netns::list().into_iter().map(|found| (found.inode, found.name)));
        }
    }

    /// `None` for what is neither a drop nor a retransmit.
    pub fn row(&self, reasons: &Reasons, place: &PlaceRow, difference: &Difference) -> Option<Row> {
        let key = &place.key;
        let (what, reason) = match key.sensor {
            // Place 0 stands for all that found the table of places full: of them nothing is known.
            sensor::DROP if place.id == 0 => (What::Drop, None),
            sensor::DROP => (What::Drop, reasons.drop(key.reason)),
            sensor::RETRANSMIT if key.reason == 0 => (What::Retransmit, None),
            sensor::RETRANSMIT => (What::Retransmit, Some(format!("errno {}", key.reason))),
            sensor::RETRANSMIT_SYNACK => (What::Retransmit, Some("SYN-ACK".to_owned())),
            _ => return None,
        };
        let Difference { grown, total, .. } = *difference;
        Some(Row {
            what,
            flow: difference
                .key
                .flow
                .map(|flow| flow_at(place, flow.addresses, (flow.source_port, flow.destination_port))),
            reason,
            symbol: self.symbols.resolve(key.location).map(str::to_owned),
            device: place.device.clone(),
            netns: (key.netns != 0).then_some(key.netns),
            netns_name: self.netns.get(&key.netns).cloned(),
            packets: grown.packets,
            bytes: grown.bytes,
            total_packets: total.packets,
            total_bytes: total.bytes,
        })
    }
}

impl Row {
    /// `10.0.1.2:43210`; without ports for protocols that have none, `–` without an IP header.
    pub fn source(&self) -> String {
        self.flow
            .as_ref()
            .map_or_else(|| "–".to_owned(), |flow| end(flow.src.as_deref(), flow.sport, &flow.proto))
    }

    /// The same of the other end.
    pub fn destination(&self) -> String {
        self.flow
            .as_ref()
            .map_or_else(|| "–".to_owned(), |flow| end(flow.dst.as_deref(), flow.dport, &flow.proto))
    }

    /// `tcp`, `icmp`, …; `–` where the flow is not known.
    pub fn proto(&self) -> &str {
        self.flow.as_ref().map_or("–", |flow| &flow.proto)
    }

    /// The namespace as people call it.
    pub fn namespace(&self) -> String {
        match (&self.netns_name, self.netns) {
            (Some(name), _) => name.clone(),
            (None, Some(inode)) => inode.to_string(),
            (None, None) => "–".to_owned(),
        }
    }
}

/// An echo has an identifier in place of a port: it is no part of the address.
fn end(address: Option<&str>, port: Option<u16>, proto: &str) -> String {
    match (address, port) {
        (None, _) => "–".to_owned(),
        (Some(address), Some(port)) if !proto.starts_with("icmp") => match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        },
        (Some(address), _) => address.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::difference::{Count, Key};
    use super::*;

    /// A row of five packets, and of 50 up to now.
    pub fn row(what: What, src: &str, dport: u16) -> Row {
        let flow = Flow {
            src: Some(src.into()),
            sport: Some(40000),
            dst: Some("10.0.2.2".into()),
            dport: Some(dport),
            proto: "udp".into(),
        };
        Row {
            what,
            flow: Some(flow),
            reason: Some("NETFILTER_DROP".into()),
            symbol: Some("nft_do_chain".into()),
            device: Some("r0".into()),
            netns: Some(4026532246),
            netns_name: Some("router".into()),
            packets: 5,
            bytes: Some(500),
            total_packets: 50,
            total_bytes: Some(5000),
        }
    }

    #[test]
    fn ends_of_flows() {
        assert_eq!(end(Some("10.0.1.2"), Some(80), "tcp"), "10.0.1.2:80");
        assert_eq!(end(Some("fd00::1"), Some(80), "udp"), "[fd00::1]:80");
        assert_eq!(end(Some("10.0.1.2"), Some(80), "icmp"), "10.0.1.2");
        assert_eq!(end(None, Some(80), "arp"), "–");
    }

    #[test]
    fn what_is_neither_drop_nor_retransmit_is_no_row() {
        let reasons = Reasons::default();
        let names = Names { symbols: Symbols::default(), netns: HashMap::from([(9, "here".into())]) };
        let count = Count { packets: 2, bytes: None };
        let key = Key { place: 3, flow: None };
        let difference = Difference { key, grown: count, total: count };
        let row = |sensor, reason| {
            let key = netbreak_common::PlaceKey { sensor, reason, netns: 9, ..Default::default() };
            let place = PlaceRow { id: 3, key, device: None, packets: 2, skbs: 2, overflow: 2 };
            names.row(&reasons, &place, &difference).map(|row| (row.what, row.reason, row.netns_name))
        };
        let here = Some("here".to_owned());
        assert_eq!(row(sensor::DROP, 2), Some((What::Drop, None, here.clone())));
        assert_eq!(row(sensor::RETRANSMIT, 0), Some((What::Retransmit, None, here.clone())));
        assert_eq!(
            row(sensor::RETRANSMIT, 105),
            Some((What::Retransmit, Some("errno 105".into()), here.clone()))
        );
        assert_eq!(row(sensor::RETRANSMIT_SYNACK, 0), Some((What::Retransmit, Some("SYN-ACK".into()), here)));
        assert_eq!(row(sensor::ICMP_SENT, 0), None);
    }
}
