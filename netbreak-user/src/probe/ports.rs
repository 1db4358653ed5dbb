//! The local ports that connections leave from.

use std::fs;
use std::ops::RangeInclusive;

/// For both families.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The ports that the kernel gives to sockets that ask for any, in the calling thread's network namespace: the kernel's
/// default where they cannot be read.
pub(super) fn local_range() -> RangeInclusive<u16> {
    fs::read_to_string(RANGE).ok().and_then(|text| parse(&text)).unwrap_or(32_768..=60_999)
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(|end| end.parse().ok());
    let (from, to) = (ends.next()??, ends.next()??);
    (from <= to).then_some(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_a_range() {
        assert_eq!(parse("32768\t60999\n"), Some(32_768..=60_999));
        for text in ["", "5", "9 5", "a b", "1 70000"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
