//! The doctor on this machine: as root, without privileges, and with one capability after the other.
//!
//! Needs root. Without it a test says "skipped: …"; with NETBREAK_REQUIRE=1 it fails instead. Capabilities belong to
//! threads, so each test takes them from a thread of its own and disturbs nobody.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use netbreak_user::doctor;
use netbreak_user::kernel::prerequisites::{Facts, explain_start_error};
use netbreak_user::kernel::{KernelBtf, Options, PID_1, Tracer, UPCALL, blind_on_pid_1};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use serde_json::Value;

/// A small table: the tests are not about memory.
const FLOWS: u32 = 64;

fn skipped() -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    assert!(
        std::env::var_os("NETBREAK_REQUIRE").is_none_or(|v| v != "1"),
        "NETBREAK_REQUIRE=1, but not root"
    );
    println!("skipped: not root");
    true
}

/// Runs `work` on a thread whose effective capabilities are the given ones only.
fn with<T: Send>(effective: CapabilitySet, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let permitted = capabilities(None).unwrap().permitted;
            let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// The diagnosis as a program sees it, and whether drops can be traced.
fn diagnosis() -> (Value, bool) {
    let (json, can_trace) = doctor::run(true, FLOWS);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["schema"], "netbreak.doctor/1");
    assert_eq!(value["can_trace"], can_trace);
    (value, can_trace)
}

fn state<'a>(diagnosis: &'a Value, sensor: &str) -> &'a str {
    let sensors = diagnosis["sensors"].as_array().unwrap();
    sensors.iter().find(|s| s["name"] == sensor).unwrap()["state"].as_str().unwrap()
}

fn missing(diagnosis: &Value) -> Vec<&str> {
    let missing = diagnosis["missing_capabilities"].as_array().unwrap();
    missing.iter().map(|m| m["capability"].as_str().unwrap()).collect()
}

#[test]
fn root_has_every_sensor() {
    if skipped() {
        return;
    }
    let (seen, can_trace) = diagnosis();
    assert!(can_trace, "{seen:#}");
    for sensor in seen["sensors"].as_array().unwrap() {
        // A namespace may end between being found and being entered, an administrator may hide symbols, and some
        // kernels run no tracing program on top of process 1.
        // Without Open vSwitch there is nothing to see of it.
        if !["namespaces", "symbols", PID_1, UPCALL].contains(&sensor["name"].as_str().unwrap()) {
            assert_eq!(sensor["state"], "on", "{sensor:#}");
        }
    }
    let said = seen["sensors"].as_array().unwrap().iter().any(|sensor| sensor["name"] == PID_1);
    assert_eq!(said, blind_on_pid_1(&KernelBtf::open().unwrap()), "{seen:#}");
    let loaded = seen["facts"]["openvswitch"] == true;
    assert_eq!(state(&seen, UPCALL), if loaded { "on" } else { "off" }, "{seen:#}");
    let shown = seen["facts"]["kernel_addresses"] == true;
    assert_eq!(state(&seen, "symbols"), if shown { "on" } else { "off" }, "{seen:#}");
    assert_eq!(missing(&seen), [""; 0]);
    let (text, _) = doctor::run(false, FLOWS);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn without_privileges_every_missing_capability_is_named() {
    if skipped() {
        return;
    }
    let (seen, can_trace) = with(CapabilitySet::empty(), diagnosis);
    assert!(!can_trace);
    for (sensor, expected) in
        [("kfree_skb", "off"), ("icmp_send", "off"), ("raw sockets", "off"), ("counters", "on")]
    {
        assert_eq!(state(&seen, sensor), expected, "{sensor}: {seen:#}");
    }
    assert_eq!(state(&seen, "namespaces"), "degraded");
    let missing = missing(&seen);
    for name in ["CAP_BPF", "CAP_PERFMON", "CAP_NET_RAW", "CAP_SYS_ADMIN"] {
        assert!(missing.contains(&name), "{name}: {seen:#}");
    }
    let message = with(CapabilitySet::empty(), || {
        let error = Tracer::start(Options { flows: FLOWS, ..Default::default() }).err().unwrap();
        explain_start_error(&error, &Facts::read())
    });
    assert!(message.contains("Missing CAP_BPF (") && message.contains("--no-kernel"), "{message}");
    println!("{message}");
}

/// What the documentation promises: these two suffice for the programs, and CAP_BPF alone does not.
#[test]
fn bpf_and_perfmon_suffice_for_the_programs() {
    if skipped() {
        return;
    }
    let (seen, can_trace) = with(CapabilitySet::BPF | CapabilitySet::PERFMON, diagnosis);
    assert!(can_trace, "{seen:#}");
    for sensor in ["kfree_skb", "tcp_retransmit_skb", "icmp_send", "inet_sk_error_report"] {
        assert_eq!(state(&seen, sensor), "on", "{seen:#}");
    }
    assert_eq!(state(&seen, "raw sockets"), "off");
    let (seen, can_trace) = with(CapabilitySet::BPF | CapabilitySet::NET_RAW, diagnosis);
    assert!(!can_trace, "{seen:#}");
    assert_eq!(state(&seen, "raw sockets"), "on");
    assert!(missing(&seen).contains(&"CAP_PERFMON"));
}
