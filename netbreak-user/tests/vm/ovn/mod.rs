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

/// Attempts that need a place, and those that died of one of these causes.
fn died_of(report: &Report, causes: &[Cause]) -> (u64, u64) {
    let probes = || report.targets.iter().flat_map(|target| &target.probes);
    let deaths = probes().flat_map(|probe| &probe.deaths).filter(|death| causes.contains(&death.cause));
    (probes().map(|probe| probe.needing_a_death()).sum(), deaths.map(|death| death.attempts).sum())
}

/// Nearly all that is lost while this happens dies of one of these causes, and the report says that tables were empty.
fn dies_of(event: &str, causes: &[Cause]) {
    load();
    let report = Series::default().watch(event, "internal");
    let (lost, located) = died_of(&report, causes);
    assert!(lost > 0 && located * 100 >= lost * 95, "{located} of {lost} lost attempts died of {causes:?}");
    let told = report.targets.iter().flat_map(|target| &target.probes).flat_map(|probe| &probe.deaths);
    let empty = "its OpenFlow tables are empty until ovn-controller";
    let tables = told.filter(|death| death.explain.contains(empty)).map(|death| death.attempts);
    let tables: u64 = tables.sum();
    assert!(tables * 10 >= lost * 8, "of {tables} of {lost} lost attempts is said that {empty}");
}

/// Tables that are empty for long: hardly any attempt meets another moment of the restart.
#[test]
fn gap() {
    dies_of("reload-slow", &[Cause::OvsFlow]);
}

/// What dies in passing: upcalls to handlers that are not there yet, and what the other node sends into a tunnel whose
/// device is made anew.
const OF_A_START: [Cause; 3] = [Cause::OvsFlow, Cause::OvsUpcall, Cause::Link];

#[test]
fn restart() {
    dies_of("switch-restart", &OF_A_START);
}

#[test]
fn reload() {
    dies_of("reload", &OF_A_START);
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

/// What resets a long connection: conntrack that forgets it, at a moment and again and again, or for good.
#[test]
fn forgotten() {
    repeat(
        3,
        &["conntrack-often", "conntrack-often-liberal", "conntrack-strict", "conntrack-strict-liberal"],
    );
}

/// What does not, or seldom.
#[test]
fn resets() {
    repeat(3, &["conntrack", "conntrack-liberal", "ovn0-address", "ovn0-down", "ovn0-down-liberal"]);
}
