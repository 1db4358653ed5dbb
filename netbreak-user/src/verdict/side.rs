//! What the kernel counted of one namespace beside the probes' packets: no book, since no equality holds, but
//! evidence for deaths that no tracepoint shows.

use std::collections::BTreeMap;

use crate::counters::{Datapath, Hook, Qdisc, Snapshot, Socket, SocketKind, Sockets};

/// Differences over the run. `None` = not measured, never 0.
///
/// A queue or a socket that was made *and* removed during the run is in none of them, and neither is what a socket
/// dropped that was closed before the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Connections that found an accept queue full (`TcpExt.ListenOverflows`).
    pub listen_overflows: Option<u64>,
    /// SYNs and last ACKs that a listener dropped, for that or any other reason (`TcpExt.ListenDrops`).
    pub listen_drops: Option<u64>,
    /// Packets of new connections that connection tracking had no room or memory for. `None` where it is not used.
    pub conntrack_drop: Option<u64>,
    /// Connections that were forgotten to make room for others.
    pub conntrack_early_drop: Option<u64>,
    /// Packets that lost the race with another one of the same new connection.
    pub conntrack_insert_failed: Option<u64>,
    /// Packets that belong to no connection that can be.
    pub conntrack_invalid: Option<u64>,
    /// The queues of its devices, also those that dropped nothing.
    pub queues: Option<Vec<Queue>>,
    /// Sockets that dropped packets, by kind; others of that kind dropped none.
    pub listeners: Option<Vec<Socket>>,
    /// UDP sockets that dropped packets.
    pub udp_sockets: Option<Vec<Socket>>,
    /// Packet sockets that dropped packets (copies of them, unless a program forwards what it reads there).
    pub packet_sockets: Option<Vec<Socket>>,
    /// Datapaths of Open vSwitch, by name.
    pub datapaths: BTreeMap<String, Datapath>,
}

/// What waits at one device, in one direction, and what it dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The device's index.
    pub ifindex: u32,
    /// Sending or receiving.
    pub hook: Hook,
    /// Its name, the qdisc's kind, and what was counted; `queued` and `backlog` are as they were at the end.
    pub qdisc: Qdisc,
}

impl Side {
    /// From the difference of two snapshots of a namespace.
    pub fn of(since: &Snapshot) -> Self {
        let sockets = |kind| since.sockets.get(&kind).map(|found: &Sockets| found.iter().cloned().collect());
        let queue = |((ifindex, hook), qdisc): (&(u32, Hook), &Qdisc)| Queue {
            ifindex: *ifindex,
            hook: *hook,
            qdisc: qdisc.clone(),
        };
        Self {
            listen_overflows: since.get("TcpExt.ListenOverflows"),
            listen_drops: since.get("TcpExt.ListenDrops"),
            conntrack_drop: since.get("Conntrack.drop"),
            conntrack_early_drop: since.get("Conntrack.early_drop"),
            conntrack_insert_failed: since.get("Conntrack.insert_failed"),
            conntrack_invalid: since.get("Conntrack.invalid"),
            queues: since.qdiscs.as_ref().map(|qdiscs| qdiscs.iter().map(queue).collect()),
            listeners: sockets(SocketKind::TcpListener),
            udp_sockets: sockets(SocketKind::Udp),
            packet_sockets: sockets(SocketKind::Packet),
            datapaths: since.datapaths.clone(),
        }
    }

    /// Packets that the queue of a device dropped. `None` if it was not measured, or has been re-created.
    pub fn queue_drops(&self, ifindex: u32, hook: Hook) -> Option<u64> {
        let mut queues = self.queues.as_ref()?.iter();
        queues.find(|queue| (queue.ifindex, queue.hook) == (ifindex, hook)).map(|queue| queue.qdisc.drops)
    }

    /// Packets that the listeners on a TCP port dropped.
    pub fn listener_drops(&self, port: u16) -> Option<u64> {
        sum(&self.listeners, |socket| socket.port == port)
    }

    /// Packets that the sockets on a UDP port dropped.
    pub fn udp_drops(&self, port: u16) -> Option<u64> {
        sum(&self.udp_sockets, |socket| socket.port == port)
    }

    /// Packets that the packet sockets of a device dropped: those bound to it and those that take from all.
    pub fn packet_drops(&self, ifindex: u32) -> Option<u64> {
        sum(&self.packet_sockets, |socket| socket.ifindex == ifindex || socket.ifindex == 0)
    }
}

fn sum(sockets: &Option<Vec<Socket>>, is_meant: impl Fn(&Socket) -> bool) -> Option<u64> {
    let sockets = sockets.as_ref()?.iter();
    Some(sockets.filter(|socket| is_meant(socket)).map(|socket| socket.drops).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    fn snapshot() -> Snapshot {
        let mut counters = Counters::default();
        counters.add_table("TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 4\n");
        let qdisc = Qdisc {
            device: "r1".to_owned(),
            kind: "tbf".to_owned(),
            handle: 1,
            drops: 17,
            overlimits: 20,
            requeues: 0,
            queued: 3,
            backlog: 180,
        };
        let socket = |port, ifindex, drops| Socket { port, ifindex, inode: 1, drops };
        let sockets = |all: &[Socket]| all.iter().cloned().enumerate().map(|(i, s)| (i as u64, s)).collect();
        Snapshot {
            counters,
            qdiscs: Some([((3, Hook::Egress), qdisc)].into()),
            sockets: [
                (SocketKind::Udp, sockets(&[socket(53, 0, 2), socket(53, 0, 5), socket(67, 0, 1)])),
                (SocketKind::Packet, sockets(&[socket(3, 2, 10), socket(3, 0, 1), socket(3, 9, 100)])),
            ]
            .into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn what_was_measured_is_found_where_it_was() {
        let side = Side::of(&snapshot());
        assert_eq!((side.listen_overflows, side.listen_drops), (Some(3), Some(4)));
        assert_eq!(side.queue_drops(3, Hook::Egress), Some(17));
        assert_eq!((side.udp_drops(53), side.udp_drops(99)), (Some(7), Some(0)));
        assert_eq!(side.packet_drops(2), Some(11));
    }

    #[test]
    fn what_was_not_measured_is_none() {
        let side = Side::of(&snapshot());
        assert_eq!((side.conntrack_drop, side.listener_drops(80)), (None, None));
        assert_eq!(side.queue_drops(3, Hook::Ingress), None);
        assert_eq!(Side::of(&Snapshot::default()), Side::default());
    }
}
