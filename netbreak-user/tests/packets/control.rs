//! Nothing is broken, and nothing is said to be.

use std::net::IpAddr;

use netbreak_user::report::VerdictWord;

use crate::common::{Served, V4, V6, Witness, assert_balanced, skipped};

/// 500 echoes, and all other kinds beside them.
fn control(address: IpAddr) {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let witness = Witness::new();
    let ports = ["--icmp", "--tcp", "7000", "--http", "8080", "--udp", "4000", "--stream", "5201"];
    let done =
        served.start(address, &[&ports[..], &["--duration", "5s", "--interval", "10ms"]].concat()).finish();
    let probes = &done.report.targets[0].probes;
    for probe in probes {
        assert_eq!((probe.unanswered(), probe.unexplained), (0, 0), "{probe:#?}");
        assert!(probe.deaths.is_empty() && probe.outages.is_empty(), "{probe:#?}");
        assert!(probe.answered == probe.sent && probe.sent >= 500, "{probe:#?}");
    }
    assert_eq!((probes.len(), probes[0].sent), (5, 500));
    assert_balanced(&served, &done.report, &witness);
    assert_eq!((done.report.verdict, done.status), (VerdictWord::Clean, 0));
}

#[test]
fn a_network_that_works_is_clean() {
    control(V4);
}

#[test]
fn a_network_that_works_is_clean_over_ipv6() {
    control(V6);
}
