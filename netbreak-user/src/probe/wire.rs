//! Our payload in bytes, and the echo request around it. The payload's layout is in [`netbreak_common::wire`].

use netbreak_common::wire::{
    HEADER_LEN, LEG_OFFSET, LEG_REPLY, LEG_REQUEST, MAGIC, PROBE_OFFSET, RUN_ID_OFFSET, SENT_OFFSET,
    SEQ_OFFSET,
};

use crate::clock::Nanos;

/// Which attempt a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Sequence number within the probe.
    pub seq: u64,
    /// The run.
    pub run_id: u64,
    /// When it was sent.
    pub sent: Nanos,
    /// Index of the probe within the run.
    pub probe: u32,
}

/// Writes a request's payload of `size` bytes (at least [`HEADER_LEN`]) over what `out` holds; the rest is zero.
pub fn build_payload(header: &Header, size: usize, out: &mut Vec<u8>) {
    out.clear();
    append_payload(header, size, out);
}

fn append_payload(header: &Header, size: usize, out: &mut Vec<u8>) {
    let base = out.len();
    out.resize(base + size.max(HEADER_LEN), 0);
    let mut put = |at: usize, bytes: &[u8]| out[base + at..base + at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(SEQ_OFFSET, &header.seq.to_be_bytes());
    put(RUN_ID_OFFSET, &header.run_id.to_be_bytes());
    put(SENT_OFFSET, &header.sent.to_be_bytes());
    put(PROBE_OFFSET, &header.probe.to_be_bytes());
    put(LEG_OFFSET, &[LEG_REQUEST]);
}

/// Reads a payload; `None` if it is not ours, of another version or cut short.
pub fn parse_payload(payload: &[u8]) -> Option<Header> {
    payload.strip_prefix(&MAGIC)?;
    if payload.len() < HEADER_LEN || payload[LEG_OFFSET] > LEG_REPLY {
        return None;
    }
    Some(Header {
        seq: u64::from_be_bytes(bytes_at(payload, SEQ_OFFSET)?),
        run_id: u64::from_be_bytes(bytes_at(payload, RUN_ID_OFFSET)?),
        sent: u64::from_be_bytes(bytes_at(payload, SENT_OFFSET)?),
        probe: u32::from_be_bytes(bytes_at(payload, PROBE_OFFSET)?),
    })
}

/// Turns a request's payload into its reply, in place and of the same length. `false`, and nothing is changed, if it is
/// not a request of ours: a reply is never answered, so two servers cannot keep each other busy.
pub fn make_reply(payload: &mut [u8]) -> bool {
    let is_request = parse_payload(payload).is_some() && payload[LEG_OFFSET] == LEG_REQUEST;
    if is_request {
        payload[LEG_OFFSET] = LEG_REPLY;
    }
    is_request
}

/// Length of an ICMP or ICMPv6 echo header.
pub const ECHO_HEADER_LEN: usize = 8;

/// The two echo protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// ICMP; the checksum is ours to make.
    V4,
    /// ICMPv6; the kernel makes and verifies the checksum (`rawv6_push_pending_frames`, `rawv6_rcv`).
    V6,
}

impl Family {
    /// ICMP type of an echo request.
    pub fn request(self) -> u8 {
        match self {
            Family::V4 => 8,
            Family::V6 => 128,
        }
    }

    /// ICMP type of an echo reply.
    pub fn reply(self) -> u8 {
        match self {
            Family::V4 => 0,
            Family::V6 => 129,
        }
    }
}

/// What an echo header and the payload behind it say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Identifier.
    pub id: u16,
    /// The low 16 bits of the attempt's sequence number.
    pub seq: u16,
    /// Our payload's header; `None` where the payload is not ours or was cut off (an ICMP error need quote only the
    /// echo header, RFC 792).
    pub header: Option<Header>,
}

/// Writes an echo request with a payload of `size` bytes (at least [`HEADER_LEN`]) over what `out` holds.
pub fn build_echo(family: Family, id: u16, header: &Header, size: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[family.request(), 0, 0, 0]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&(header.seq as u16).to_be_bytes());
    append_payload(header, size, out);
    if family == Family::V4 {
        let sum = checksum(out);
        out[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Reads an echo reply as a raw socket gives it: with the IP header for IPv4, whose checksum nobody has verified yet
/// (`raw_local_deliver` comes before `icmp_rcv`), without it for IPv6.
pub fn parse_reply(family: Family, packet: &[u8]) -> Option<Echo> {
    let message = match family {
        Family::V4 => {
            let message = packet.get(usize::from(packet.first()? & 0x0f) * 4..)?;
            (checksum(message) == 0).then_some(message)?
        }
        Family::V6 => packet,
    };
    parse_echo(family.reply(), message)
}

/// Reads the echo request that an ICMP error quotes, from its ICMP header on.
pub fn parse_quoted(family: Family, message: &[u8]) -> Option<Echo> {
    parse_echo(family.request(), message)
}

fn parse_echo(kind: u8, message: &[u8]) -> Option<Echo> {
    let payload = message.get(ECHO_HEADER_LEN..)?;
    if message[0] != kind || message[1] != 0 {
        return None;
    }
    Some(Echo {
        id: u16::from_be_bytes(bytes_at(message, 4)?),
        seq: u16::from_be_bytes(bytes_at(message, 6)?),
        header: parse_payload(payload),
    })
}

fn bytes_at<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at + N)?.try_into().ok()
}

/// The Internet checksum (RFC 1071); 0 over a message that carries a right one.
fn checksum(message: &[u8]) -> u16 {
    let words =
        message.chunks(2).map(|pair| u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header { seq: 0x0102_0304_0506_0708, run_id: 0xa1a2, sent: 77, probe: 9 };

    #[test]
    fn the_payload_lies_where_the_kernel_side_reads_it() {
        let mut out = vec![0xff; 3];
        build_payload(&HEADER, 0, &mut out);
        let mut expected = b"netbrk/1".to_vec();
        expected.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        expected.extend([0, 0, 0, 0, 0, 0, 0xa1, 0xa2]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(out, expected);
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn another_version_is_not_ours() {
        let mut out = vec![];
        build_payload(&HEADER, 0, &mut out);
        out[7] = b'2';
        assert_eq!(parse_payload(&out), None);
    }

    #[test]
    fn only_requests_are_answered_and_with_as_many_bytes() {
        let mut out = vec![];
        build_payload(&HEADER, 100, &mut out);
        assert!(make_reply(&mut out));
        assert_eq!((out.len(), parse_payload(&out)), (100, Some(HEADER)));
        assert!(!make_reply(&mut out), "a reply must not be answered");
        assert!(!make_reply(&mut [0; 64]));
    }

    #[test]
    fn an_error_that_quotes_only_the_echo_header_still_names_the_attempt() {
        let mut out = vec![];
        build_echo(Family::V4, 42, &HEADER, 0, &mut out);
        let quoted = parse_quoted(Family::V4, &out[..8]).unwrap();
        assert_eq!(quoted, Echo { id: 42, seq: 0x0708, header: None });
    }

    /// What a raw socket gives when `request` has been answered.
    fn reply_to(family: Family, request: &[u8]) -> Vec<u8> {
        let mut message = request.to_vec();
        message[0] = family.reply();
        message[2..4].fill(0);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        match family {
            Family::V4 => [vec![0x46; 24], message].concat(),
            Family::V6 => message,
        }
    }

    fn family() -> impl Strategy<Value = Family> {
        prop_oneof![Just(Family::V4), Just(Family::V6)]
    }

    fn header() -> impl Strategy<Value = Header> {
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>())
            .prop_map(|(seq, run_id, sent, probe)| Header { seq, run_id, sent, probe })
    }

    proptest! {
        #[test]
        fn a_payload_reads_back(header in header(), size in 0usize..200) {
            let mut out = vec![];
            build_payload(&header, size, &mut out);
            prop_assert_eq!(out.len(), size.max(HEADER_LEN));
            prop_assert_eq!(parse_payload(&out), Some(header));
            prop_assert_eq!(parse_payload(&out[..HEADER_LEN - 1]), None);
        }

        #[test]
        fn an_echo_reads_back(family in family(), id in any::<u16>(), header in header(), size in 0usize..200) {
            let mut out = vec![];
            build_echo(family, id, &header, size, &mut out);
            prop_assert_eq!(out.len(), ECHO_HEADER_LEN + size.max(HEADER_LEN));
            let echo = Echo { id, seq: header.seq as u16, header: Some(header) };
            prop_assert_eq!(parse_reply(family, &reply_to(family, &out)), Some(echo));
            prop_assert_eq!(parse_quoted(family, &out), Some(echo));
        }

        #[test]
        fn a_flipped_bit_is_not_an_answer(header in header(), bit in 0usize..8 * (ECHO_HEADER_LEN + HEADER_LEN)) {
            let mut out = vec![];
            build_echo(Family::V4, 1, &header, 0, &mut out);
            let mut reply = reply_to(Family::V4, &out);
            reply[24 + bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse_reply(Family::V4, &reply), None);
        }

        #[test]
        fn junk_is_not_ours_and_never_panics(family in family(), junk in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(parse_payload(&junk), None);
            prop_assert!(!make_reply(&mut junk.clone()));
            prop_assert_eq!(parse_reply(family, &junk).and_then(|echo| echo.header), None);
            prop_assert_eq!(parse_quoted(family, &junk).and_then(|echo| echo.header), None);
        }
    }
}
