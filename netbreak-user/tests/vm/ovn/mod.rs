//! Why `ovn0` loses packets: two nodes with OVN over the kernel's datapath, and what happens to their switches.
//!
//! Every scenario leaves its reports and `summary.md`, which has the tables of docs/ovn0.md. These take minutes.

mod summary;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use netbreak_user::report::{self, Cause, Report};

use crate::out;
use summary::Summary;

/// Between two attempts of a probe: a guest without KVM is one or two orders slower than a machine, and fifteen probes visit.
const INTERVAL: &str = "--interval=200ms";

/// Runs of `netbreak demo --lab ovn-cluster`, each with a cluster of its own.
#[derive(Default)]
struct Series(Summary);

impl Series {
    /// Visits all rows while the event happens, with an `ovn0` of this type.
    fn watch(&mut self, event: &str, ovn0: &str) -> Report {
        let start = Instant::now();
        let json = out().join("last.json");
        let files = format!("--json={}", json.display());
        let mut demo = Command::new(env!("CARGO_BIN_EXE_netbreak"));
        demo.args(["demo", "--lab", "ovn-cluster", "--fault", event, "--ovn0", ovn0, INTERVAL, &files]);
        let said = demo.stdin(Stdio::null()).output().unwrap();
        let read = fs::read_to_string(&json).unwrap_or_default();
        let report = report::json::parse(&read)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said.stderr)));
        report.check().unwrap();
        let turn = self.0.add(event, ovn0, &report);
        let name = |ending: &str| out().join(format!("{event}-{ovn0}-{turn}.{ending}"));
        fs::rename(&json, name("json")).unwrap();
        fs::write(name("md"), report::markdown::render(&report)).unwrap();
        fs::write(out().join("summary.md"), self.0.markdown()).unwrap();
        println!("{event}, {ovn0}, run {turn}: {:.0} s", start.elapsed().as_secs_f64());
        println!("{}", summary::lines(&report));
        report
    }
}

/// The lab takes the kernel's datapath where there is one.
fn load() {
    assert!(Command::new("modprobe").arg("openvswitch").status().unwrap().success());
}

/// Attempts that need a place, and those whose place is the datapath's flows.
fn located(report: &Report) -> (u64, u64) {
    let probes = || report.targets.iter().flat_map(|target| &target.probes);
    let deaths = probes().flat_map(|probe| &probe.deaths).filter(|death| death.cause == Cause::OvsFlow);
    (probes().map(|probe| probe.needing_a_death()).sum(), deaths.map(|death| death.attempts).sum())
}

fn dies_of_flows(event: &str) {
    load();
    let report = Series::default().watch(event, "internal");
    let (lost, in_flows) = located(&report);
    assert!(lost > 0 && in_flows * 100 >= lost * 95, "{in_flows} of {lost} lost attempts died of flows");
    let told = report.targets.iter().flat_map(|target| &target.probes).flat_map(|probe| &probe.deaths);
    let tables = told.filter(|death| death.explain.contains("OpenFlow tables")).count();
    assert!(tables > 0, "nothing is said of empty OpenFlow tables");
}

#[test]
fn restart() {
    dies_of_flows("switch-restart");
}

#[test]
fn reload() {
    dies_of_flows("reload");
}

/// Each of these events so many times, in turns.
fn repeat(times: usize, events: &[&str]) {
    load();
    let mut series = Series::default();
    for _ in 0..times {
        for event in events {
            series.watch(event, "internal");
        }
    }
}

/// One run of each event.
#[test]
fn events() {
    repeat(
        1,
        &["switch-kill", "controller-restart", "database-restart", "ovn0-address", "ovn0-down", "tunnel"],
    );
}

/// By how much a break gets shorter.
#[test]
fn mitigations() {
    repeat(
        3,
        &[
            "switch-restart",
            "switch-restart-saved",
            "switch-restart-wait",
            "switch-restart-saved-patient",
            "controller-restart",
            "controller-restart-patient",
            "reload",
            "reload-wait",
        ],
    );
}

/// Is it the internal port? In turns, so that whatever else changes meanwhile concerns both.
#[test]
fn port_type() {
    load();
    let mut series = Series::default();
    for _ in 0..7 {
        for event in ["switch-restart", "reload"] {
            for ovn0 in ["internal", "veth"] {
                series.watch(event, ovn0);
            }
        }
    }
}

/// What resets a long connection.
#[test]
fn resets() {
    repeat(3, &["conntrack", "conntrack-liberal", "ovn0-address", "ovn0-down", "ovn0-down-liberal"]);
}
