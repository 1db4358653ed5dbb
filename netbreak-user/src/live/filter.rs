//! Which rows are shown. Pure.

use std::net::IpAddr;

use super::row::{Row, What};

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The first of them, or any.
    pub address: IpAddr,
    /// How many bits.
    pub bits: u8,
}

impl Prefix {
    /// Is `address` one of them?
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(its)) => {
                (ours.to_bits() ^ its.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(its)) => {
                (ours.to_bits() ^ its.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What a row must be like. An empty list asks for nothing; of a list, one must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only these.
    pub what: Option<What>,
    /// Either end.
    pub addresses: Vec<Prefix>,
    /// Either end; not an echo's identifier.
    pub ports: Vec<u16>,
    /// Names.
    pub devices: Vec<String>,
    /// Names, in any case.
    pub reasons: Vec<String>,
    /// Inode numbers.
    pub netns: Vec<u32>,
}

impl Filter {
    /// Is it shown?
    pub fn passes(&self, row: &Row) -> bool {
        let flow = row.flow.as_ref();
        let parsed = |address: &Option<String>| address.as_ref().and_then(|text| text.parse().ok());
        let ends = flow.map_or([None, None], |flow| [parsed(&flow.src), parsed(&flow.dst)]);
        let has_ports = flow.is_some_and(|flow| !flow.proto.starts_with("icmp") && flow.src.is_some());
        let ports = flow.filter(|_| has_ports).map_or([None, None], |flow| [flow.sport, flow.dport]);
        self.what.is_none_or(|what| what == row.what)
            && any(&self.addresses, |prefix| ends.iter().flatten().any(|end| prefix.contains(*end)))
            && any(&self.ports, |port| ports.contains(&Some(*port)))
            && any(&self.devices, |device| row.device.as_ref() == Some(device))
            && any(&self.reasons, |reason| {
                row.reason.as_ref().is_some_and(|its| its.eq_ignore_ascii_case(reason))
            })
            && any(&self.netns, |netns| row.netns == Some(*netns))
    }
}

fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::row;
    use super::*;

    fn prefix(address: &str, bits: u8) -> Prefix {
        Prefix { address: address.parse().unwrap(), bits }
    }

    #[test]
    fn prefixes() {
        for (ours, bits, its, is_in) in [
            ("10.0.1.2", 32, "10.0.1.2", true),
            ("10.0.1.2", 32, "10.0.1.3", false),
            ("10.0.1.0", 24, "10.0.1.255", true),
            ("10.0.1.0", 24, "10.0.2.0", false),
            ("0.0.0.0", 0, "255.1.2.3", true),
            ("0.0.0.0", 0, "::1", false),
            ("fd00::", 8, "fdff::1", true),
            ("fd00::1", 128, "fd00::2", false),
            ("::", 0, "fd00::2", true),
        ] {
            assert_eq!(prefix(ours, bits).contains(its.parse().unwrap()), is_in, "{ours}/{bits} {its}");
        }
    }

    #[test]
    fn all_that_is_asked_for_must_fit() {
        let row = row(What::Drop, "10.0.1.2", 5001);
        let all = Filter::default;
        for (filter, passes) in [
            (all(), true),
            (Filter { what: Some(What::Retransmit), ..all() }, false),
            (Filter { addresses: vec![prefix("10.9.9.9", 32), prefix("10.0.2.2", 32)], ..all() }, true),
            (Filter { addresses: vec![prefix("10.9.9.9", 32)], ..all() }, false),
            (Filter { ports: vec![40000], ..all() }, true),
            (Filter { ports: vec![5001], devices: vec!["r0".into()], ..all() }, true),
            (Filter { ports: vec![5001], devices: vec!["r1".into()], ..all() }, false),
            (Filter { reasons: vec!["netfilter_drop".into()], ..all() }, true),
            (Filter { reasons: vec!["NO_SOCKET".into()], ..all() }, false),
            (Filter { netns: vec![1, 4026532246], ..all() }, true),
            (Filter { netns: vec![1], ..all() }, false),
        ] {
            assert_eq!(filter.passes(&row), passes, "{filter:?}");
        }
    }

    #[test]
    fn an_echos_identifier_is_no_port() {
        let mut row = row(What::Drop, "10.0.1.2", 5001);
        row.flow.as_mut().unwrap().proto = "icmp".into();
        assert!(!Filter { ports: vec![40000], ..Filter::default() }.passes(&row));
        row.flow = None;
        assert!(!Filter { addresses: vec![prefix("0.0.0.0", 0)], ..Filter::default() }.passes(&row));
    }
}
