//! Hears what rtnetlink tells about one namespace.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, anyhow};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::known::{Known, without_echoes};
use super::{Devices, Event};
use crate::clock::Nanos;
use crate::netns::Namespace;

/// Multicast groups, as bits (`RTMGRP_*` in include/uapi/linux/rtnetlink.h).
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_NEIGH
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE) as u32;

/// Asked for as the buffer of what was not read yet (`net.core.rmem_max` bounds it): a routing daemon changes thousands
/// of routes at a time.
const BUFFER: usize = 1 << 20;

/// A netlink socket in one namespace, and what is known of it.
pub struct Watcher {
    socket: Socket,
    netns: u32,
    devices: Devices,
    known: Known,
    lost: u64,
    unreadable: u64,
}

impl Watcher {
    /// Starts to listen in `namespace` and learns what is there now, which makes no events.
    pub fn open(namespace: &Namespace) -> Result<Watcher> {
        let failed = || format!("cannot watch the changes of network namespace {}", namespace.inode());
        let socket = namespace.run(listen).with_context(failed)?.with_context(failed)?;
        let (netns, devices) = (namespace.inode(), Devices::default());
        let known = Known::new(netns);
        let mut watcher = Watcher { socket, netns, devices, known, lost: 0, unreadable: 0 };
        // One dump at a time: the kernel refuses a second one on the same socket (EBUSY in __netlink_dump_start).
        for request in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
        ] {
            watcher.dump(request, Known::learn).with_context(failed)?;
        }
        watcher.socket.set_non_blocking(true).with_context(failed)?;
        Ok(watcher)
    }

    /// Everything that changed since the last call; `at` is the time now. Never waits: call it when the descriptor
    /// is readable, or every few milliseconds.
    pub fn drain(&mut self, at: Nanos) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            match self.socket.recv_from_full() {
                Ok((bytes, _)) => {
                    for message in self.messages(&bytes) {
                        let replaces = message.header.flags & NLM_F_REPLACE != 0;
                        if let NetlinkPayload::InnerMessage(message) = message.payload {
                            self.devices.take(&message);
                            events.extend(self.known.take(at, replaces, &message));
                        }
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(without_echoes(events)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The socket's buffer was full, and the kernel threw messages away.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => self.lost += 1,
                Err(e) => return Err(anyhow!("cannot read changes: {e}")),
            }
        }
    }

    /// The neighbours that packets still wait for, when all is over; `at` is the time now. What was not drained before is
    /// lost. Waits for the kernel's answer.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub fn at_the_end(&mut self, at: Nanos) -> Result<Vec<Event>> {
        let netns = self.netns;
        let failed = || format!("cannot list the neighbours of network namespace {netns}");
        let mut waiting = Vec::new();
        self.socket.set_non_blocking(false).with_context(failed)?;
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        self.dump(request, |known, message| waiting.extend(known.at_the_end(at, message)))
            .with_context(failed)?;
        Ok(waiting)
    }

    /// How often the kernel had to throw changes away because they were not read in time.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The namespace, and every device that it has or had.
    pub fn devices(&self) -> (u32, &Devices) {
        (self.netns, &self.devices)
    }

    /// How many messages were of a form that is not known here.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Asks for a dump and reads it to its end, each message by `take`: what happens meanwhile is among them.
    fn dump(
        &mut self,
        request: RouteNetlinkMessage,
        mut take: impl FnMut(&mut Known, &RouteNetlinkMessage),
    ) -> Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            let bytes = match self.socket.recv_from_full() {
                Ok((bytes, _)) => bytes,
                // Of what happens meanwhile; the kernel goes on with the dump when there is room (`netlink_dump`).
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.lost += 1;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            for message in self.messages(&bytes) {
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(e) => return Err(e.to_io().into()),
                    NetlinkPayload::InnerMessage(message) => {
                        self.devices.take(&message);
                        take(&mut self.known, &message);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The messages of one datagram. They start at multiples of four bytes (`NLMSG_ALIGN`). One that cannot be read is
    /// counted: a new kind of tunnel or next hop does not end the watch.
    fn messages(&mut self, bytes: &[u8]) -> Vec<NetlinkMessage<RouteNetlinkMessage>> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while let Some((length, _)) = rest.split_first_chunk() {
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
                Ok(message) => found.push(message),
                Err(_) => self.unreadable += 1,
            }
            let length = (u32::from_ne_bytes(*length) as usize).next_multiple_of(4).max(4);
            rest = rest.get(length..).unwrap_or_default();
        }
        found
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket belongs to the namespace of the thread that makes it.
fn listen() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_rx_buf_sz(BUFFER)?;
    socket.bind(&SocketAddr::new(0, GROUPS))?;
    Ok(socket)
}
