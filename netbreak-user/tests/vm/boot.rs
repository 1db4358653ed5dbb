//! netbreak starts on this kernel and says what it can see.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::out;

/// With Open vSwitch, which is not loaded by itself: docs/kernel-support.md shows what is seen of it.
#[test]
fn doctor() {
    assert!(Command::new("modprobe").arg("openvswitch").status().unwrap().success());
    let output = Command::new(env!("CARGO_BIN_EXE_netbreak")).args(["doctor", "--json"]).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stderr));
    fs::write(out().join("doctor.json"), &output.stdout).unwrap();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(diagnosis["can_trace"], true, "{diagnosis:#}");
}
