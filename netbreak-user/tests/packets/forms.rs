//! Every form of the programs counts alike: the newest kernels load the first one, and would never run the others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

use netbreak_user::clock;
use netbreak_user::kernel::{FlowRow, Form, Options, PATH, Room, Tracer};
use netbreak_user::lab::LabNamespace;
use netbreak_user::report::SensorState;

use crate::common::skipped;

/// Dies in the sender's own system call, with a socket and a route and no device yet.
const RULES: &str = "table inet netbreak {
 chain ours {
  type filter hook output priority 0
  udp dport 5000-5002 drop
 }
}
";

const DATAGRAMS: u64 = 100;
/// Of a datagram that the kernel would cut up: bytes, and bytes of a piece.
const LARGE: (usize, i32) = (1000, 300);

/// Sends from one socket to port 5000 and to port 5001, and to 5002 what counts as four.
fn send(address: IpAddr) -> u16 {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    for number in 0..DATAGRAMS {
        let refused = socket.send_to(&[0; 20], (address, 5000 + (number % 2) as u16));
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM), "nft drops it");
    }
    let (bytes, piece) = LARGE;
    // SAFETY: an int, for a socket that is open.
    let set = unsafe {
        let piece = (&raw const piece).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, piece, size_of::<i32>() as u32)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    socket.send_to(&vec![0; bytes], (address, 5002)).unwrap_err();
    socket.local_addr().unwrap().port()
}

/// (destination port, packets, bytes) of the flows from `port` to `address`.
fn flows(rows: &[FlowRow], address: IpAddr, port: u16) -> Vec<(u16, u64, u64)> {
    let mut flows: Vec<_> = rows
        .iter()
        .filter(|row| row.addresses.is_some_and(|(_, to)| to == address))
        .filter(|row| row.source_port == port && (5000..=5002).contains(&row.destination_port))
        .map(|row| (row.destination_port, row.packets, row.bytes))
        .collect();
    flows.sort_unstable();
    flows
}

fn counts_alike(form: Form) {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let namespace = LabNamespace::new("forms").unwrap();
    namespace.exec(&["ip", "link", "set", "lo", "up"], "").unwrap();
    namespace.exec(&["nft", "-f", "-"], RULES).unwrap();
    // Room for the flows of other tests, whose floods this tracer sees as well.
    let mut tracer = Tracer::start(Options { form, flows: 1 << 18, ..Options::default() }).unwrap();
    let before = clock::now();
    let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let ports = namespace.run(|| addresses.map(send)).unwrap();
    let after = clock::now();
    tracer.stop();
    let tables = tracer.tables().unwrap();

    // Others have the same ports elsewhere.
    let is_here = |row: &&FlowRow| {
        let place = tables.places.iter().find(|place| place.id == row.place);
        place.is_some_and(|place| place.key.netns == namespace.inode())
    };
    let here: Vec<FlowRow> = tables.flows.iter().filter(is_here).cloned().collect();
    for ((address, port), header) in addresses.into_iter().zip(ports).zip([20, 40]) {
        // Half of the datagrams each; a packet's bytes count from its IP header on.
        let (half, small) = (DATAGRAMS / 2, header + 8 + 20);
        let large = header + 8 + LARGE.0 as u64;
        let expected = [(5000, half, half * small), (5001, half, half * small), (5002, 4, large)];
        assert_eq!(flows(&here, address, port), expected, "{form:?}");
    }
    for row in here.iter().filter(|row| ports.contains(&row.source_port)) {
        let slack = 2 * clock::tick();
        assert!(before <= row.first + slack && row.first <= row.last, "{row:?}, sent after {before}");
        assert!(row.last <= after + slack, "{row:?}, sent before {after}");
        let place = tables.places.iter().find(|place| place.id == row.place).unwrap();
        assert_eq!(place.device.as_deref(), Some("lo"), "by way of its route");
        assert_eq!(tracer.reasons().drop(place.key.reason).as_deref(), Some("NETFILTER_DROP"));
    }
    assert_eq!(tables.losses.unreadable, 0);
}

/// The programs that follow packets load in every form. Two of them read no packet's bytes: they have one form less.
#[test]
fn whatever_follows_packets_loads_in_every_form() {
    if skipped(&[]) {
        return;
    }
    for (form, expected) in
        [(Form::Direct, SensorState::On), (Form::Typed, SensorState::On), (Form::Raw, SensorState::Degraded)]
    {
        let follow = Some(Room { probes: 1, attempts: 16 });
        let tracer = Tracer::start(Options { form, follow, ..Options::default() }).unwrap();
        for sensor in tracer.sensors().iter().filter(|sensor| PATH.contains(&sensor.name.as_str())) {
            assert_eq!(sensor.state, expected, "{form:?}: {sensor:?}");
        }
    }
}

#[test]
fn plain_loads() {
    counts_alike(Form::Direct);
}

#[test]
fn probe_reads_of_bytes() {
    counts_alike(Form::Typed);
}

#[test]
fn probe_reads_of_everything() {
    counts_alike(Form::Raw);
}
