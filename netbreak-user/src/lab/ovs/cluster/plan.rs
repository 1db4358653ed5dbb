//! Who is in the cluster, and with which addresses.

use std::net::Ipv4Addr;

/// One of the cluster's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A pod of node1. Its device is `eth0`.
    Pod1,
    /// Another pod of node1.
    Pod2,
    /// The first node: `br-int` with the pods' ports and `ovn0`, `eth0` in the underlay, `br-phy` with `eth1` for tunnels.
    Node1,
    /// The second node.
    Node2,
    /// A pod of node2.
    Pod3,
    /// A bridge between the nodes and the host outside.
    Underlay,
    /// A host that is not of the cluster. Its device is `eth0`.
    Outside,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 7] =
        [Place::Pod1, Place::Pod2, Place::Node1, Place::Node2, Place::Pod3, Place::Underlay, Place::Outside];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Place::Pod1 => "pod1",
            Place::Pod2 => "pod2",
            Place::Node1 => "node1",
            Place::Node2 => "node2",
            Place::Pod3 => "pod3",
            Place::Underlay => "underlay",
            Place::Outside => "outside",
        }
    }
}

/// What a node has.
#[derive(Debug)]
pub(super) struct NodePlan {
    pub(super) place: Place,
    /// In the underlay.
    pub(super) address: Ipv4Addr,
    /// Where tunnels end.
    pub(super) tunnel: Ipv4Addr,
    pub(super) phy_mac: &'static str,
    /// In the join network.
    pub(super) ovn0: Ipv4Addr,
    pub(super) ovn0_mac: &'static str,
    pub(super) pods: &'static [PodPlan],
}

/// What a pod has.
#[derive(Debug)]
pub(super) struct PodPlan {
    pub(super) place: Place,
    pub(super) address: Ipv4Addr,
    pub(super) mac: &'static str,
    /// Its port on the node.
    pub(super) port: &'static str,
}

pub(super) const NODES: [NodePlan; 2] = [
    NodePlan {
        place: Place::Node1,
        address: Ipv4Addr::new(172, 18, 0, 2),
        tunnel: Ipv4Addr::new(192, 168, 0, 1),
        phy_mac: "00:00:00:dd:00:01",
        ovn0: Ipv4Addr::new(100, 64, 0, 2),
        ovn0_mac: "00:00:00:bb:00:01",
        pods: &[
            PodPlan {
                place: Place::Pod1,
                address: Ipv4Addr::new(10, 16, 0, 11),
                mac: "00:00:00:cc:00:01",
                port: "p1h",
            },
            PodPlan {
                place: Place::Pod2,
                address: Ipv4Addr::new(10, 16, 0, 12),
                mac: "00:00:00:cc:00:02",
                port: "p2h",
            },
        ],
    },
    NodePlan {
        place: Place::Node2,
        address: Ipv4Addr::new(172, 18, 0, 3),
        tunnel: Ipv4Addr::new(192, 168, 0, 2),
        phy_mac: "00:00:00:dd:00:02",
        ovn0: Ipv4Addr::new(100, 64, 0, 3),
        ovn0_mac: "00:00:00:bb:00:02",
        pods: &[PodPlan {
            place: Place::Pod3,
            address: Ipv4Addr::new(10, 16, 0, 21),
            mac: "00:00:00:cc:00:03",
            port: "p3h",
        }],
    },
];

/// The host outside, in the underlay.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 9);
/// The address of the Service, whose only endpoint is pod3.
pub(super) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The ports of one kind of server.
#[derive(Debug)]
pub(super) struct Ports {
    /// Where it is visited directly, and on the Service's address.
    pub(super) port: u16,
    /// Where the Service and the NodePort lead to. It is another one: else two connections from the same local port, one of
    /// them through the Service, would be the same behind the translation, and the second one would be refused.
    pub(super) target: u16,
    /// On the nodes.
    pub(super) node_port: u16,
}

/// Of servers that take connections.
pub(super) const CONNECT: Ports = Ports { port: 80, target: 8080, node_port: 30080 };
/// Of servers that swallow streams.
pub(super) const STREAM: Ports = Ports { port: 5201, target: 5202, node_port: 30201 };
