//! Nodes, pods and Services, and which of them lie at the ends of the paths to be measured.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Where kube-ovn notes the address of a node's ovn0 (`pkg/util/const.go`, `IPAddressAnnotation`).
const OVN0: &str = "ovn.kubernetes.io/ip_address";

/// What kubectl listed, in its order.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    services: Vec<Service>,
}

#[derive(Debug, Clone)]
struct Node {
    name: String,
    address: Option<IpAddr>,
    ovn0: Option<IpAddr>,
}

#[derive(Debug, Clone)]
struct Pod {
    /// `NAMESPACE/NAME`.
    name: String,
    node: String,
    address: IpAddr,
    port: Option<u16>,
}

#[derive(Debug, Clone)]
struct Service {
    name: String,
    address: IpAddr,
    port: u16,
    node_port: Option<u16>,
}

/// What the user chose.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) client: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) outside: Option<IpAddr>,
}

/// The ends of the paths; `None` is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Paths {
    /// `NAMESPACE/NAME` of the pod that most probes leave from.
    pub(super) client: Option<String>,
    /// Where it runs.
    pub(super) node: Option<String>,
    pub(super) pod_here: Option<IpAddr>,
    pub(super) pod_there: Option<IpAddr>,
    /// A TCP port that the pod on the other node declares.
    pub(super) pod_port: Option<u16>,
    pub(super) ovn0_here: Option<IpAddr>,
    pub(super) ovn0_there: Option<IpAddr>,
    pub(super) node_here: Option<IpAddr>,
    pub(super) node_there: Option<IpAddr>,
    pub(super) service: Option<(IpAddr, u16)>,
    pub(super) node_port: Option<u16>,
    pub(super) outside: Option<IpAddr>,
}

impl Cluster {
    /// From `kubectl get nodes,pods,services --all-namespaces --output json`.
    ///
    /// # Errors
    /// No such JSON.
    pub(super) fn parse(json: &str) -> Result<Self> {
        let list: List = serde_json::from_str(json).context("cannot read what kubectl printed")?;
        let mut cluster = Cluster::default();
        for item in list.items {
            match item.kind.as_str() {
                "Node" => cluster.nodes.push(node(item)),
                "Pod" => cluster.pods.extend(pod(item)),
                "Service" => cluster.services.extend(service(item)),
                _ => {}
            }
        }
        Ok(cluster)
    }

    /// Who may visit whom.
    ///
    /// # Errors
    /// A pod or Service that was asked for and is not there.
    pub(super) fn paths(&self, wanted: &Wanted) -> Result<Paths> {
        let client = match wanted.client {
            Some(name) => Some(self.pods.iter().find(|pod| pod.name == name).with_context(|| {
                format!("--client {name}: no such pod runs with an address of its own; `kubectl get pods -A -o wide`")
            })?),
            // The best client is one that has others both here and there.
            None => self.pods.iter().max_by_key(|pod| {
                let ends = (self.pod(|other| is_here(pod, other)), self.pod(|other| is_there(pod, other)));
                // The last one of equals wins.
                (u8::from(ends.0.is_some()) + u8::from(ends.1.is_some()), std::cmp::Reverse(&pod.name))
            }),
        };
        let service = match wanted.service {
            Some(name) => Some(self.services.iter().find(|service| service.name == name).with_context(|| {
                format!("--service {name}: no such Service has an address and a TCP port; `kubectl get services -A`")
            })?),
            None => self.services.iter().find(|service| service.node_port.is_some()).or(self.services.first()),
        };
        let here = client.and_then(|client| self.nodes.iter().find(|node| node.name == client.node));
        let pod_there = client.and_then(|client| self.pod(|other| is_there(client, other)));
        // The other node is that of the other pod, so that rows can be compared.
        let is_other = |node: &&Node| match (pod_there, here) {
            (Some(pod), _) => node.name == pod.node,
            (None, here) => here.is_some_and(|here| here.name != node.name),
        };
        let there = self.nodes.iter().find(is_other);
        Ok(Paths {
            client: client.map(|client| client.name.clone()),
            node: client.map(|client| client.node.clone()),
            pod_here: client.and_then(|client| Some(self.pod(|other| is_here(client, other))?.address)),
            pod_there: pod_there.map(|pod| pod.address),
            pod_port: pod_there.and_then(|pod| pod.port),
            ovn0_here: here.and_then(|node| node.ovn0),
            ovn0_there: there.and_then(|node| node.ovn0),
            node_here: here.and_then(|node| node.address),
            node_there: there.and_then(|node| node.address),
            service: service.map(|service| (service.address, service.port)),
            node_port: service.and_then(|service| service.node_port),
            outside: wanted.outside,
        })
    }

    /// The first pod that fits, best one that declares a port.
    fn pod(&self, fits: impl Fn(&Pod) -> bool) -> Option<&Pod> {
        let fitting = || self.pods.iter().filter(|pod| fits(pod));
        fitting().find(|pod| pod.port.is_some()).or_else(|| fitting().next())
    }
}

fn is_here(client: &Pod, other: &Pod) -> bool {
    other.node == client.node && other.name != client.name
}

fn is_there(client: &Pod, other: &Pod) -> bool {
    other.node != client.node
}

fn node(item: Item) -> Node {
    // A node of two families has both, with a comma.
    let ovn0 = item.metadata.annotations.get(OVN0).and_then(|all| all.split(',').next()?.parse().ok());
    let internal = item.status.addresses.iter().find(|address| address.kind == "InternalIP");
    Node { name: item.metadata.name, address: internal.and_then(|is| is.address.parse().ok()), ovn0 }
}

/// One that runs and has an address of its own.
fn pod(item: Item) -> Option<Pod> {
    if item.spec.host_network || item.status.phase.as_deref() != Some("Running") {
        return None;
    }
    let mut ports = item.spec.containers.iter().flat_map(|container| &container.ports);
    Some(Pod {
        name: item.metadata.full_name(),
        node: item.spec.node_name?,
        address: item.status.pod_ip?.parse().ok()?,
        port: ports.find(|port| port.is_tcp()).and_then(|port| port.container_port),
    })
}

/// One that has an address and a TCP port.
fn service(item: Item) -> Option<Service> {
    let port = item.spec.ports.iter().find(|port| port.is_tcp())?;
    Some(Service {
        name: item.metadata.full_name(),
        // `None` for a headless one.
        address: item.spec.cluster_ip.as_deref()?.parse().ok()?,
        port: port.port?,
        node_port: port.node_port,
    })
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

/// A node, a pod or a Service: what is used of them.
#[derive(Deserialize)]
struct Item {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Metadata {
    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace.as_deref().unwrap_or("default"), self.name)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    host_network: bool,
    containers: Vec<Container>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    ports: Vec<Port>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    ports: Vec<Port>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    protocol: Option<String>,
    container_port: Option<u16>,
    port: Option<u16>,
    node_port: Option<u16>,
}

impl Port {
    /// TCP is what is meant where nothing stands.
    fn is_tcp(&self) -> bool {
        self.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, address: &str, ovn0: &str) -> Value {
        let addresses =
            json!([{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]);
        let metadata = json!({"name": name, "annotations": {OVN0: ovn0}});
        json!({"kind": "Node", "metadata": metadata, "status": {"addresses": addresses}})
    }

    fn pod(name: &str, node: &str, address: &str, port: Option<u16>) -> Value {
        let ports: Vec<Value> = port.map(|port| json!({"containerPort": port})).into_iter().collect();
        json!({
            "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node, "containers": [{"ports": ports}]},
            "status": {"phase": "Running", "podIP": address},
        })
    }

    fn service(name: &str, address: &str, ports: Value) -> Value {
        let spec = json!({"clusterIP": address, "ports": ports});
        json!({"kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    }

    fn cluster(items: Vec<Value>) -> Cluster {
        Cluster::parse(&json!({"kind": "List", "items": items}).to_string()).unwrap()
    }

    fn usual() -> Cluster {
        let mut hosts = pod("hosts", "node-1", "172.18.0.2", None);
        hosts["spec"]["hostNetwork"] = json!(true);
        let mut pending = pod("pending", "node-1", "10.16.0.99", None);
        pending["status"]["phase"] = json!("Pending");
        cluster(vec![
            node("node-1", "172.18.0.2", "100.64.0.2,fd00:100:64::2"),
            node("node-2", "172.18.0.3", "100.64.0.3"),
            hosts,
            pending,
            pod("alone", "node-3", "10.16.0.70", None),
            pod("client", "node-1", "10.16.0.5", None),
            pod("here", "node-1", "10.16.0.6", None),
            pod("there", "node-2", "10.16.0.8", Some(8080)),
            service("headless", "None", json!([{"port": 80}])),
            service(
                "dns",
                "10.96.0.10",
                json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]),
            ),
            service("web", "10.96.0.20", json!([{"port": 80, "nodePort": 30080}])),
        ])
    }

    #[test]
    fn the_ends_of_all_paths() {
        let outside: IpAddr = [192, 0, 2, 1].into();
        let paths = usual().paths(&Wanted { outside: Some(outside), ..Wanted::default() }).unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        let expected = Paths {
            client: Some("default/client".into()),
            node: Some("node-1".into()),
            pod_here: at("10.16.0.6"),
            pod_there: at("10.16.0.8"),
            pod_port: Some(8080),
            ovn0_here: at("100.64.0.2"),
            ovn0_there: at("100.64.0.3"),
            node_here: at("172.18.0.2"),
            node_there: at("172.18.0.3"),
            service: Some(([10, 96, 0, 20].into(), 80)),
            node_port: Some(30080),
            outside: Some(outside),
        };
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_the_user_chose() {
        let wanted = Wanted { client: Some("default/there"), service: Some("default/dns"), outside: None };
        let paths = usual().paths(&wanted).unwrap();
        assert_eq!((paths.node.as_deref(), paths.pod_here), (Some("node-2"), None));
        assert_eq!((paths.service, paths.node_port), (Some(([10, 96, 0, 10].into(), 53)), None));
        for (client, service, words) in [
            (Some("default/hosts"), None, "--client default/hosts"),
            (None, Some("default/headless"), "--service"),
        ] {
            let message = usual().paths(&Wanted { client, service, outside: None }).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn an_empty_cluster_has_no_paths() {
        assert_eq!(cluster(vec![]).paths(&Wanted::default()).unwrap(), Paths::default());
        assert!(Cluster::parse("{}").is_err());
    }
}
