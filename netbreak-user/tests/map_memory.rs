//! The computed memory of every map is what the running kernel says.
//!
//! Alone in its process, because it looks at all maps that the process holds. Needs root. Without it the test says
//! "skipped: …"; with NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::fs;

use netbreak_user::kernel::{Options, Room, Tracer, memory};

/// A `struct bpf_array` and the like, and the locks that kernels before 6.18 have in a hash table.
const STRUCTS: u64 = 2048;

/// Key, value, entries and memory of every map that this process holds.
fn held() -> Vec<[u64; 4]> {
    let number = |text: &str, name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let infos = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    infos
        .filter(|info| info.contains("map_type:"))
        .map(|info| {
            ["key_size:", "value_size:", "max_entries:", "memlock:"].map(|n| number(&info, n).unwrap())
        })
        .collect()
}

#[test]
fn computed_memory_is_the_kernels() {
    if !rustix::process::geteuid().is_root() {
        assert!(
            std::env::var_os("NETBREAK_REQUIRE").is_none_or(|v| v != "1"),
            "NETBREAK_REQUIRE=1, but not root"
        );
        println!("skipped: not root");
        return;
    }
    // Not a power of two: the table of buckets is.
    let flows = 10_000;
    let _tracer = Tracer::start(Options { flows, ..Default::default() }).unwrap();
    let cpus = aya::util::nr_cpus().unwrap() as u32;
    let held = held();
    let expected = memory::maps(flows, Room::default());
    for map in &expected {
        let bytes = map.bytes(cpus);
        let same = held.iter().find(|[key, value, entries, memlock]| {
            [*key, *value, *entries] == [map.key, map.value, map.entries]
                && memlock.abs_diff(bytes) <= STRUCTS
        });
        assert!(same.is_some(), "{map:?} has {bytes} bytes; the kernel has {held:?}");
    }
    assert_eq!(held.len(), expected.len(), "{held:?}");
    let kernel: u64 = held.iter().map(|[_, _, _, memlock]| memlock).sum();
    let ours = memory::total(flows, cpus);
    println!("{cpus} CPUs, {flows} flows: computed {ours}, kernel {kernel}");
    assert!(kernel.abs_diff(ours) * 100 < kernel, "computed {ours}, kernel {kernel}");
}
