//! What is visited: the eleven rows of kube-ovn's two tables of what a reload costs.

use std::net::Ipv4Addr;

use super::Place;
use super::plan::{CONNECT, NODES, OUTSIDE, SERVICE, STREAM};

/// A row of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What is visited, in the tables' words, such as `pod, other node`. Unique together with [`Row::visit`]'s variant.
    pub title: &'static str,
    /// Who visits it.
    pub source: Place,
    /// The address that is visited.
    pub address: Ipv4Addr,
    /// How.
    pub visit: Visit,
    /// Who answers, under the address that it has itself.
    pub server: (Place, Ipv4Addr),
}

/// How something is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// By echoes.
    Icmp,
    /// By TCP, on these ports of [`Row::address`].
    Tcp {
        /// Where connections are taken.
        connect: u16,
        /// Where a stream is swallowed.
        stream: u16,
    },
}

/// Who must serve TCP in the cluster, on which address of its own.
pub const SERVERS: [(Place, Ipv4Addr); 2] = [POD3, HOST];
/// Where they take connections.
pub const SERVER_CONNECT: [u16; 2] = [CONNECT.port, CONNECT.target];
/// Where they swallow streams.
pub const SERVER_STREAM: [u16; 2] = [STREAM.port, STREAM.target];

const POD3: (Place, Ipv4Addr) = (Place::Pod3, NODES[1].pods[0].address);
const HOST: (Place, Ipv4Addr) = (Place::Outside, OUTSIDE);

const fn icmp(title: &'static str, server: (Place, Ipv4Addr)) -> Row {
    Row { title, source: Place::Pod1, address: server.1, visit: Visit::Icmp, server }
}

const fn tcp(title: &'static str, address: Ipv4Addr, server: (Place, Ipv4Addr)) -> Row {
    let visit = Visit::Tcp { connect: CONNECT.port, stream: STREAM.port };
    Row { title, source: Place::Pod1, address, visit, server }
}

/// The rows, in the tables' order.
pub const ROWS: [Row; 11] = [
    icmp("pod, same node", (Place::Pod2, NODES[0].pods[1].address)),
    icmp("ovn0 address, same node", (Place::Node1, NODES[0].ovn0)),
    icmp("address of the node the pod runs on", (Place::Node1, NODES[0].address)),
    icmp("pod, other node", POD3),
    icmp("ovn0 address, other node", (Place::Node2, NODES[1].ovn0)),
    icmp("address of another node", (Place::Node2, NODES[1].address)),
    icmp("address outside the cluster", HOST),
    tcp("pod, other node", POD3.1, POD3),
    tcp("Service address", SERVICE, POD3),
    tcp("address outside the cluster", HOST.1, HOST),
    Row {
        title: "NodePort, visited from outside",
        source: Place::Outside,
        address: NODES[0].address,
        visit: Visit::Tcp { connect: CONNECT.node_port, stream: STREAM.node_port },
        server: POD3,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_apart_and_their_servers_serve() {
        let mut names: Vec<(&str, bool)> =
            ROWS.iter().map(|row| (row.title, row.visit == Visit::Icmp)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
        let served = |row: &Row| row.visit == Visit::Icmp || SERVERS.contains(&row.server);
        assert!(ROWS.iter().all(served));
    }
}
