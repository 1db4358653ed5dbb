//! The logical network of the cluster, and the daemons that make its flows.

use anyhow::Result;

use super::node::logical_ovn0;
use super::plan::{CONNECT, NODES, NodePlan, Ports, SERVICE, STREAM};
use crate::lab::LabNamespace;
use crate::lab::ovs::Daemon::{North, Northd, South};
use crate::lab::ovs::daemons::Daemons;
use crate::lab::ovs::databases::{Commands, NETWORK};

/// Starts the databases and `ovn-northd`, and returns when the flows of the network are there.
pub(super) fn build(daemons: &mut Daemons, namespace: &LabNamespace) -> Result<()> {
    for server in [North, South] {
        daemons.create(server, namespace)?;
        daemons.start(server, namespace)?;
    }
    daemons.start(Northd, namespace)?;
    let mut network = Commands::default();
    network.add_lines(NETWORK);
    network.add_lines(ROUTES);
    for node in &NODES {
        add_node(&mut network, node);
    }
    add_service(&mut network);
    let made = daemons.nbctl(namespace, &network);
    daemons.all_run()?;
    made
}

/// The next hop is the router itself, as in kube-ovn: every packet that is not for a pod or for `ovn0` has a policy, which
/// says where it goes.
const ROUTES: &str = "lr-route-add ovn-cluster 0.0.0.0/0 100.64.0.1\n";

/// Priorities of kube-ovn's policies.
const INSIDE: &str = "31000";
const TO_NODE: &str = "30000";
const FROM_POD: &str = "29000";

fn add_node(network: &mut Commands, node: &NodePlan) {
    let (name, ovn0) = (node.place.name(), node.ovn0.to_string());
    network.add_port("join", &logical_ovn0(node), node.ovn0_mac, node.ovn0);
    for pod in node.pods {
        network.add_port("ovn-default", pod.place.name(), pod.mac, pod.address);
    }
    network.add(["pg-add", name].into_iter().chain(node.pods.iter().map(|pod| pod.place.name())));
    // A node is reached through its own ovn0, and the world outside through that of the pod's node.
    let mut reroute = |priority, matched: &str| {
        network.add(["lr-policy-add", "ovn-cluster", priority, matched, "reroute", &ovn0]);
    };
    reroute(TO_NODE, &format!("ip4.dst == {}", node.address));
    reroute(FROM_POD, &format!("ip4.src == ${name}_ip4"));
}

fn add_service(network: &mut Commands) {
    for subnet in ["10.16.0.0/16", "100.64.0.0/16"] {
        network.add(["lr-policy-add", "ovn-cluster", INSIDE, &format!("ip4.dst == {subnet}"), "allow"]);
    }
    let pod = NODES[1].pods[0].address;
    for Ports { port, target, .. } in [CONNECT, STREAM] {
        network.add(["lb-add", "service", &format!("{SERVICE}:{port}"), &format!("{pod}:{target}"), "tcp"]);
    }
    network.add(["ls-lb-add", "ovn-default", "service"]);
}
