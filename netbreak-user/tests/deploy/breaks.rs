//! The image's containers in the lab: client and server pods in its namespaces, the node's pod on the host.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use netbreak_user::kernel::UPCALL;
use netbreak_user::lab::{Lab, Role, SERVER_V4, find};
use netbreak_user::report::{Cause, Leg, Report, SensorState, VerdictWord};

use crate::image;
use crate::manifests::Manifests;
use crate::runc::Container;
use crate::wait::wait_until;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server's pod in the lab, as its manifest starts it. Returns when its last port is open.
fn serve(lab: &Lab, manifests: &Manifests, archive: &Path) -> (Container, Child) {
    let server = lab.namespace(Role::Server);
    let address = SERVER_V4.to_string();
    let pod = manifests.pod("netbreak-server");
    let mut container = Container::new(pod, archive, Some(&server.path()), &[("POD_IP", &address)]);
    let mut child = container.command(&[]).stdout(Stdio::null()).spawn().unwrap();
    wait_until(PATIENCE, "the server's pod serves", || {
        assert!(child.try_wait().unwrap().is_none(), "the server's pod has ended");
        let open = |port| TcpStream::connect(SocketAddr::from((SERVER_V4, port))).is_ok();
        server.run(|| [80, 7000, 5201].into_iter().all(open)).unwrap()
    });
    (container, child)
}

/// Runs it while the lab's router drops requests, from the first answers until some attempts have died. Says what came
/// of it, and how many packets the router dropped.
fn break_it(lab: &mut Lab, container: &mut Container, args: &[&str]) -> (Output, u64) {
    let fault = find("nft-forward").unwrap();
    let mut child = container.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let echoes = |lab: &Lab| -> u64 {
        let read = || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let snmp = lab.namespace(Role::Server).run(read).unwrap();
        let mut lines = snmp.lines().filter(|line| line.starts_with("Icmp:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let column = names.split(' ').position(|name| name == "InEchos").unwrap();
        values.split(' ').nth(column).unwrap().parse().unwrap()
    };
    // It ends early only if it cannot start: its report, which is none, then says why.
    wait_until(PATIENCE, "echoes arrive", || echoes(lab) > 20 || child.try_wait().unwrap().is_some());
    lab.apply(fault).unwrap();
    wait_until(PATIENCE, "packets die", || lab.read_truth(fault).unwrap().unwrap() > 40);
    lab.undo(fault).unwrap();
    let undone = echoes(lab);
    wait_until(PATIENCE, "echoes arrive again", || echoes(lab) > undone + 20);
    container.terminate();
    let output = child.wait_with_output().unwrap();
    let died = lab.read_truth(fault).unwrap().unwrap();
    (output, died)
}

/// The report says what happened: every packet that the router's counter saw die, and where.
fn locates(output: &Output, died: u64, router: u32) -> Report {
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!((output.status.code(), report.verdict), (Some(1), VerdictWord::Broken), "{said}");
    let mut dead = 0;
    for probe in report.targets.iter().flat_map(|target| &target.probes) {
        assert_eq!(probe.unexplained, 0, "{probe:#?}");
        let [death] = &probe.deaths[..] else { panic!("not one place of death: {probe:#?}") };
        assert_eq!((death.cause, death.leg), (Cause::Netfilter, Leg::Request), "{death:#?}");
        assert_eq!((death.device.as_deref(), death.netns), (Some("r0"), Some(router)), "{death:#?}");
        dead += death.attempts;
    }
    assert_eq!(dead, died, "the deaths are as many as the router's rule counted");
    report
}

const PROBES: [&str; 9] =
    ["--icmp", "--udp", "4000", "--duration", "60s", "--interval", "10ms", "--json", "-"];

#[test]
fn the_node_pod_locates_a_break_between_pods() {
    let Some(archive) = image() else { return };
    let manifests = Manifests::render();
    let mut lab = Lab::new().unwrap();
    let _server = serve(&lab, &manifests, &archive);
    let client = format!("pid:{}", lab.namespace(Role::Client).pid());
    let address = SERVER_V4.to_string();
    let mut node = Container::new(manifests.node(), &archive, None, &[]);
    let line = [&["netbreak", "run", &address, "--netns", &client][..], &PROBES].concat();
    let (output, died) = break_it(&mut lab, &mut node, &line);
    let report = locates(&output, died, lab.namespace(Role::Router).inode());
    let pid = format!("pid {} (router)", lab.namespace(Role::Router).pid());
    let death = &report.targets[0].probes[0].deaths[0];
    assert_eq!(death.netns_name.as_deref(), Some(pid.as_str()), "hostPID shows whose namespace it is");
    assert!(death.stage.as_deref().is_some_and(|s| s.contains("forward")), "{death:#?}");
    // Degraded is what others on this machine may cause, such as a namespace that goes while it is read. And a machine
    // without Open vSwitch's datapath has nothing to see of it.
    let off = report.run.sensors.iter().filter(|s| s.state == SensorState::Off);
    let off: Vec<&str> = off.map(|s| s.name.as_str()).filter(|name| *name != UPCALL).collect();
    assert!(off.is_empty(), "{:#?}", report.run.sensors);
}

#[test]
fn the_client_pod_locates_a_break_with_three_capabilities() {
    let Some(archive) = image() else { return };
    let manifests = Manifests::render();
    let mut lab = Lab::new().unwrap();
    let _server = serve(&lab, &manifests, &archive);
    let address = SERVER_V4.to_string();
    let network = lab.namespace(Role::Client).path();
    let mut client = Container::new(manifests.pod("netbreak-client"), &archive, Some(&network), &[]);
    let line = [&["netbreak", "run", &address][..], &PROBES].concat();
    let (output, died) = break_it(&mut lab, &mut client, &line);
    let report = locates(&output, died, lab.namespace(Role::Router).inode());
    let kfree_skb = report.run.sensors.iter().find(|s| s.name == "kfree_skb").unwrap();
    assert_eq!(kfree_skb.state, SensorState::On, "{kfree_skb:?}");
    assert!(report.books.iter().all(|book| book.balanced != Some(false)), "{:#?}", report.books);
}

#[test]
fn the_image_is_test_server_too() {
    let Some(archive) = image() else { return };
    let manifests = Manifests::render();
    let lab = Lab::new().unwrap();
    let _server = serve(&lab, &manifests, &archive);
    let network = lab.namespace(Role::Client).path();
    let mut client = Container::new(manifests.pod("netbreak-client"), &archive, Some(&network), &[]);
    let address = format!("--remote-address={SERVER_V4}");
    for name in ["./test-server", "test-server"] {
        let line = [name, &address, "--output=json", "--duration-seconds=1"];
        let output = client.command(&line).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let numbers: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!((&numbers["TotalIcmpEcho"], &numbers["IcmpLost"]), (&100.into(), &0.into()), "{numbers}");
        assert_eq!(
            (&numbers["TotalTCPConnection"], &numbers["FailedTCPConnection"]),
            (&10.into(), &0.into()),
            "{numbers}"
        );
    }
}

#[test]
fn every_probe_reaches_the_server_pod_and_names_are_resolved() {
    let Some(archive) = image() else { return };
    let manifests = Manifests::render();
    let lab = Lab::new().unwrap();
    let _server = serve(&lab, &manifests, &archive);
    let network = lab.namespace(Role::Client).path();
    let mut client = Container::new(manifests.pod("netbreak-client"), &archive, Some(&network), &[]);
    assert_eq!(client.image.names, [crate::asserts::IMAGE]);
    let hosts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hosts.path(), format!("127.0.0.1 localhost\n{SERVER_V4} server.example\n")).unwrap();
    client.add_file(hosts.path(), "/etc/hosts");
    let kinds = ["--icmp", "--http", "--tcp", "7000", "--udp", "4000", "--stream", "5201"];
    let line =
        [&["netbreak", "run", "server.example"][..], &kinds, &["--duration", "1s", "--json", "-"]].concat();
    let output = client.command(&line).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(report.targets[0].address, SERVER_V4.to_string());
    let probes = &report.targets[0].probes;
    assert_eq!(probes.len(), 5);
    assert!(probes.iter().all(|p| p.answered > 0 && p.answered + p.late == p.sent), "{probes:#?}");
}

#[test]
fn a_waiting_pod_ends_when_it_is_told_to() {
    let Some(archive) = image() else { return };
    let manifests = Manifests::render();
    // A process 1 of its own namespace: signals that it does not handle never reach it.
    let lab = Lab::new().unwrap();
    let network = lab.namespace(Role::Client).path();
    let mut client = Container::new(manifests.pod("netbreak-client"), &archive, Some(&network), &[]);
    let mut child = client.command(&[]).spawn().unwrap();
    wait_until(PATIENCE, "the pod waits", || client.handles_sigterm());
    client.terminate();
    wait_until(PATIENCE, "the pod ends", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}
