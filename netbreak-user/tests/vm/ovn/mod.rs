//! Why `ovn0` loses packets: two nodes with OVN over the kernel's datapath, and what happens to their switches.
//!
//! Every scenario leaves its reports and `summary.md`, the tables of docs/ovn0.md.

mod summary;
mod tables;

use std::fs;
use std::time::Instant;

use netbreak_user::clock::{MILLISECOND, SECOND};
use netbreak_user::demo::cluster::{Pace, Stage};
use netbreak_user::lab::ovs::Datapath;
use netbreak_user::lab::ovs::cluster::{Place, PortType, ROWS, Row, Setup, event};
use netbreak_user::report::{self, Cause, Report};

use crate::out;
use summary::Summary;

/// A guest without KVM is one or two orders slower than a machine.
fn pace() -> Pace {
    let interval = setting("NETBREAK_OVN_INTERVAL_MS", 50) * MILLISECOND;
    Pace { interval, stream_rate: 200_000, quiet: 2 * SECOND, duration: 60 * SECOND, traced: true }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Writes a file that leaves the guest.
fn keep(name: &str, text: &str) {
    fs::write(out().join(name), text).unwrap();
}

/// What is watched again and again.
struct Series {
    rows: Vec<Row>,
    pace: Pace,
    summary: Summary,
}

impl Series {
    fn new(rows: &[Row]) -> Series {
        Series { rows: rows.to_vec(), pace: pace(), summary: Summary::default() }
    }

    /// Without following packets: how long a break takes does not depend on it, and a guest has more time for the rest.
    fn untraced(rows: &[Row]) -> Series {
        let pace = Pace { traced: false, ..pace() };
        Series { pace, ..Series::new(rows) }
    }

    /// Visits the rows while the event happens. `variant` is what differs beside it.
    fn watch(&mut self, stage: &Stage, name: &str, variant: &str) -> Report {
        let samples = tables::Sampler::start(stage);
        let report = stage.watch(event(name).unwrap(), &self.rows, self.pace, false).unwrap();
        let samples = samples.stop();
        report.check().unwrap();
        let turn = self.summary.add(name, variant, &report, &samples);
        keep(&format!("{name}-{variant}-{turn}.json"), &report::json::render(&report).unwrap());
        keep(&format!("{name}-{variant}-{turn}.md"), &report::markdown::render(&report));
        keep(&format!("{name}-{variant}-{turn}.tables"), &samples.to_string());
        keep("summary.md", &self.summary.markdown());
        println!("{name}, {variant}, {turn}: {:.1} s; tables {}", report.run.duration_s, samples.emptiness());
        report
    }
}

fn stage(ovn0: PortType) -> Stage {
    let start = Instant::now();
    let stage = Stage::new(Setup { ovn0, ..Setup::new(Datapath::Kernel) }).unwrap();
    println!("the cluster takes {:.1} s", start.elapsed().as_secs_f64());
    stage
}

/// Attempts that need a place, and those whose place is the datapath's flows.
fn located(report: &Report) -> (u64, u64) {
    let probes = || report.targets.iter().flat_map(|target| &target.probes);
    let deaths = probes().flat_map(|probe| &probe.deaths).filter(|death| death.cause == Cause::OvsFlow);
    (probes().map(|probe| probe.needing_a_death()).sum(), deaths.map(|death| death.attempts).sum())
}

#[test]
fn restart() {
    let stage = stage(PortType::Internal);
    let mut series = Series::new(&ROWS);
    for name in ["switch-restart", "reload"] {
        let (lost, in_flows) = located(&series.watch(&stage, name, "internal"));
        println!("{name}: {in_flows} of {lost} lost attempts died of the datapath's flows");
        assert!(lost > 0 && in_flows * 100 >= lost * 95, "{name}: {in_flows} of {lost}");
    }
}

#[test]
fn events() {
    let stage = stage(PortType::Internal);
    let mut series = Series::new(&ROWS);
    for name in [
        "switch-kill",
        "controller-restart",
        "database-restart",
        "ovn0-address",
        "ovn0-down",
        "tunnel",
        "conntrack",
    ] {
        series.watch(&stage, name, "internal");
    }
}

#[test]
fn mitigations() {
    let stage = stage(PortType::Internal);
    let mut series = Series::untraced(&ROWS);
    for _ in 0..setting("NETBREAK_OVN_REPEAT", 3) {
        for name in [
            "switch-restart",
            "switch-restart-saved",
            "switch-restart-wait",
            "switch-restart-saved-patient",
            "controller-restart",
            "controller-restart-patient",
            "reload",
            "reload-wait",
        ] {
            series.watch(&stage, name, "internal");
        }
    }
}

#[test]
fn port_type() {
    let mut series = Series::untraced(&ROWS[..7]);
    for ovn0 in [PortType::Internal, PortType::Veth] {
        let stage = stage(ovn0);
        for _ in 0..setting("NETBREAK_OVN_REPEAT", 7) {
            for name in ["switch-restart", "reload"] {
                series.watch(&stage, name, ovn0.name());
            }
        }
    }
}

#[test]
fn nodeport() {
    let stage = stage(PortType::Internal);
    let mut series = Series::new(&ROWS[10..]);
    for liberal in ["0", "1"] {
        for node in [Place::Node1, Place::Node2] {
            let set = |cluster: &mut netbreak_user::lab::ovs::cluster::Cluster| {
                cluster.namespace(node).sysctl("netfilter/nf_conntrack_tcp_be_liberal", liberal)
            };
            stage.with(set).unwrap();
        }
        for _ in 0..setting("NETBREAK_OVN_REPEAT", 3) {
            for name in ["conntrack", "ovn0-address", "ovn0-down", "switch-restart", "reload"] {
                series.watch(&stage, name, &format!("be_liberal-{liberal}"));
            }
        }
    }
}
