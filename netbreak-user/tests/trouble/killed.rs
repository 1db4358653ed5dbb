//! SIGKILL: nothing of ours outlives our process, since nothing is pinned and nothing has a name.

use std::collections::HashSet;
use std::error::Error;
use std::io;

use netbreak_user::lab::Lab;
use netbreak_user::netns;
use rustix::process::Signal;

use crate::support::{
    PATIENCE, Running, children, from_client, kernel_objects, skipped, wait_for_echoes, wait_until,
};

fn loaded_programs() -> HashSet<u32> {
    aya::programs::loaded_programs().filter_map(still_there).map(|program| program.id()).collect()
}

fn loaded_maps() -> HashSet<u32> {
    aya::maps::loaded_maps().filter_map(still_there).map(|map| map.id()).collect()
}

/// It may go between its number and the look at it.
fn still_there<T, E: Error>(found: Result<T, E>) -> Option<T> {
    let is_gone = |error: &E| {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        source.is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    };
    match found {
        Err(error) if is_gone(&error) => None,
        found => Some(found.unwrap()),
    }
}

/// Kills `running` once it holds programs and maps, and waits until the kernel has none of them any more.
fn kill(mut running: Running) {
    let programs = kernel_objects(running.pid(), "prog_id");
    let maps = kernel_objects(running.pid(), "map_id");
    assert!(!programs.is_empty() && programs.is_subset(&loaded_programs()), "{programs:?}");
    assert!(!maps.is_empty() && maps.is_subset(&loaded_maps()), "{maps:?}");
    running.signal(Signal::KILL);
    wait_until(PATIENCE, "the process ends", || running.ended().is_some());
    wait_until(PATIENCE, "its programs are gone", || programs.is_disjoint(&loaded_programs()));
    wait_until(PATIENCE, "its maps are gone", || maps.is_disjoint(&loaded_maps()));
}

#[test]
fn a_killed_run_leaves_no_program_and_no_map() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let running = Running::new(&from_client(&lab, "--icmp --tcp 9"));
    wait_for_echoes(&lab, 10);
    kill(running);
}

#[test]
fn a_killed_demo_leaves_no_namespace_either() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let demo = Running::new("demo --duration 60s");
    let holders = || -> Vec<u32> {
        let children = children(demo.pid()).into_iter();
        children
            .filter(|(_, name)| ["client", "router", "server"].contains(&name.as_str()))
            .map(|c| c.0)
            .collect()
    };
    wait_until(PATIENCE, "the demo has its lab and its programs", || {
        holders().len() == 3 && kernel_objects(demo.pid(), "prog_id").len() > 5
    });
    let holders = holders();
    let inode = |pid: &u32| netns::Namespace::resolve(&format!("pid:{pid}")).unwrap().inode();
    let inodes: HashSet<u32> = holders.iter().map(inode).collect();
    assert_eq!(inodes.len(), 3);
    kill(demo);
    wait_until(PATIENCE, "its namespaces are gone", || {
        !netns::list().iter().any(|found| inodes.contains(&found.inode))
    });
    wait_until(PATIENCE, "its processes are gone", || {
        holders.iter().all(|pid| netns::Namespace::resolve(&format!("pid:{pid}")).is_err())
    });
}
