//! What the nodes have without Open vSwitch: devices, pods, the network between them, and what kube-proxy would do.

use anyhow::Result;

use super::plan::{CONNECT, NODES, NodePlan, OUTSIDE, Ports, STREAM};
use super::{Cluster, Place};
use crate::lab::ovs::{Datapath, pod};

/// A node forwards. Packets for its pods reach its own stack as well, on the ports of the switch: which shall not answer
/// for `ovn0` instead of the switch.
const NODE: [(&str, &str); 4] = [
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/arp_ignore", "1"),
];

/// Connects all namespaces, as far as this is not Open vSwitch's business.
pub(super) fn build(cluster: &Cluster) -> Result<()> {
    for place in Place::ALL {
        pod::settle(cluster.namespace(place))?;
    }
    ip(cluster, Place::Underlay, "link add br0 type bridge\nlink set br0 up\n")?;
    for node in &NODES {
        plug(cluster, node.place, node.address)?;
    }
    plug(cluster, Place::Outside, OUTSIDE)?;
    tunnel_link(cluster)?;
    NODES.iter().try_for_each(|node| furnish(cluster, node, cluster.setup.datapath))
}

/// Connects the place's `eth0` to the bridge.
fn plug(cluster: &Cluster, place: Place, address: std::net::Ipv4Addr) -> Result<()> {
    let (port, pid) = (place.name(), cluster.namespace(place).pid());
    let pair =
        format!("link add {port} type veth peer name eth0 netns {pid}\nlink set {port} master br0 up\n");
    ip(cluster, Place::Underlay, &pair)?;
    ip(cluster, place, &format!("address add {address}/16 dev eth0\nlink set eth0 up\n"))
}

/// Tunnels have a link of their own, as kube-ovn's option `--iface` gives them: over the userspace datapath `ovs-vswitchd` sends
/// and receives them itself, so what is not tunnelled does not depend on it.
fn tunnel_link(cluster: &Cluster) -> Result<()> {
    let pair = format!(
        "link add eth1 type veth peer name eth1 netns {}\nlink set eth1 up\n",
        cluster.namespace(Place::Node2).pid()
    );
    ip(cluster, Place::Node1, &pair)?;
    ip(cluster, Place::Node2, "link set eth1 up\n")
}

/// A node's pods and rules.
fn furnish(cluster: &Cluster, node: &NodePlan, datapath: Datapath) -> Result<()> {
    let namespace = cluster.namespace(node.place);
    namespace.sysctls(&NODE)?;
    for pod in node.pods {
        pod::connect(namespace, pod.port, cluster.namespace(pod.place), pod.address, pod.mac, datapath)?;
    }
    namespace.exec(&["nft", "-f", "-"], &rules(node)).map(drop)
}

/// NodePorts as kube-proxy makes them: the pod's address for the node's, and the node's for the client's. What pods send to
/// the world outside gets the node's address, too.
fn rules(node: &NodePlan) -> String {
    let pod = NODES[1].pods[0].address;
    let dnat = |ports: Ports| {
        format!("ip daddr {} tcp dport {} dnat to {pod}:{}\n", node.address, ports.node_port, ports.target)
    };
    let (connect, stream) = (dnat(CONNECT), dnat(STREAM));
    format!(
        "table ip netbreak {{\n\
         chain prerouting {{\ntype nat hook prerouting priority dstnat;\n{connect}{stream}}}\n\
         chain postrouting {{\ntype nat hook postrouting priority srcnat;\n\
         oifname \"ovn0\" ct status dnat masquerade\n\
         oifname \"eth0\" ip saddr 10.16.0.0/16 masquerade\n}}\n}}\n"
    )
}

fn ip(cluster: &Cluster, place: Place, commands: &str) -> Result<()> {
    cluster.namespace(place).exec(&["ip", "-batch", "-"], commands).map(drop)
}
