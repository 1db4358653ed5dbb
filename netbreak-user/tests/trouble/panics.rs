//! A panic, wherever it comes, unwinds: the lab goes with it.

use std::sync::Arc;

use netbreak_user::lab::{Lab, Role, SERVER_V4};
use netbreak_user::netns::Namespace;
use netbreak_user::probe::{Kind, Spec};
use netbreak_user::progress::Progress;
use netbreak_user::run::{End, Measurement, Plan, Source, Visited, measure};

use crate::support::{PATIENCE, skipped, wait_until};

/// A run in the lab that panics when it starts.
fn run(lab: &Lab) -> anyhow::Result<Measurement> {
    measure(Plan {
        targets: vec![Visited::new("server", SERVER_V4)],
        sources: vec![Source {
            netns: Arc::new(Namespace::open(lab.namespace(Role::Client).path())?),
            specs: vec![Spec::new(0, Kind::Icmp, SERVER_V4.into(), None, 1)],
        }],
        tracer: None,
        path: false,
        trigger: None,
        progress: Progress::new(true),
        netns_names: Vec::new(),
        give_up_privileges: false,
        started: Box::new(|_| panic!("on purpose")),
        end: End::Signals,
    })
}

fn assert_gone(pids: [u32; 3]) {
    wait_until(PATIENCE, "the lab's processes are gone", || {
        pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap())
    });
}

#[test]
fn a_panic_of_the_run_removes_the_lab() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let pids = Role::ALL.map(|role| lab.namespace(role).pid());
    let panicked = std::thread::spawn(move || run(&lab).map(drop));
    assert!(panicked.join().is_err());
    assert_gone(pids);
}
