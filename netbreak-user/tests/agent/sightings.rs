//! Two nodes: one that probes and knows nothing of its packets, and the agent of another one.

use netbreak_user::lab::{Role, find};
use netbreak_user::report::{Cause, Leg, json};
use tempfile::TempDir;

use crate::agent::Agent;
use crate::common::{PATIENCE, Served, UDP, V4, Witness, died, skipped, wait_until};

const RUN: &str = "5eeda901";

#[test]
fn a_run_is_followed_for_whoever_asks() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    let witness = Witness::new();
    let agent =
        Agent::start(&served, Role::Router, &["10.0.2.2", "--icmp", "--interval", "100ms", "--window", "5s"]);
    // The head says that it is followed, and one at a time is.
    let followed = agent.ask(&format!("/sightings/{RUN}?duration=10m"));
    assert_eq!((followed.status, followed.header("content-type")), (200, Some("application/json")));
    let second = agent.ask("/sightings/1");
    let wait_s: u64 = second.header("retry-after").unwrap().parse().unwrap();
    assert!(second.status == 429 && (1..=600).contains(&wait_s), "{} {wait_s}", second.status);
    assert!(second.body().contains("see Retry-After"));

    let before = served.counter(Role::Server, "Icmp.InEchos");
    let udp = UDP.to_string();
    let run =
        served.start(V4, &["--icmp", "--udp", &udp, "--run-id", RUN, "--no-kernel", "--duration", "4s"]);
    // Some are answered, so that the clocks can be compared.
    let came = || served.counter(Role::Server, "Icmp.InEchos") >= before + 50;
    wait_until(PATIENCE, "50 echoes at the server", came);
    served.lab.apply(find("nft-forward-random").unwrap()).unwrap();
    let report = run.finish().report;
    // That it is told to end ends the following too, with what was seen.
    agent.terminate();
    let seen = followed.body();
    let (status, said) = agent.wait();
    assert_eq!(status, Some(0), "{said:?}");

    let lost: u64 = report.probes().map(|probe| probe.lost).sum();
    assert!(lost > 50, "{lost}");
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("a.json"), json::render(&report).unwrap()).unwrap();
    std::fs::write(directory.path().join("b.json"), &seen).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_netbreak"));
    let done =
        command.args(["report", "a.json", "b.json", "--json", "-"]).current_dir(directory.path()).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}\n{seen}", String::from_utf8_lossy(&done.stderr));
    let merged = json::parse(std::str::from_utf8(&done.stdout).unwrap()).unwrap();
    let netns = Some(served.inode(Role::Router));
    let dead = died(&merged.targets[0].probes, |death| {
        let place = (death.cause, death.leg, death.netns, death.device.as_deref());
        place == (Cause::Netfilter, Leg::Request, netns, Some("r0")) && death.node.is_some()
    });
    let unseen = witness.drops("NETFILTER_DROP");
    assert!(dead <= lost && lost - dead <= unseen, "{dead} of {lost}, {unseen} unseen");
}

#[test]
fn it_ends_with_its_time_and_with_whoever_asked() {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let agent = Agent::start(&served, Role::Client, &["10.0.2.2", "--icmp"]);
    let seen = agent.get("/sightings/5eeda902?duration=200ms");
    assert!(seen.contains("\"run_id\": \"000000005eeda902\""), "{seen}");
    // Whoever goes away need not be waited for, nor need others wait.
    let gone = agent.ask("/sightings/5eeda903?duration=10m");
    assert_eq!(gone.status, 200);
    drop(gone);
    let is_free = || agent.ask("/sightings/5eeda904?duration=1ms").status == 200;
    wait_until(PATIENCE, "the next run is followed", is_free);
}

#[test]
fn without_a_kernel_side_nothing_is_followed() {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let agent = Agent::start(&served, Role::Client, &["10.0.2.2", "--icmp", "--no-kernel"]);
    let refused = agent.ask("/sightings/5eeda905?duration=1ms");
    assert!(refused.status == 503 && refused.body().contains("--no-kernel"));
}
