//! What the manifests must say.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerPort, PodSpec, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::manifests::{Manifests, container};
use crate::skipped;

/// As xtask/src/image.rs has it.
pub const IMAGE: &str = concat!("localhost/netbreak:", env!("CARGO_PKG_VERSION"));

#[test]
fn every_pod_has_the_image_limits_and_no_token() {
    if skipped(&["kubectl"]) {
        return;
    }
    for pod in Manifests::render().specs() {
        let container = container(pod);
        assert_eq!(container.image.as_deref(), Some(IMAGE));
        assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"));
        assert_eq!(container.command, None, "the image's entry point is netbreak");
        assert_eq!(pod.automount_service_account_token, Some(false));
        let resources = container.resources.as_ref().unwrap();
        assert!(resources.limits.as_ref().unwrap().contains_key("memory"), "{resources:?}");
        let requests = resources.requests.as_ref().unwrap();
        assert!(requests.contains_key("cpu") && requests.contains_key("memory"), "{resources:?}");
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.read_only_root_filesystem, Some(true));
    }
}

#[test]
fn the_node_pods_are_privileged_everywhere_and_change_nothing_of_the_host() {
    if skipped(&["kubectl"]) {
        return;
    }
    let manifests = Manifests::render();
    let labels = manifests.namespace.metadata.labels.unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
    let selector = &manifests.daemon_set.spec.as_ref().unwrap().selector;
    let template = &manifests.daemon_set.spec.as_ref().unwrap().template;
    let of_pods = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
    assert!(
        selector.match_labels.as_ref().unwrap().iter().all(|(key, value)| of_pods.get(key) == Some(value))
    );

    let pod = template.spec.as_ref().unwrap();
    assert_eq!((pod.host_network, pod.host_pid), (Some(true), Some(true)));
    assert_eq!(pod.dns_policy.as_deref(), Some("ClusterFirstWithHostNet"));
    let [toleration] = &pod.tolerations.as_ref().unwrap()[..] else { panic!("{:?}", pod.tolerations) };
    assert_eq!((toleration.operator.as_deref(), &toleration.key), (Some("Exists"), &None));
    let container = container(pod);
    assert_eq!(container.args.as_deref(), Some(&["pause".to_owned()][..]));
    assert_eq!(container.security_context.as_ref().unwrap().privileged, Some(true));
    let mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
    assert!(!mounts.is_empty() && mounts.iter().all(|mount| mount.read_only == Some(true)), "{mounts:?}");
    let volumes: BTreeSet<_> = pod.volumes.iter().flatten().map(|volume| &volume.name).collect();
    assert_eq!(mounts.into_iter().map(|mount| &mount.name).collect::<BTreeSet<_>>(), volumes);
}

#[test]
fn the_service_leads_to_what_the_server_serves() {
    if skipped(&["kubectl"]) {
        return;
    }
    let manifests = Manifests::render();
    let service = manifests.service.spec.as_ref().unwrap();
    assert_eq!(service.type_.as_deref(), Some("NodePort"));
    let labels = manifests.pods["netbreak-server"].metadata.labels.as_ref().unwrap();
    let selector = service.selector.as_ref().unwrap();
    assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?} {labels:?}");
    let others = manifests.pods["netbreak-client"].metadata.labels.as_ref().unwrap();
    assert!(
        !selector.iter().all(|(key, value)| others.get(key) == Some(value)),
        "it leads to the client too"
    );

    let container = container(manifests.pod("netbreak-server"));
    let open = container.ports.as_ref().unwrap();
    let mut reached = BTreeSet::new();
    for port in service.ports.as_ref().unwrap() {
        let name = port.name.as_deref().unwrap();
        assert_eq!(port.target_port, Some(IntOrString::String(name.to_owned())));
        let target = open.iter().find(|open| open.name.as_deref() == Some(name)).unwrap();
        assert_eq!(wire(port), (target.container_port, target_protocol(target)));
        assert!(serves(container.args.as_ref().unwrap(), name, port.port), "--{name} {}", port.port);
        reached.insert(name);
    }
    assert_eq!(reached, BTreeSet::from(["http", "stream", "tcp", "udp"]));
}

fn wire(port: &ServicePort) -> (i32, &str) {
    (port.port, port.protocol.as_deref().unwrap_or("TCP"))
}

fn target_protocol(port: &ContainerPort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn serves(args: &[String], name: &str, port: i32) -> bool {
    args.windows(2).any(|pair| pair[0] == format!("--{name}") && pair[1] == port.to_string())
}

#[test]
fn the_pair_has_the_least_that_it_needs() {
    if skipped(&["kubectl"]) {
        return;
    }
    let manifests = Manifests::render();
    let (server, client) = (manifests.pod("netbreak-server"), manifests.pod("netbreak-client"));
    for pod in [server, client] {
        assert_eq!((pod.host_network, pod.host_pid, &pod.volumes), (None, None, &None));
        let security = container(pod).security_context.as_ref().unwrap();
        assert_eq!((security.privileged, security.allow_privilege_escalation), (None, Some(false)));
        assert_eq!(security.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
    }
    let added = |pod: &PodSpec| {
        let capabilities = container(pod).security_context.as_ref().unwrap().capabilities.as_ref();
        capabilities.unwrap().add.clone().unwrap_or_default()
    };
    assert_eq!(added(server), [""; 0]);
    assert_eq!(added(client), ["BPF", "PERFMON", "NET_RAW"]);
    let user = server.security_context.as_ref().unwrap();
    assert!(user.run_as_non_root == Some(true) && user.run_as_user > Some(0), "{user:?}");
}
