//! Nothing is broken, and nothing is said to be.

use std::net::IpAddr;

use netbreak_user::lab::find;
use netbreak_user::report::{Leg, SensorState, VerdictWord};

use crate::common::{Served, V4, V6, Witness, assert_balanced, skipped};

/// 500 echoes, and all other kinds beside them.
fn control(address: IpAddr) {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let witness = Witness::new();
    let ports = ["--icmp", "--tcp", "7000", "--http", "8080", "--udp", "4000", "--stream", "5201"];
    let done = served
        .start(
            address,
            &[&ports[..], &["--duration", "5s", "--interval", "10ms", "--timeout", "5s"]].concat(),
        )
        .finish();
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

/// Every stage of an echo's way over the router and back, in order; nothing was lost, so nothing stopped anywhere.
#[test]
fn the_path_of_an_echo_is_known_stage_by_stage() {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let done = served.start(V4, &["--icmp", "--duration", "1s", "--path"]).finish();
    let path = done.report.targets[0].probes[0].path.as_ref().unwrap();
    let way: Vec<_> = path.stages.iter().map(|s| (s.leg, s.stage.as_str(), s.device.as_deref())).collect();
    let mut expected = Vec::new();
    for (leg, links) in
        [(Leg::Request, [("c0", "r0"), ("r1", "s0")]), (Leg::Reply, [("s0", "r1"), ("r0", "c0")])]
    {
        for (from, to) in links {
            let out = ["qdisc", "device transmit"].map(|stage| (leg, stage, Some(from)));
            expected
                .extend(out.into_iter().chain(["cpu backlog", "device receive"].map(|s| (leg, s, Some(to)))));
        }
    }
    expected.push((Leg::Reply, "socket", None));
    assert_eq!(way, expected);
    assert!(path.sample > 1 && path.stages.iter().all(|stage| stage.stopped == 0), "{path:#?}");
    assert!(
        path.stages[1..].iter().all(|stage| stage.since_us.is_some_and(|us| us.p50 <= us.p99)),
        "{path:#?}"
    );
}

/// What nothing dropped has no place then, and the report says why.
#[test]
fn without_following_packets_a_silent_death_is_unexplained() {
    if skipped(&["ip"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(find("icmp-ignored").unwrap()).unwrap();
    let plan = ["--icmp", "--duration", "300ms", "--timeout", "200ms"];
    for (more, unexplained) in [(&["--no-path"][..], 30), (&[], 0)] {
        let done = served.start(V4, &[&plan[..], more].concat()).finish();
        let probe = &done.report.targets[0].probes[0];
        assert_eq!((probe.lost, probe.unexplained), (30, unexplained), "{probe:#?}");
        let off = done.report.run.sensors.iter().find(|sensor| sensor.name == "path");
        assert_eq!(off.map(|sensor| sensor.state), (unexplained > 0).then_some(SensorState::Off));
    }
}
