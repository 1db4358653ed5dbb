//! What ends it, what keeps it from starting or measuring, and what it refuses.

use std::net::TcpListener;
use std::process::Stdio;

use netbreak_user::lab::{Role, find};

use crate::agent::Agent;
use crate::common::{PATIENCE, Served, skipped, wait_until};
use crate::http::Answer;

const NETBREAK: &str = env!("CARGO_BIN_EXE_netbreak");

#[test]
fn it_starts_only_if_it_can_measure_and_listen() {
    if skipped(&["ip"]) {
        return;
    }
    // From here no resolver can be asked.
    let served = Served::new();
    let client = served.lab.namespace(Role::Client);
    let taken = client.run(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, words) in [
        (&["web.example"][..], "netbreak: cannot resolve web.example: "),
        (&["web.example", "db.example"], "no target can be resolved; the first: cannot resolve web.example"),
        (&["127.0.0.1", "--listen", &taken], "`ss -lntp sport = :"),
        (&["127.0.0.1", "--listen", "127.0.0.1:0", "--source", "192.0.2.1"], "192.0.2.1"),
    ] {
        let mut command = client.command(&[&[NETBREAK, "agent"], arguments].concat()).unwrap();
        // The resolver of the C library need not try again.
        command.env("RES_OPTIONS", "timeout:1 attempts:1");
        let done = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(2) && said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn a_window_ends_early_and_counts() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(find("nft-forward").unwrap()).unwrap();
    let before = served.counter(Role::Client, "Icmp.OutEchos");
    let agent =
        Agent::start(&served, Role::Client, &["10.0.2.2", "--icmp", "--interval", "20ms", "--window", "1h"]);
    let asked = |method, path| Answer::of(served.lab.namespace(Role::Client), agent.address, method, path);
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/reports/5eed", 404),
        ("GET", "/reports/seed", 400),
        ("GET", "/sightings/5eed?duration=11m", 400),
        ("POST", "/metrics", 405),
    ] {
        assert_eq!(asked(method, path).status, status, "{method} {path}");
    }
    assert_eq!(asked("PUT", "/reports").header("allow"), Some("get"));
    let sent = || served.counter(Role::Client, "Icmp.OutEchos") >= before + 20;
    wait_until(PATIENCE, "20 echoes are sent", sent);
    agent.terminate();
    let (status, said) = agent.wait();
    assert_eq!(status, Some(0), "{said:?}");
    let window = said.iter().find(|line| line.contains(": broken, ")).unwrap_or_else(|| panic!("{said:?}"));
    let (lost, _) = window.split_once(": broken, ").unwrap().1.split_once(' ').unwrap();
    assert!(lost.parse::<u64>().unwrap() >= 20 && window.contains("died of netfilter at r0"), "{window}");
}

#[test]
fn the_second_signal_does_not_wait_for_answers() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(find("nft-forward").unwrap()).unwrap();
    let before = served.counter(Role::Client, "Icmp.OutEchos");
    let arguments = ["10.0.2.2", "--icmp", "--no-kernel", "--interval", "100ms", "--timeout", "10m"];
    let mut agent = Agent::start(&served, Role::Client, &arguments);
    let sent = || served.counter(Role::Client, "Icmp.OutEchos") >= before + 2;
    wait_until(PATIENCE, "2 echoes are sent", sent);
    agent.terminate();
    // Signals that come together are one.
    wait_until(PATIENCE, "it gives up", || {
        agent.is_over() || {
            agent.terminate();
            false
        }
    });
    let (status, said) = agent.wait();
    assert_eq!(status, Some(2), "{said:?}");
    assert!(said.iter().any(|line| line.contains("interrupted twice")), "{said:?}");
}

#[test]
fn a_window_that_cannot_be_measured_is_told_and_the_next_one_is_tried() {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let address =
        |what: &str| served.lab.ip(Role::Client, &format!("address {what} 10.0.1.99/24 dev c0")).unwrap();
    address("add");
    let arguments = ["10.0.2.2", "--tcp", "7000", "--source", "10.0.1.99", "--window", "1s", "--no-kernel"];
    let agent = Agent::start(&served, Role::Client, &arguments);
    agent.wait_for("clean", 1.0);
    address("del");
    wait_until(PATIENCE, "windows fail", || agent.ask("/healthz").status == 503);
    let why = agent.ask("/healthz");
    assert!(why.status == 503 && why.body().contains("10.0.1.99"));
    assert!(agent.metrics().sum("netbreak_failed_windows_total", &[]) >= 1.0);
    address("add");
    wait_until(PATIENCE, "windows end as they should", || agent.ask("/healthz").status == 200);
    agent.terminate();
    let (status, said) = agent.wait();
    assert_eq!(status, Some(0), "{said:?}");
    assert!(said.iter().any(|line| line.contains("could not be measured, and the next one")), "{said:?}");
}

#[test]
fn a_host_that_is_alone_waits_for_others() {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let agent = Agent::start(&served, Role::Client, &["localhost", "--icmp", "--window", "1s"]);
    assert_eq!(agent.get("/healthz"), "ok\n");
    agent.terminate();
    let (status, said) = agent.wait();
    assert_eq!(status, Some(0));
    assert!(said.len() == 1 && said[0].contains("nobody to visit but this host itself"), "{said:?}");
}
