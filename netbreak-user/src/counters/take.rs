//! Reads the counters of several namespaces.

use std::fs;
use std::io;

use super::{
    Counters, Datapath, Snapshot, Snapshots, SocketKind, conntrack, datapath::Families, device, lists,
    softnet::Softnet,
};
use crate::netns::Namespace;

/// More namespaces than this are not read: it bounds the time and the memory of a snapshot (about 40 KiB each).
pub const MOST_NAMESPACES: usize = 1024;

/// The thread's own files: `/proc/net` would be the main thread's namespace (`proc_get_net_ns` in fs/proc/proc_net.c).
const FILES: &str = "/proc/thread-self/net";

/// The file of connection tracking's counters.
const CONNTRACK: &str = "stat/nf_conntrack";

/// Reads the counters of `namespaces`, at most [`MOST_NAMESPACES`] of them, on one thread that moves from one to the
/// next. What cannot be read is absent and said in [`Snapshots::failed`]; the rest goes on.
pub fn take(namespaces: &[Namespace]) -> Snapshots {
    take_at_most(MOST_NAMESPACES, namespaces)
}

fn take_at_most(most: usize, namespaces: &[Namespace]) -> Snapshots {
    let (read, left_out) = namespaces.split_at(namespaces.len().min(most));
    std::thread::scope(|scope| {
        let worker =
            std::thread::Builder::new().name("counters".to_owned()).spawn_scoped(scope, || take_here(read));
        let outcome = worker.map_err(|e| format!("cannot start a thread to read counters: {e}"));
        let outcome =
            outcome.and_then(|w| w.join().map_err(|_| "the thread that reads counters panicked".to_owned()));
        let taken = outcome.unwrap_or_else(|why| Snapshots { failed: vec![why], ..Snapshots::default() });
        Snapshots { left_out: left_out.len(), ..taken }
    })
}

/// Moves the calling thread through `namespaces`. In its own it needs no privilege.
fn take_here(namespaces: &[Namespace]) -> Snapshots {
    let mut taken = Snapshots { softnet: read_softnet(), ..Snapshots::default() };
    let families = lists::families().unwrap_or_else(|why| {
        taken.failed.push(format!("no counters of Open vSwitch: {why}"));
        None
    });
    let mut here = crate::netns::current().ok();
    for namespace in namespaces {
        if here != Some(namespace.inode()) {
            if let Err(why) = namespace.enter() {
                taken.failed.push(format!("no counters: {why}"));
                continue;
            }
            here = Some(namespace.inode());
        }
        let mut missing = |file: &str, why: String| {
            taken
                .failed
                .push(format!("no counters of {file} in network namespace {}: {why}", namespace.inode()));
        };
        let snapshot = read_here(families, &mut missing);
        taken.namespaces.insert(namespace.inode(), snapshot);
    }
    taken
}

/// Reads the counters of the calling thread's namespace; `missing(file, why)` hears of what cannot be read.
fn read_here(families: Option<Families>, missing: &mut dyn FnMut(&str, String)) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut read = |file: &str, add: &mut dyn FnMut(&str) -> Result<(), String>| {
        let text = fs::read_to_string(format!("{FILES}/{file}"));
        match text {
            // Without IPv6 in the kernel there is no snmp6, and without connection tracking none of its counters:
            // nothing to say about it.
            Err(e) if matches!(file, "snmp6" | CONNTRACK) && e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => missing(file, e.to_string()),
            Ok(text) => add(&text).unwrap_or_else(|e| missing(file, e)),
        }
    };
    let mut counters = Counters::default();
    let mut add_table = |text: &str| {
        counters.add_table(text);
        Ok(())
    };
    read("snmp", &mut add_table);
    read("netstat", &mut add_table);
    read("snmp6", &mut |text| {
        counters.add_list(text);
        Ok(())
    });
    read(CONNTRACK, &mut |text| {
        counters.add_group("Conntrack", conntrack::parse(text).ok_or("it has another form")?);
        Ok(())
    });
    read("dev", &mut |text| {
        snapshot.devices = device::parse(text).map_err(|e| e.to_string())?;
        Ok(())
    });
    let sockets = || fs::read_to_string(format!("{FILES}/netlink")).unwrap_or_default();
    match families.map_or(Ok(Default::default()), |families| lists::datapaths(families, sockets)) {
        Ok(datapaths) => snapshot.datapaths = datapaths,
        Err(why) => missing("Open vSwitch", why),
    }
    if !snapshot.datapaths.is_empty() {
        let sum = |part: fn(&Datapath) -> u64| snapshot.datapaths.values().map(part).sum();
        counters.add_group(
            "Openvswitch",
            [("hit", sum(|one| one.hit)), ("missed", sum(|one| one.missed)), ("lost", sum(|one| one.lost))],
        );
    }
    snapshot.counters = counters;
    match lists::qdiscs() {
        Ok(qdiscs) => snapshot.qdiscs = Some(qdiscs),
        Err(why) => missing("the queues of devices", why),
    }
    for kind in SocketKind::ALL {
        match lists::sockets(kind) {
            Ok(sockets) => drop(snapshot.sockets.insert(kind, sockets)),
            Err(why) => missing(kind.name(), why),
        }
    }
    snapshot
}

fn read_softnet() -> Option<Softnet> {
    Softnet::parse(&fs::read_to_string(format!("{FILES}/softnet_stat")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespace_needs_no_privilege() {
        let taken = take(&[Namespace::current().unwrap()]);
        assert_eq!(taken.failed, Vec::<String>::new());
        assert!(taken.softnet.is_some());
        let ours = &taken.namespaces[&crate::netns::current().unwrap()];
        assert!(ours.get("Tcp.RetransSegs").is_some() && ours.get("TcpExt.ListenDrops").is_some());
        assert!(ours.devices.contains_key("lo"));
    }

    #[test]
    fn what_is_too_many_is_counted() {
        let many: Vec<Namespace> = (0..5).map(|_| Namespace::current().unwrap()).collect();
        let taken = take_at_most(2, &many);
        assert_eq!((taken.left_out, taken.namespaces.len()), (3, 1));
    }
}
