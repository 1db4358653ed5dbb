//! Two nodes: one that probes and knows nothing of its packets, and one that watches them pass.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use netbreak_user::lab::{Fault, Role, find};
use netbreak_user::report::{Cause, Leg, Probe, Report, VerdictWord, json};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::{PATIENCE, STREAM, Served, TCP, UDP, V4, Witness, died, skipped, wait_until};

/// `netbreak watch --run` in one namespace of a lab, as if that were a node.
struct Node {
    child: Child,
}

impl Node {
    /// Returns when it follows the run.
    fn start(served: &Served, role: Role, run_id: &str, json: &str) -> Node {
        let netns = format!("pid:{}", served.lab.namespace(role).pid());
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbreak"));
        command.args(["watch", "--run", run_id, "--json", json, "--netns", &netns]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let node = Node { child };
        assert!(lines.any(|line| line.unwrap().contains("following the packets of run")));
        // Whatever else it says shall find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        node
    }

    fn interrupt(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the file the shape that is documented?
fn assert_shape(file: &str) {
    let schema = serde_json::from_str(include_str!("../../../docs/sightings.schema.json")).unwrap();
    let sightings = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&sightings).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{file}: {errors:#?}");
}

/// What `netbreak report` makes of these files.
fn merged(directory: &TempDir, files: &[&str]) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netbreak"));
    let done = command.arg("report").args(files).args(["--json", "-"]).current_dir(directory.path()).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    json::parse(std::str::from_utf8(&done.stdout).unwrap()).unwrap()
}

/// Probes by echoes and in another way, without a look into the kernel, while `nodes` watch and `fault` is there: the
/// report that knows no place, and what became of it.
fn measure(
    served: &mut Served,
    (run_id, beside): (&str, &[&str]),
    nodes: &[Role],
    fault: &Fault,
) -> (Report, Report) {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let watching: Vec<Node> =
        nodes.iter().map(|role| Node::start(served, *role, run_id, &path(role.name()))).collect();
    let before = served.counter(Role::Server, "Icmp.InEchos");
    let arguments = ["--icmp", "--run-id", run_id, "--no-kernel", "--duration", "4s"];
    let run = served.start(V4, &[&arguments, beside].concat());
    // Some are answered, so that the clocks can be compared.
    let came = || served.counter(Role::Server, "Icmp.InEchos") >= before + 50;
    wait_until(PATIENCE, "50 echoes at the server", came);
    served.lab.apply(fault).unwrap();
    let report = run.finish().report;
    watching.into_iter().for_each(Node::interrupt);
    nodes.iter().for_each(|role| assert_shape(&path(role.name())));
    std::fs::write(path("report"), json::render(&report).unwrap()).unwrap();
    let files: Vec<&str> = ["report"].into_iter().chain(nodes.iter().map(|role| role.name())).collect();
    let merged = merged(&directory, &files);
    (report, merged)
}

#[test]
fn what_this_node_does_not_know_the_others_saw() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    // The fault, who watches, and where they see it.
    for (name, run_id, nodes, role, stage) in [
        ("nft-forward-random", "5eed0001", &[Role::Router][..], Role::Router, "netfilter forward"),
        ("nft-input", "5eed0002", &[Role::Router, Role::Server], Role::Server, "netfilter input"),
    ] {
        let mut served = Served::new();
        let witness = Witness::new();
        let fault = find(name).unwrap();
        let (alone, merged) = measure(&mut served, (run_id, &["--udp", &UDP.to_string()]), nodes, fault);
        let lost: u64 = alone.probes().map(|probe| probe.lost).sum();
        assert_eq!(alone.probes().map(|probe| probe.unexplained).sum::<u64>(), lost, "{name}");
        assert!(lost > 50 && alone.verdict == VerdictWord::Broken, "{name}: {lost}");

        let truth = served.lab.read_truth(fault).unwrap().unwrap();
        let netns = Some(served.inode(role));
        let probes = &merged.targets[0].probes;
        let dead = died(probes, |death| {
            let place = (death.cause, death.leg, death.netns, death.stage.as_deref());
            place == (Cause::Netfilter, Leg::Request, netns, Some(stage)) && death.node.is_some()
        });
        // Others of the lab's packets do not pass these rules.
        let unseen = witness.drops("NETFILTER_DROP");
        assert!(dead <= truth && truth - dead <= unseen, "{name}: {dead} of {truth}, {unseen} unseen");
        assert_eq!(truth, lost, "{name}: all that was lost the rule dropped");
        let [.., node] = &merged.run.nodes[..] else { panic!("{name}: no node") };
        assert_eq!((node.died, node.unplaced), (dead, lost), "{name}: {node:#?}");
        // Both have one clock.
        let (offset_s, uncertainty_s) = node.offset_s.zip(node.uncertainty_s).unwrap();
        assert!(node.matched >= 50 && uncertainty_s < 0.01, "{name}: {node:#?}");
        assert!(offset_s.abs() < uncertainty_s + 0.01, "{name}: {node:#?}");
    }
}

/// Their segments do not say whose they are: addresses, ports and times do.
#[test]
fn connections_that_another_node_dropped() {
    let way = ["--tcp", &TCP.to_string()];
    let Some(Told { probe, dead, unseen }) = told_by_router("5eed0003", &way, "nft-forward-random") else {
        return;
    };
    assert!(probe.timed_out > 20, "{probe:#?}");
    assert!(dead + unseen >= probe.timed_out, "{dead} of {}, {unseen} unseen: {probe:#?}", probe.timed_out);
}

/// What waits for segments that are sent in vain is told by where these end.
#[test]
fn a_stream_that_another_node_dropped() {
    let way = ["--stream", &STREAM.to_string()];
    let Some(Told { probe, dead, unseen }) = told_by_router("5eed0004", &way, "nft-forward") else { return };
    assert!(probe.timed_out > 1_000, "{probe:#?}");
    // Where the first segments were not seen to be dropped, nothing says what the first writes waited for.
    assert!(dead == probe.timed_out || unseen > 0, "{dead} of {}: {probe:#?}", probe.timed_out);
}

/// What the router told of a probe that nothing was known of.
struct Told {
    probe: Probe,
    /// How many of its attempts the router's rule dropped.
    dead: u64,
    /// Packets that the rule dropped and no program could see.
    unseen: u64,
}

/// Probes in this way beside the echoes that the clocks are compared by, while the router has `fault`; `None` where that
/// cannot be.
fn told_by_router(run_id: &str, way: &[&str], fault: &str) -> Option<Told> {
    if skipped(&["ip", "nft"]) {
        return None;
    }
    let mut served = Served::new();
    let witness = Witness::new();
    let (alone, merged) = measure(&mut served, (run_id, way), &[Role::Router], find(fault).unwrap());
    let [_, before] = &alone.targets[0].probes[..] else { panic!("{alone:#?}") };
    assert_eq!(before.unexplained, before.timed_out, "{before:#?}");
    let [_, probe] = &merged.targets[0].probes[..] else { panic!("{merged:#?}") };
    let netns = Some(served.inode(Role::Router));
    let dead = died(std::slice::from_ref(probe), |death| {
        let place = (death.cause, death.leg, death.netns, death.device.as_deref());
        place == (Cause::Netfilter, Leg::Request, netns, Some("r0")) && death.node.is_some()
    });
    Some(Told { probe: probe.clone(), dead, unseen: witness.drops("NETFILTER_DROP") })
}
