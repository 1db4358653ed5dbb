//! The faults of the lab on this kernel: each lost attempt must be a death at the fault's place, of its cause, and there
//! must be as many as the kernel counted.

use std::process::Command;

use netbreak_user::lab::{FAULTS, IN_GUESTS};
use serde_json::Value;

use crate::score::{Case, Pace, all, all_pass};

/// The cases of these faults, alone, from before the first attempt to after the last. One after the other: a guest has
/// no time for more.
fn locate(names: &[&str]) {
    let faults: Vec<_> = FAULTS.iter().copied().chain(IN_GUESTS).collect();
    let cases: Vec<Case> =
        all(&faults).into_iter().filter(|case| names.contains(&case.name.as_str())).collect();
    assert_eq!(cases.len(), names.len(), "{names:?}");
    all_pass(&cases, 1, Pace::Emulated);
}

#[test]
fn netfilter() {
    locate(&["nft-forward", "nft-input", "nft-output-reply", "iptables-legacy-forward"]);
}

#[test]
fn routes() {
    locate(&["route-blackhole", "route-missing", "rp-filter", "neighbour"]);
}

/// Without drop reasons nothing tells such a packet from one that the stack refused otherwise.
#[test]
fn outdated_neighbours() {
    let doctor = Command::new(env!("CARGO_BIN_EXE_netbreak")).args(["doctor", "--json"]).output().unwrap();
    let diagnosis: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let sensors = diagnosis["sensors"].as_array().unwrap();
    let reasons = sensors.iter().find(|sensor| sensor["name"] == "drop reasons").unwrap();
    if reasons["state"] == "off" {
        println!("not told on this kernel: {}", reasons["why"]);
        return;
    }
    locate(&["neighbour-outdated", "neighbour-outdated-reply"]);
}

#[test]
fn queues() {
    locate(&["tbf", "netem-loss", "netem-limit"]);
}

#[test]
fn programs() {
    locate(&["tc-ingress", "tc-egress", "u32", "xdp-generic"]);
}

#[test]
fn sockets() {
    locate(&["udp-buffer", "udp-no-port", "tcp-no-port"]);
}

#[test]
fn conntrack_full() {
    // Its counters are read before the first rule would load it.
    assert!(Command::new("modprobe").arg("nf_conntrack").status().unwrap().success());
    locate(&["conntrack-full"]);
}
