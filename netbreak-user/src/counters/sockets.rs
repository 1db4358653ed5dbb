//! Packets that sockets did not take: sock_diag, which is what `ss -m` shows as `d`.
//!
//! A full packet socket, and a full accept queue, drop without `kfree_skb` telling a death: this is their only trace.

use std::collections::BTreeMap;

use netlink_packet_core::NlasIterator;

/// SOCK_DIAG_BY_FAMILY (include/uapi/linux/sock_diag.h).
pub(super) const BY_FAMILY: u16 = 20;

/// Sockets with drops that are kept of one namespace and kind. Where there are more, none is: a difference would count
/// what one dropped before.
pub(super) const MOST: usize = 4096;

/// Lengths of `struct inet_diag_req_v2`, `inet_diag_msg`, `packet_diag_req`, `packet_diag_msg`.
const INET_REQUEST: usize = 56;
const INET_MESSAGE: usize = 72;
const PACKET_REQUEST: usize = 20;
const PACKET_MESSAGE: usize = 16;

/// TCP_LISTEN as a bit (include/net/tcp_states.h).
const LISTEN: u32 = 1 << 10;
/// Attribute INET_DIAG_SKMEMINFO, asked for by bit 6 of `idiag_ext`.
const INET_MEMORY: u16 = 7;
/// Attributes PACKET_DIAG_INFO and PACKET_DIAG_MEMINFO, asked for by PACKET_SHOW_INFO and PACKET_SHOW_MEMINFO.
const PACKET_INFO: u16 = 0;
const PACKET_MEMORY: u16 = 6;
const PACKET_SHOW: u32 = 0x01 | 0x10;

/// A kind of sockets that the kernel lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketKind {
    /// TCP sockets that listen. They drop SYNs and last ACKs (`tcp_listendrop` in include/net/tcp.h).
    TcpListener,
    /// UDP sockets.
    Udp,
    /// Packet sockets. What a ring (PACKET_MMAP, as of tcpdump) drops is not counted here (`tpacket_rcv`).
    Packet,
}

impl SocketKind {
    /// All of them.
    pub const ALL: [SocketKind; 3] = [SocketKind::TcpListener, SocketKind::Udp, SocketKind::Packet];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            SocketKind::TcpListener => "TCP listeners",
            SocketKind::Udp => "UDP sockets",
            SocketKind::Packet => "packet sockets",
        }
    }

    /// The kernel's module that lists them.
    pub(super) fn module(self) -> &'static str {
        match self {
            SocketKind::TcpListener => "tcp_diag",
            SocketKind::Udp => "udp_diag",
            SocketKind::Packet => "af_packet_diag",
        }
    }

    /// What to ask for, one dump each.
    pub(super) fn requests(self) -> Vec<Vec<u8>> {
        let inet = |protocol: i32, states: u32| {
            [libc::AF_INET, libc::AF_INET6].map(|family| {
                let mut request = vec![0; INET_REQUEST];
                request[..3].copy_from_slice(&[family as u8, protocol as u8, 1 << (INET_MEMORY - 1)]);
                request[4..8].copy_from_slice(&states.to_ne_bytes());
                request
            })
        };
        match self {
            SocketKind::TcpListener => inet(libc::IPPROTO_TCP, LISTEN).into(),
            SocketKind::Udp => inet(libc::IPPROTO_UDP, u32::MAX).into(),
            SocketKind::Packet => {
                let mut request = vec![0; PACKET_REQUEST];
                request[0] = libc::AF_PACKET as u8;
                request[8..12].copy_from_slice(&PACKET_SHOW.to_ne_bytes());
                vec![request]
            }
        }
    }
}

/// One socket that dropped packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its own port; of a packet socket the Ethernet type that it takes.
    pub port: u16,
    /// The device that it is bound to; 0 = none.
    pub ifindex: u32,
    /// Its inode number, as `/proc/PID/fd` shows it; 0 = no process holds it any more.
    pub inode: u32,
    /// Packets that it did not take (`sk_drops`).
    pub drops: u64,
}

/// The sockets of one kind in one namespace that dropped packets, by cookie: a number that no other socket gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sockets(BTreeMap<u64, Socket>);

impl Sockets {
    /// Were there more than [`MOST`]?
    pub(super) fn is_full(&self) -> bool {
        self.0.len() > MOST
    }

    /// Takes one message of a dump.
    pub(super) fn take(&mut self, kind: SocketKind, message: &[u8]) {
        let parsed = match kind {
            SocketKind::TcpListener | SocketKind::Udp => parse_inet(message),
            SocketKind::Packet => parse_packet(message),
        };
        // One without drops is the same as one that was not there.
        if let Some((cookie, socket)) = parsed.filter(|(_, socket)| socket.drops > 0)
            && self.0.len() <= MOST
        {
            self.0.insert(cookie, socket);
        }
    }

    /// What was dropped since `before`, by the sockets that are still there; those that dropped nothing are left out.
    pub fn since(&self, before: &Sockets) -> Sockets {
        let one = |(cookie, after): (&u64, &Socket)| {
            let before = before.0.get(cookie).map_or(0, |before| before.drops);
            let drops = after.drops.checked_sub(before).filter(|drops| *drops > 0)?;
            Some((*cookie, Socket { drops, ..after.clone() }))
        };
        Sockets(self.0.iter().filter_map(one).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.0.values()
    }

    /// Packets dropped by all of them.
    pub fn drops(&self) -> u64 {
        self.iter().map(|socket| socket.drops).sum()
    }
}

impl FromIterator<(u64, Socket)> for Sockets {
    /// From cookies and sockets.
    fn from_iter<T: IntoIterator<Item = (u64, Socket)>>(sockets: T) -> Sockets {
        Sockets(sockets.into_iter().collect())
    }
}

/// `struct inet_diag_msg` and its attributes. Ports are in network byte order.
fn parse_inet(message: &[u8]) -> Option<(u64, Socket)> {
    let attributes = message.get(INET_MESSAGE..)?;
    let port = u16::from_be_bytes(*message[4..].first_chunk()?);
    let socket = Socket {
        port,
        ifindex: word(message, 40)?,
        inode: word(message, 68)?,
        drops: drops(attributes, INET_MEMORY)?,
    };
    Some((cookie(message, 44)?, socket))
}

/// `struct packet_diag_msg` and its attributes.
fn parse_packet(message: &[u8]) -> Option<(u64, Socket)> {
    let attributes = message.get(PACKET_MESSAGE..)?;
    let mut found = NlasIterator::new(attributes).flatten();
    let info = found.find(|attribute| attribute.kind() == PACKET_INFO);
    let socket = Socket {
        // `pdiag_num` is in host byte order (`sk_diag_fill` in net/packet/diag.c).
        port: u16::from_ne_bytes(*message[2..].first_chunk()?),
        ifindex: info.and_then(|info| word(info.value(), 0)).unwrap_or(0),
        inode: word(message, 4)?,
        drops: drops(attributes, PACKET_MEMORY)?,
    };
    Some((cookie(message, 8)?, socket))
}

/// The ninth number of `sock_diag_put_meminfo` (SK_MEMINFO_DROPS).
fn drops(attributes: &[u8], kind: u16) -> Option<u64> {
    let memory = NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == kind)?;
    Some(word(memory.value(), 4 * libc::SK_MEMINFO_DROPS as usize)?.into())
}

/// Two words, the low one first (`sock_diag_save_cookie`).
fn cookie(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(word(bytes, at)?) | u64::from(word(bytes, at + 4)?) << 32)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
