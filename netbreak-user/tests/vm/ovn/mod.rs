//! Why `ovn0` loses packets: two nodes with OVN over the kernel's datapath, and what happens to their switches.

mod summary;

use std::env;
use std::fs;
use std::path::PathBuf;

use netbreak_user::clock::{MILLISECOND, SECOND};
use netbreak_user::demo::cluster::{Pace, Stage};
use netbreak_user::lab::ovs::Datapath;
use netbreak_user::lab::ovs::cluster::{EVENTS, Event, PortType, ROWS, Setup, event};
use netbreak_user::report::{self, Report};

use summary::Summary;

/// A variable of the environment, by which a scenario can be had shorter or longer.
fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn pace() -> Pace {
    Pace {
        interval: setting("NETBREAK_OVN_INTERVAL_MS", 50) * MILLISECOND,
        stream_rate: setting("NETBREAK_OVN_STREAM_BPS", 200_000),
        quiet: 2 * SECOND,
        duration: 60 * SECOND,
    }
}

/// Those that were asked for by name, else `default`.
fn events(default: &[&str]) -> Vec<&'static Event> {
    let asked = env::var("NETBREAK_OVN_EVENTS").ok();
    match asked.as_deref() {
        Some("all") => EVENTS.iter().collect(),
        Some(names) => names.split(',').map(|name| event(name).unwrap()).collect(),
        None => default.iter().map(|name| event(name).unwrap()).collect(),
    }
}

/// Writes a file that leaves the guest.
fn keep(name: &str, text: &str) {
    let directory = PathBuf::from(env::var_os("NETBREAK_VM_OUT").unwrap());
    fs::write(directory.join(name), text).unwrap();
}

fn watch(stage: &Stage, event: &'static Event, name: &str) -> Report {
    let report = stage.watch(event, &ROWS, pace(), false).unwrap();
    report.check().unwrap();
    keep(&format!("{name}.json"), &report::json::render(&report).unwrap());
    report
}

#[test]
fn events_and_port_types() {
    let mut summary = Summary::default();
    let types = match env::var("NETBREAK_OVN_PORTS").as_deref() {
        Ok("both") => vec![PortType::Internal, PortType::Veth],
        Ok("veth") => vec![PortType::Veth],
        _ => vec![PortType::Internal],
    };
    for ovn0 in types {
        let stage = Stage::new(Setup { ovn0, ..Setup::new(Datapath::Kernel) }).unwrap();
        for turn in 1..=setting("NETBREAK_OVN_REPEAT", 1) {
            for event in events(&["switch-restart", "reload"]) {
                let name = format!("{}-{}-{turn}", event.name, ovn0.name());
                let report = watch(&stage, event, &name);
                println!("{name}: {:.1} s", report.run.duration_s);
                summary.add(event, ovn0, &report);
                keep("summary.md", &summary.markdown());
            }
        }
    }
}
