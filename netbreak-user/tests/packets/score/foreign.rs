//! Others with the same addresses and ports elsewhere on this node, and what befalls them.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use netbreak_user::lab::{CLIENT_V4, CLIENT_V6, Fault, Role};
use netbreak_user::netns::Namespace;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::common::{HTTP, STREAM, Served, TCP, UDP, V4, V6};

/// How many ports the client of a lab has whose traffic others imitate: few, so that each one's turn comes soon, and the
/// machine has time for our own.
const PORTS: u16 = 150;
/// Between two rounds. An attempt that is lost waits longer.
const PAUSE: Duration = Duration::from_millis(50);
/// What they say, which is nothing of ours.
const PAYLOAD: [u8; 56] = [0x5a; 56];

/// A second lab, whose client sends to its server what ours sends to ours: connects from all of its ports again and again,
/// datagrams likewise, and an echo request of the same identifier and sequence number for each of ours. And its server
/// acknowledges a bit more than the SYN for each SYN of ours, as if it knew how our connections count.
pub struct Foreign {
    served: Served,
    fault: &'static Fault,
    over: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

impl Foreign {
    /// Begins, with the fault brought about there. The client of `ours` then has few ports, all of them the others' too.
    pub fn beside(ours: &Served, fault: &'static Fault) -> Foreign {
        let first = *ours.ports().start();
        let ports = first..=first + PORTS - 1;
        let range = format!("{} {}", ports.start(), ports.end());
        ours.lab.namespace(Role::Client).sysctl("ipv4/ip_local_port_range", &range).unwrap();
        let mut served = Served::new();
        served.lab.apply(fault).unwrap();
        let over = Arc::<AtomicBool>::default();
        let path = |served: &Served, role| served.lab.namespace(role).path();
        let (here, there) = (path(ours, Role::Client), path(&served, Role::Client));
        let pairs = [(IpAddr::from(CLIENT_V4), V4), (CLIENT_V6.into(), V6)];
        let mut senders: Vec<JoinHandle<()>> = pairs
            .into_iter()
            .map(|(client, server)| {
                let (ports, there, over) = (ports.clone(), there.clone(), over.clone());
                std::thread::spawn(move || from_all_ports(client, server, &ports, &there, &over))
            })
            .collect();
        let (client, done) = (here.clone(), over.clone());
        senders.push(std::thread::spawn(move || echo_alike(&client, &there, &done)));
        let (server, done) = (path(&served, Role::Server), over.clone());
        senders.push(std::thread::spawn(move || acknowledge(&here, &server, &done)));
        Foreign { served, fault, over, senders }
    }

    /// Ends it. How many of their packets died of the fault; `None` where nobody counts.
    pub fn end(mut self) -> Option<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.senders.drain(..).for_each(|sender| sender.join().unwrap());
        self.served.lab.undo(self.fault).unwrap();
        self.served.lab.read_truth(self.fault).unwrap()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // Also when the case panics.
        self.over.store(true, Ordering::Relaxed);
        self.senders.drain(..).for_each(|sender| drop(sender.join()));
    }
}

fn enter(path: &PathBuf) {
    Namespace::open(path).unwrap().enter().unwrap();
}

/// Connects and sends datagrams, from each port in turn.
fn from_all_ports(
    client: IpAddr,
    server: IpAddr,
    ports: &RangeInclusive<u16>,
    there: &PathBuf,
    over: &AtomicBool,
) {
    enter(there);
    while !over.load(Ordering::Relaxed) {
        for port in ports.clone() {
            let from = SockAddr::from(SocketAddr::new(client, port));
            for service in [TCP, HTTP, STREAM] {
                connect(&from, &SocketAddr::new(server, service).into());
            }
            let socket = Socket::new(Domain::for_address(SocketAddr::new(client, port)), Type::DGRAM, None);
            let socket = socket.unwrap();
            // A port that is busy is left out for once.
            let _ = socket.bind(&from);
            // What an ICMP error said of the one before is no matter.
            let _ = socket.send_to(&PAYLOAD, &SocketAddr::new(server, UDP).into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends a SYN and, when the handshake is over at once, some data and a RST.
fn connect(from: &SockAddr, to: &SockAddr) {
    let socket = Socket::new(from.domain(), Type::STREAM.nonblocking(), None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.bind(from).unwrap();
    // It cannot be over before it has begun, and whether it comes to a connection is the fault's affair.
    let _ = socket.connect(to);
    let _ = socket.send(&PAYLOAD);
}

/// Sends an echo request for each one that leaves our client.
fn echo_alike(here: &PathBuf, there: &PathBuf, over: &AtomicBool) {
    let protocols = (Protocol::ICMPV4, Protocol::ICMPV6);
    // Ethernet, IP without options, and the first eight bytes of an echo request.
    answer(here, there, protocols, over, |frame| match frame.len() {
        42.. if frame[12..14] == [8, 0] && frame[23] == 1 && frame[34] == 8 => {
            Some((V4, echo(&frame[34..42])))
        }
        62.. if frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 128 => {
            Some((V6, echo(&frame[54..62])))
        }
        _ => None,
    });
}

/// Answers each SYN that leaves our client with a segment that acknowledges what a connection begun a moment later would
/// have sent by then.
fn acknowledge(here: &PathBuf, server: &PathBuf, over: &AtomicBool) {
    // Ethernet, IP without options, and the first 14 bytes of a SYN.
    answer(here, server, (Protocol::TCP, Protocol::TCP), over, |frame| match frame.len() {
        54.. if frame[12..14] == [8, 0] && frame[23] == 6 && frame[47] & SYN_ACK == SYN => {
            Some((CLIENT_V4.into(), acknowledgement(&frame[34..48])))
        }
        74.. if frame[12..14] == [0x86, 0xdd] && frame[20] == 6 && frame[67] & SYN_ACK == SYN => {
            Some((CLIENT_V6.into(), acknowledgement(&frame[54..68])))
        }
        _ => None,
    });
}

/// Looks at each frame that our client sends or receives: what `reply` says of it, to whom and what, is sent from `there`, by
/// these protocols of IPv4 and IPv6.
fn answer(
    here: &PathBuf,
    there: &PathBuf,
    (v4, v6): (Protocol, Protocol),
    over: &AtomicBool,
    reply: impl Fn(&[u8]) -> Option<(IpAddr, Vec<u8>)>,
) {
    let ours = Namespace::open(here).unwrap().run(sniffer).unwrap();
    enter(there);
    let v4 = Socket::new(Domain::IPV4, Type::RAW, Some(v4)).unwrap();
    let v6 = Socket::new(Domain::IPV6, Type::RAW, Some(v6)).unwrap();
    let mut frame = [0; 128];
    while !over.load(Ordering::Relaxed) {
        let Ok(length) = rustix::io::read(&ours, &mut frame) else { continue };
        if let Some((to, packet)) = reply(&frame[..length]) {
            let socket = if to.is_ipv4() { &v4 } else { &v6 };
            let _ = socket.send_to(&packet, &SocketAddr::new(to, 0).into());
        }
    }
}

/// TCP's flags.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const SYN_ACK: u8 = SYN | ACK;

/// A segment without data, for the SYN with this header. Its checksum is none: whom it reaches throws it away.
fn acknowledgement(syn: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&syn[2..4]);
    segment[2..4].copy_from_slice(&syn[..2]);
    let first = u32::from_be_bytes(syn[4..8].try_into().unwrap());
    segment[8..12].copy_from_slice(&first.wrapping_add(1000).to_be_bytes());
    (segment[12], segment[13]) = (5 << 4, ACK);
    segment
}

/// Hears everything that the calling thread's namespace sends and receives; a read ends after a while.
fn sniffer() -> OwnedFd {
    let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket.into()
}

/// The same header, with our payload; the kernel fills in the checksum of ICMPv6 (RFC 3542, section 3.1).
fn echo(header: &[u8]) -> Vec<u8> {
    let mut packet = [header, &PAYLOAD].concat();
    packet[2..4].fill(0);
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}
