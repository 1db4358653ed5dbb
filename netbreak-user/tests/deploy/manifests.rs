//! The objects of deploy/, as `kubectl kustomize` renders them, with their types.

use std::collections::BTreeMap;
use std::process::Command;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Container, Namespace, Pod, PodSpec, Service};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// All there is.
pub struct Manifests {
    pub namespace: Namespace,
    pub daemon_set: DaemonSet,
    pub service: Service,
    /// By name.
    pub pods: BTreeMap<String, Pod>,
}

impl Manifests {
    /// Renders and reads them. An object of an unexpected kind, or one too many, is a failure.
    pub fn render() -> Manifests {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
        let output = Command::new("kubectl").args(["kustomize", directory]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (mut namespaces, mut daemon_sets, mut services) = (vec![], vec![], vec![]);
        let mut pods = BTreeMap::new();
        for document in yaml_serde::Deserializer::from_slice(&output.stdout) {
            let object = Value::deserialize(document).unwrap();
            match object["kind"].as_str().unwrap() {
                "Namespace" => namespaces.push(typed(&object)),
                "DaemonSet" => daemon_sets.push(typed(&object)),
                "Service" => services.push(typed(&object)),
                "Pod" => {
                    let pod: Pod = typed(&object);
                    pods.insert(pod.metadata.name.clone().unwrap(), pod);
                }
                other => panic!("nothing is said about a {other}: {object}"),
            }
        }
        let manifests = Manifests {
            namespace: namespaces.pop().unwrap(),
            daemon_set: daemon_sets.pop().unwrap(),
            service: services.pop().unwrap(),
            pods,
        };
        assert!(namespaces.is_empty() && daemon_sets.is_empty() && services.is_empty());
        manifests
    }

    pub fn node(&self) -> &PodSpec {
        self.daemon_set.spec.as_ref().unwrap().template.spec.as_ref().unwrap()
    }

    pub fn pod(&self, name: &str) -> &PodSpec {
        self.pods[name].spec.as_ref().unwrap()
    }

    /// The pods of the nodes, the server and the client.
    pub fn specs(&self) -> [&PodSpec; 3] {
        [self.node(), self.pod("netbreak-server"), self.pod("netbreak-client")]
    }
}

/// Its only container.
pub fn container(pod: &PodSpec) -> &Container {
    assert_eq!(pod.containers.len(), 1);
    &pod.containers[0]
}

/// Read as a `T`, whose fields are all that Kubernetes knows: those that it does not know are gone when the `T` is
/// written again.
fn typed<T: DeserializeOwned + Serialize>(object: &Value) -> T {
    let read: T = serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{e}: {object:#}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *object, "unknown or misspelt fields");
    read
}

#[test]
fn a_misspelt_field_is_noticed() {
    let object = |field: &str| serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": [], field: true}});
    typed::<Pod>(&object("hostPID"));
    assert!(std::panic::catch_unwind(|| typed::<Pod>(&object("hostPid"))).is_err());
}
