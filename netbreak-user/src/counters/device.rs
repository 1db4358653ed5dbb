//! What a network device counted: `/proc/net/dev`.

use std::collections::BTreeMap;

use procfs::net::InterfaceDeviceStatus;
use procfs::{FromBufRead, ProcResult};

/// Counters of one device (`rtnl_link_stats64`; missed packets are in `rx_dropped`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Device {
    /// Packets received.
    pub rx_packets: u64,
    /// Received, then dropped by the device or for want of a protocol that takes them.
    pub rx_dropped: u64,
    /// Received broken.
    pub rx_errors: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Dropped instead of sent.
    pub tx_dropped: u64,
    /// Could not be sent.
    pub tx_errors: u64,
}

impl Device {
    /// What was counted since `before`; `None` when a counter went back (the device was re-created).
    pub fn since(&self, before: &Device) -> Option<Device> {
        Some(Device {
            rx_packets: self.rx_packets.checked_sub(before.rx_packets)?,
            rx_dropped: self.rx_dropped.checked_sub(before.rx_dropped)?,
            rx_errors: self.rx_errors.checked_sub(before.rx_errors)?,
            tx_packets: self.tx_packets.checked_sub(before.tx_packets)?,
            tx_dropped: self.tx_dropped.checked_sub(before.tx_dropped)?,
            tx_errors: self.tx_errors.checked_sub(before.tx_errors)?,
        })
    }
}

/// Reads the text of `/proc/net/dev`.
pub(super) fn parse(text: &str) -> ProcResult<BTreeMap<String, Device>> {
    let devices = InterfaceDeviceStatus::from_buf_read(text.as_bytes())?.0.into_values().map(|d| {
        let device = Device {
            rx_packets: d.recv_packets,
            rx_dropped: d.recv_drop,
            rx_errors: d.recv_errs,
            tx_packets: d.sent_packets,
            tx_dropped: d.sent_drop,
            tx_errors: d.sent_errs,
        };
        (d.name, device)
    });
    Ok(devices.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3393      33    0    0    0     0          0         0     3393      33    0    0    0     0       0          0
  eth0: 446343672   13852    1    2    0     0          0         0   925902    8752    3    4    0     0       0          0
";

    #[test]
    fn every_column_lands_where_it_belongs() {
        let devices = parse(TEXT).unwrap();
        let eth0 = Device {
            rx_packets: 13852,
            rx_errors: 1,
            rx_dropped: 2,
            tx_packets: 8752,
            tx_errors: 3,
            tx_dropped: 4,
        };
        assert_eq!(devices.len(), 2);
        assert_eq!(devices["eth0"], eth0);
    }

    #[test]
    fn broken_text_is_an_error() {
        assert!(parse("a\nb\n eth0: x\n").is_err());
    }
}
