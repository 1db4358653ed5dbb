//! Datagrams to `netbreak serve --udp`, through one connected socket a probe: its source port stays the same.

use std::sync::Arc;

use socket2::{Protocol, Type};

use super::FlowRegistry;
use super::datagram::{Opened, Wire};
use super::socket;
use super::spec::{PrepareError, Spec};
use super::tracker::Tracker;
use super::wire::{self, Header};

/// Datagrams from one port.
pub(super) struct Datagrams {
    local_port: u16,
}

/// Opens the socket; nothing is sent yet.
pub(super) fn open(
    spec: &Arc<Spec>,
    index: u32,
    registry: &Arc<dyn FlowRegistry>,
) -> Result<Opened<Datagrams>, PrepareError> {
    let other = |source| PrepareError::Socket { kind: spec.kind, address: spec.address, source };
    let bound = || socket::open(spec, spec.sources.first().copied(), Type::DGRAM, Protocol::UDP);
    let first = bound()?;
    // From the target's own port datagrams to this very host would come back to the socket itself.
    let is_remote = socket::local_port(&first).map_err(other)? == spec.remote().port();
    let socket = if is_remote { bound()? } else { first };
    socket::make_room(&socket);
    let local_port = socket::local_port(&socket).map_err(other)?;
    let (spec, registry) = (Arc::clone(spec), Arc::clone(registry));
    Ok(Opened { spec, index, socket, registry, wire: Datagrams { local_port } })
}

impl Wire for Datagrams {
    fn local_port(&self) -> u16 {
        self.local_port
    }

    fn request(&self, header: &Header, size: usize, out: &mut Vec<u8>) {
        wire::build_payload(header, size, out);
    }

    fn reply(&self, packet: &[u8]) -> Option<Header> {
        wire::parse_payload(packet)
    }

    /// An error that quotes less than our payload's header names no attempt: that attempt stays open.
    fn quoted(&self, message: &[u8], is_ours: impl Fn(&Header) -> bool, _: &Tracker) -> Option<u64> {
        wire::parse_payload(message).filter(is_ours).map(|header| header.seq)
    }
}
