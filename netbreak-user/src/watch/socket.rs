//! Hears what rtnetlink tells about one namespace.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::{Context, Result, anyhow};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::{Devices, Event, Links};
use crate::clock::Nanos;
use crate::netns::Namespace;

/// Multicast groups, as bits (`RTMGRP_*` in include/uapi/linux/rtnetlink.h).
const GROUPS: u32 = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;

/// A netlink socket in one namespace, and what is known of it.
pub struct Watcher {
    socket: Socket,
    links: Links,
    devices: Devices,
    lost: u64,
}

impl Watcher {
    /// Starts to listen in `namespace` and learns what is there now, which makes no events.
    pub fn open(namespace: &Namespace) -> Result<Watcher> {
        let failed = || format!("cannot watch the links of network namespace {}", namespace.inode());
        let socket = namespace.run(listen).with_context(failed)?.with_context(failed)?;
        let mut watcher =
            Watcher { socket, links: Links::new(namespace.inode()), devices: Devices::default(), lost: 0 };
        // One dump at a time: the kernel refuses a second one on the same socket (EBUSY in __netlink_dump_start).
        for request in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        ] {
            watcher.learn(request).with_context(failed)?;
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
                    for message in messages(&bytes)? {
                        if let NetlinkPayload::InnerMessage(message) = message.payload {
                            self.devices.take(&message);
                            events.extend(self.links.take(at, &message));
                        }
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(events),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The socket's buffer was full, and the kernel threw messages away.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => self.lost += 1,
                Err(e) => return Err(anyhow!("cannot read changes of links: {e}")),
            }
        }
    }

    /// How often the kernel had to throw changes away because they were not read in time.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The namespace, and every device that it has or had.
    pub fn devices(&self) -> (u32, &Devices) {
        (self.links.netns(), &self.devices)
    }

    /// Asks for a dump and reads it to its end. What happens meanwhile is learned with it.
    fn learn(&mut self, request: RouteNetlinkMessage) -> Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            for message in messages(&bytes)? {
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(e) => return Err(e.to_io().into()),
                    NetlinkPayload::InnerMessage(message) => {
                        self.devices.take(&message);
                        drop(self.links.take(0, &message));
                    }
                    _ => {}
                }
            }
        }
    }
}

impl AsRawFd for Watcher {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A socket belongs to the namespace of the thread that makes it.
fn listen() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, GROUPS))?;
    Ok(socket)
}

/// The messages of one datagram. They start at multiples of four bytes (`NLMSG_ALIGN`).
fn messages(bytes: &[u8]) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|e| anyhow!("rtnetlink sent what cannot be read: {e}"))?;
        let length = (message.header.length as usize).next_multiple_of(4).max(4);
        rest = rest.get(length..).unwrap_or_default();
        found.push(message);
    }
    Ok(found)
}
