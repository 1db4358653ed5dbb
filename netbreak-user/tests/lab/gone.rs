//! Nothing of a lab survives its guard, or its process.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use netbreak_user::lab::{Lab, Role};
use netbreak_user::netns;

use crate::PATIENCE;
use crate::skip::skipped;
use crate::wait::wait_until;

#[test]
fn a_program_ends_with_its_guard() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let mut guard = lab.spawn(Role::Server, &["sleep", "1000"]).unwrap();
    assert!(guard.ended().unwrap().is_none());
    let process = format!("/proc/{}", guard.pid());
    assert!(std::fs::exists(&process).unwrap());
    drop(guard);
    assert!(!std::fs::exists(&process).unwrap());
}

#[test]
fn nothing_survives_a_panic() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let pids = Role::ALL.map(|role| lab.namespace(role).pid());
    let panicked = std::thread::spawn(move || {
        let _lab = lab;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()));
}

/// Not a test of its own: what [`nothing_survives_a_kill`] kills.
#[test]
#[ignore = "waits to be killed"]
fn holds_a_lab() {
    let lab = Lab::new().unwrap();
    println!("\nlab {}", lab.names().map(|(inode, _)| inode.to_string()).join(" "));
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn nothing_survives_a_kill() {
    if skipped(&["ip"]) {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gone::holds_a_lab", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|l| l.unwrap().strip_prefix("lab ").map(str::to_owned)).unwrap();
    let inodes: HashSet<u32> = line.split(' ').map(|n| n.parse().unwrap()).collect();
    let alive = || netns::list().iter().filter(|n| inodes.contains(&n.inode)).count();
    assert_eq!(alive(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(PATIENCE, "the namespaces of a killed process are gone", || alive() == 0);
}
