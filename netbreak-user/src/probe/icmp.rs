//! ICMP and ICMPv6 echo through one raw socket a probe.

use std::net::IpAddr;
use std::sync::Arc;

use socket2::{Protocol, SockFilter, Socket, Type};

use super::FlowRegistry;
use super::datagram::{Opened, Wire};
use super::socket;
use super::spec::{PrepareError, Spec};
use super::tracker::Tracker;
use super::wire::{self, Family, Header};

/// `ICMP_FILTER` of raw(7) and `ICMPV6_FILTER` of RFC 3542 (`linux/icmp.h`, `linux/icmpv6.h`): both are option 1.
const TYPE_FILTER: i32 = 1;

/// Echoes of one identifier.
pub(super) struct Echoes {
    family: Family,
    id: u16,
}

/// Opens the raw socket. The identifier comes from run and probe; the payload tells two runs with the same one apart.
pub(super) fn open(
    spec: &Arc<Spec>,
    index: u32,
    registry: &Arc<dyn FlowRegistry>,
) -> Result<Opened<Echoes>, PrepareError> {
    let (family, protocol) = match spec.address {
        IpAddr::V4(_) => (Family::V4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Family::V6, Protocol::ICMPV6),
    };
    let id = (spec.run_id as u16).wrapping_add(index as u16);
    let other = |source| PrepareError::Socket { kind: spec.kind, address: spec.address, source };
    let socket = socket::open(spec, spec.sources.first().copied(), Type::RAW, protocol)?;
    only_our_replies(&socket, family, id).map_err(other)?;
    socket::make_room(&socket);
    let (spec, registry) = (Arc::clone(spec), Arc::clone(registry));
    Ok(Opened { spec, index, socket, registry, wire: Echoes { family, id } })
}

/// Other people's packets are not to wake us, nor to fill our buffer: only echo replies with our identifier come in.
fn only_our_replies(socket: &Socket, family: Family, id: u16) -> std::io::Result<()> {
    let load_half = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    let load_half_indexed = (libc::BPF_LD | libc::BPF_H | libc::BPF_IND) as u16;
    let header_length = (libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH) as u16;
    let if_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let accept = (libc::BPF_RET | libc::BPF_K) as u16;
    let wanted = usize::from(family.reply());
    let mut filter = Vec::new();
    match family {
        Family::V4 => {
            // One bit a type; a set bit blocks.
            socket::set(socket, libc::SOL_RAW, TYPE_FILTER, !(1u32 << wanted))?;
            // The filter sees the IP header (`raw_rcv` pushes it back).
            filter.push(SockFilter::new(header_length, 0, 0, 0));
            filter.push(SockFilter::new(load_half_indexed, 0, 0, 4));
        }
        Family::V6 => {
            let mut blocked = [u32::MAX; 8];
            blocked[wanted / 32] &= !(1 << (wanted % 32));
            socket::set(socket, libc::IPPROTO_ICMPV6, TYPE_FILTER, blocked)?;
            filter.push(SockFilter::new(load_half, 0, 0, 4));
        }
    }
    filter.push(SockFilter::new(if_equal, 0, 1, id.into()));
    filter.push(SockFilter::new(accept, 0, 0, u32::MAX));
    filter.push(SockFilter::new(accept, 0, 0, 0));
    socket.attach_filter(&filter)
}

impl Wire for Echoes {
    fn local_port(&self) -> u16 {
        self.id
    }

    fn request(&self, header: &Header, size: usize, out: &mut Vec<u8>) {
        wire::build_echo(self.family, self.id, header, size, out);
    }

    fn reply(&self, packet: &[u8]) -> Option<Header> {
        let echo = wire::parse_reply(self.family, packet)?;
        echo.header.filter(|header| echo.id == self.id && echo.seq == header.seq as u16)
    }

    fn quoted(&self, message: &[u8], is_ours: impl Fn(&Header) -> bool, tracker: &Tracker) -> Option<u64> {
        let echo = wire::parse_quoted(self.family, message).filter(|echo| echo.id == self.id)?;
        match echo.header {
            Some(header) => is_ours(&header).then_some(header.seq),
            // Quoted too short to carry our payload, so by its identifier it is taken for ours; a quoted payload of
            // somebody else's is not.
            None => (message.len() < wire::ECHO_HEADER_LEN + netbreak_common::wire::HEADER_LEN)
                .then(|| tracker.widen(echo.seq))?,
        }
    }
}
