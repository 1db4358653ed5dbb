//! What goes away while it is probed, or was never far: the device, the server, this very host.

use netbreak_user::lab::{Lab, Role};

use crate::support::{Running, from_client, netbreak, probe, report, serve, skipped, text, wait_for_echoes};

const ALL: &str = "--icmp --tcp 7000 --http 80 --udp 4000 --stream 5201";
const KINDS: [&str; 5] = ["icmp", "tcp", "http", "udp", "stream"];

#[test]
fn a_device_that_vanishes_is_a_break_and_no_crash() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let running = Running::new(&from_client(&lab, &format!("{ALL} --duration 2s --timeout 2s --json -")));
    wait_for_echoes(&lab, 30);
    lab.ip(Role::Client, "link delete c0").unwrap();
    let output = running.output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = report(&output);
    assert_eq!(report["verdict"], "broken");
    for kind in KINDS {
        let probe = probe(&report, kind);
        assert!(probe["sent"].as_u64() > Some(0) && probe["answered"].as_u64() > Some(0), "{probe:#}");
        assert!(probe["answered"].as_u64() < probe["sent"].as_u64(), "{probe:#}");
        assert_eq!(probe["outages"].as_array().unwrap().len(), 1, "{probe:#}");
    }
}

#[test]
fn a_server_that_dies_is_refused_and_not_lost() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let server = serve(&lab);
    let running = Running::new(&from_client(&lab, &format!("{ALL} --duration 2s --timeout 2s --json -")));
    wait_for_echoes(&lab, 30);
    drop(server);
    let output = running.output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = report(&output);
    let number = |kind: &str, name: &str| probe(&report, kind)[name].as_u64().unwrap();
    assert_eq!(number("icmp", "sent"), number("icmp", "answered"));
    assert!(
        number("tcp", "refused") > 0 && number("http", "refused") > 0 && number("udp", "unreachable") > 0
    );
    assert_eq!((number("tcp", "lost"), number("tcp", "timed_out")), (0, 0));
    let stream = probe(&report, "stream");
    assert!(stream["stream"]["resets"].as_u64() > Some(0), "{stream:#}");
}

#[test]
fn this_very_host_answers() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    for target in ["127.0.0.1", "10.0.1.2", "::1", "fd00:1::2"] {
        let pid = lab.namespace(Role::Client).pid();
        let output = netbreak(&format!(
            "run {target} --netns pid:{pid} --icmp --tcp 9 --timeout 5s --duration 300ms --json -"
        ));
        let report = report(&output);
        assert_eq!((output.status.code(), &report["verdict"]), (Some(0), &"clean".into()), "{report:#}");
        assert_eq!(probe(&report, "icmp")["answered"], 30, "{target}");
        assert_eq!(probe(&report, "tcp")["refused"], 30, "{target}");
        let books = report["books"].as_array().unwrap();
        assert!(books.iter().all(|book| book["balanced"] == true), "{target}: {books:#?}");
    }
}
