//! What the kernel counts in the lab is read from the namespace, the queue and the socket that it is of.

use std::time::Instant;

use netbreak_user::counters::{self, SocketKind};
use netbreak_user::lab::{Family, Lab, Role, find};
use netbreak_user::netns;
use netbreak_user::probe::Kind;

use crate::burst::{BURST, SOON, SURELY, lost, ping};
use crate::skip::skipped;

#[test]
fn counters_come_from_the_namespace_they_are_said_to_be_of() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let namespaces = Role::ALL.map(|role| netns::Namespace::open(lab.namespace(role).path()).unwrap());
    let before = counters::take(&namespaces);
    assert_eq!(ping(&lab, Family::V4, &[], SURELY), 0);
    let start = Instant::now();
    let after = counters::take(&namespaces);
    println!("the counters of three namespaces take {:?}", start.elapsed());
    let since = after.since(&before);
    assert_eq!(since.failed, Vec::<String>::new());
    let get = |role: Role, name: &str| since.namespaces[&lab.namespace(role).inode()].get(name);
    assert_eq!(get(Role::Client, "Icmp.OutEchos"), Some(BURST));
    assert_eq!(get(Role::Client, "Icmp.InEchoReps"), Some(BURST));
    assert_eq!(get(Role::Router, "Ip.ForwDatagrams"), Some(2 * BURST));
    assert_eq!(get(Role::Router, "Icmp.OutEchos"), Some(0));
    assert_eq!(get(Role::Server, "Icmp.InEchos"), Some(BURST));
    let device = since.namespaces[&lab.namespace(Role::Router).inode()].devices["r1"];
    assert!(device.tx_packets >= BURST && device.tx_dropped == 0, "{device:?}");
}

#[test]
fn what_queues_and_sockets_drop_is_counted_where_it_was() {
    if skipped(&["ip", "tc", "ping", "nft"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    let server = |snapshots: &counters::Snapshots, lab: &Lab, role: Role| {
        snapshots.namespaces[&lab.namespace(role).inode()].clone()
    };
    let take = |lab: &Lab| {
        counters::take(&Role::ALL.map(|role| netns::Namespace::open(lab.namespace(role).path()).unwrap()))
    };
    // A packet socket that nobody reads.
    let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
    let packets = lab.namespace(Role::Router).run(|| {
        let socket =
            socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, Some(protocol.into())).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket
    });
    let before = take(&lab);
    assert_eq!(before.failed, Vec::<String>::new());
    for (fault, kind) in [("udp-buffer", Kind::Udp), ("accept-queue", Kind::Tcp), ("tbf", Kind::Icmp)] {
        let fault = find(fault).unwrap();
        lab.apply(fault).unwrap();
        lost(&lab, Family::V4, kind, fault.arguments, SOON);
        if fault.name == "tbf" {
            let drops = lab.read_truth(fault).unwrap();
            let counted = server(&take(&lab).since(&before), &lab, Role::Router).qdiscs.unwrap();
            let tbf: Vec<_> = counted.values().filter(|qdisc| qdisc.drops > 0).collect();
            assert_eq!(
                tbf.iter().map(|q| (q.device.as_str(), q.kind.as_str())).collect::<Vec<_>>(),
                [("r1", "tbf")]
            );
            assert!(
                tbf[0].overlimits > 0 && Some(tbf[0].drops) == drops && drops > Some(0),
                "{tbf:?} {drops:?}"
            );
        } else {
            let since = server(&take(&lab).since(&before), &lab, Role::Server);
            let (of, port, counter) = match kind {
                Kind::Udp => (SocketKind::Udp, 9999, "Udp.RcvbufErrors"),
                _ => (SocketKind::TcpListener, 9998, "TcpExt.ListenDrops"),
            };
            let dropped: Vec<_> = since.sockets[&of].iter().map(|s| (s.port, Some(s.drops))).collect();
            assert_eq!(dropped, [(port, since.get(counter))], "{since:?}");
            assert!(since.get(counter) > Some(0));
        }
        lab.undo(fault).unwrap();
    }
    let since = take(&lab).since(&before);
    let router = server(&since, &lab, Role::Router);
    let dropped = &router.sockets[&SocketKind::Packet];
    assert!(dropped.drops() > BURST && dropped.iter().count() == 1, "{dropped:?}");
    let client = server(&since, &lab, Role::Client);
    assert!(client.sockets.values().all(|sockets| sockets.drops() == 0), "{client:?}");
    assert!(client.qdiscs.unwrap().values().all(|qdisc| qdisc.drops == 0));
    // nft's `ct` loads connection tracking for that namespace, where it is not built in.
    assert!(client.counters.get("Conntrack.drop").is_none_or(|drops| drops == 0));
    drop(packets);
}
