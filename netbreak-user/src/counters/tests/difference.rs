//! What is in a difference and what is not.

use crate::counters::*;

fn snapshot(text: &str, devices: &[(&str, u64)]) -> Snapshot {
    let mut counters = Counters::default();
    counters.add_table(text);
    let device = |(name, n): &(&str, u64)| (name.to_string(), Device { rx_packets: *n, ..Device::default() });
    Snapshot { counters, devices: devices.iter().map(device).collect(), ..Snapshot::default() }
}

#[test]
fn a_difference_has_only_what_both_sides_have() {
    let before = snapshot("Ip: A B\nIp: 1 9\n", &[("eth0", 5), ("gone", 1), ("again", 7)]);
    let after = snapshot("Ip: A B C\nIp: 4 8 3\n", &[("eth0", 9), ("new", 2), ("again", 1)]);
    let since = after.since(&before);
    assert_eq!(since.get("Ip.A"), Some(3));
    assert_eq!(since.get("Ip.B"), None, "a counter that went back");
    assert_eq!(since.get("Ip.C"), None, "a counter that was not there before");
    let devices: Vec<_> = since.devices.iter().map(|(n, d)| (n.as_str(), d.rx_packets)).collect();
    assert_eq!(devices, [("eth0", 4)]);
}

#[test]
fn namespaces_of_one_side_are_left_out_and_messages_kept_once() {
    let one = snapshot("Ip: A\nIp: 1\n", &[]);
    let two = snapshot("Ip: A\nIp: 6\n", &[]);
    let before = Snapshots {
        namespaces: [(1, one.clone()), (2, one.clone())].into(),
        failed: vec!["x".to_owned()],
        ..Snapshots::default()
    };
    let after = Snapshots {
        namespaces: [(2, two), (3, one)].into(),
        failed: vec!["x".to_owned(), "y".to_owned()],
        left_out: 1,
        ..Snapshots::default()
    };
    let since = after.since(&before);
    assert_eq!(since.namespaces.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(since.namespaces[&2].get("Ip.A"), Some(5));
    assert_eq!((since.failed, since.left_out, since.softnet), (vec!["x".into(), "y".into()], 1, None));
}

fn tbf(device: &str, handle: u32, drops: u64) -> Qdisc {
    let (device, kind) = (device.to_owned(), "tbf".to_owned());
    Qdisc { device, kind, handle, drops, overlimits: 2 * drops, requeues: 0, queued: 1, backlog: 60 }
}

#[test]
fn a_new_qdisc_counted_since_it_was_made() {
    let one = |qdisc| Snapshot { qdiscs: Some([((3, Hook::Egress), qdisc)].into()), ..Snapshot::default() };
    let drops = |before: Snapshot, after: Snapshot| {
        let since = after.since(&before).qdiscs?;
        Some(since.get(&(3, Hook::Egress)).map(|qdisc| (qdisc.drops, qdisc.overlimits)))
    };
    assert_eq!(drops(one(tbf("r1", 1, 5)), one(tbf("r1", 1, 9))), Some(Some((4, 8))));
    assert_eq!(drops(one(tbf("r1", 1, 5)), one(tbf("r1", 2, 9))), Some(Some((9, 18))), "another one");
    assert_eq!(drops(one(tbf("r1", 1, 5)), one(tbf("r1", 1, 2))), Some(None), "it went back");
    let nothing = Snapshot { qdiscs: Some([].into()), ..Snapshot::default() };
    assert_eq!(drops(nothing, one(tbf("r1", 1, 9))), Some(Some((9, 18))));
    assert_eq!(drops(Snapshot::default(), one(tbf("r1", 1, 9))), None, "it was not read before");
}

#[test]
fn only_sockets_that_dropped_meanwhile_are_told() {
    let socket = |port, drops| Socket { port, ifindex: 0, inode: 1, drops };
    let snapshot = |sockets: &[(u64, Socket)]| Snapshot {
        sockets: [(SocketKind::Udp, sockets.iter().cloned().collect())].into(),
        ..Snapshot::default()
    };
    let before = snapshot(&[(1, socket(53, 4)), (2, socket(67, 7)), (3, socket(68, 9))]);
    let after = snapshot(&[(1, socket(53, 6)), (2, socket(67, 7)), (4, socket(99, 5))]);
    let since = after.since(&before);
    let udp = &since.sockets[&SocketKind::Udp];
    assert_eq!(udp.iter().map(|s| (s.port, s.drops)).collect::<Vec<_>>(), [(53, 2), (99, 5)]);
    assert_eq!((udp.drops(), since.sockets.get(&SocketKind::Packet)), (7, None));
}
