//! Messages of Linux 6.18 on x86-64 (`struct nlmsghdr` cut off), and what `tc -s qdisc` and `ss -m` said of the same.

use crate::counters::{Hook, Qdisc, SocketKind, Sockets, qdisc};

/// `qdisc tbf 1: dev d0 root`: dropped 17, overlimits 20, requeues 0, backlog 2170b 3p.
const TBF: &str = "\
    000000000300000000000100ffffffff0300000008000100746266002c000200280001000001000000000000e8030000\
    000000000000000000000000b80b0000bca065010000000005000c000000000030000700140001006c04000000000000\
    020000000000000018000300030000007a0800001100000000000000140000002c0003006c0400000000000002000000\
    11000000140000000000000000000000030000007a08000000000000";
/// `qdisc clsact ffff: dev d1 parent ffff:fff1`: nothing counted.
const CLSACT: &str = "\
    00000000020000000000fffff1ffffff010000000b000100636c7361637400000400020005000c000000000030000700\
    14000100000000000000000000000000000000001800030000000000000000000000000000000000000000002c000300\
    00000000000000000000000000000000000000000000000000000000000000000000000000000000";
/// `LISTEN 2 1 127.0.0.1:8008`: d2.
const LISTENER: &str = "\
    020a00001f4800007f000001000000000000000000000000000000000000000000000000000000000000000001100000\
    00000000000000000200000001000000000000003c252c00050008000000000008000f00000000000c00150001000000\
    000000000600160052000000280007000000000000000200000000000040000000000000000000000000000000000000\
    02000000";
/// `UNCONN 1280 0 127.0.0.1:7007`: d19.
const UDP: &str = "\
    020700001b5f00007f000001000000000000000000000000000000000000000000000000000000000000000003100000\
    00000000000000000005000000000000000000003a252c00050008000000000008000f00000000000c00150001000000\
    0000000006001600500000002800070000050000000900000000000000400300000b0000000000000000000000000000\
    13000000";
/// `p_raw 2560 0 *:lo`: d54.
const PACKET: &str = "\
    110303003c6b2c0006000000000000001c00000001000000000000000000000000000000000000000100000008000500\
    0000000028000600000a00000009000000000000004003000000000000000000000000000000000036000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_qdisc_is_what_tc_shows() {
    let (place, tbf) = qdisc::parse(&bytes(TBF), |ifindex| format!("dev{ifindex}")).unwrap();
    assert_eq!(place, (3, Hook::Egress));
    let expected = Qdisc {
        device: "dev3".to_owned(),
        kind: "tbf".to_owned(),
        handle: 0x1_0000,
        drops: 17,
        overlimits: 20,
        requeues: 0,
        queued: 3,
        backlog: 2170,
    };
    assert_eq!(tbf, expected);
    let (place, clsact) = qdisc::parse(&bytes(CLSACT), |_| String::new()).unwrap();
    assert_eq!((place, clsact.kind.as_str(), clsact.drops), ((2, Hook::Ingress), "clsact", 0));
    // A class's qdisc is not the device's.
    let mut inner = bytes(TBF);
    inner[12..16].copy_from_slice(&0x1_0001_u32.to_ne_bytes());
    assert_eq!(qdisc::parse(&inner, |_| String::new()), None);
}

#[test]
fn a_socket_is_what_ss_shows() {
    for (kind, message, expected) in [
        (SocketKind::TcpListener, LISTENER, (8008, 0, 0x2c_253c, 2)),
        (SocketKind::Udp, UDP, (7007, 0, 0x2c_253a, 19)),
        // All Ethernet types (ETH_P_ALL), on `lo`.
        (SocketKind::Packet, PACKET, (3, 1, 0x2c_6b3c, 54)),
    ] {
        let mut sockets = Sockets::default();
        sockets.take(kind, &bytes(message));
        let seen: Vec<_> = sockets.iter().map(|s| (s.port, s.ifindex, s.inode, s.drops)).collect();
        assert_eq!(seen, [expected], "{kind:?}");
    }
}

#[test]
fn a_message_that_is_cut_short_is_nothing() {
    let mut sockets = Sockets::default();
    for length in 0..bytes(UDP).len() - 4 {
        sockets.take(SocketKind::Udp, &bytes(UDP)[..length]);
        sockets.take(SocketKind::TcpListener, &bytes(LISTENER)[..length.min(bytes(LISTENER).len() - 4)]);
        sockets.take(SocketKind::Packet, &bytes(PACKET)[..length.min(bytes(PACKET).len() - 4)]);
    }
    assert_eq!(sockets, Sockets::default());
    for length in 0..20 {
        assert_eq!(qdisc::parse(&bytes(TBF)[..length], |_| String::new()), None);
    }
}
