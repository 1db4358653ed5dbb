use super::*;
use crate::kernel::StartError;
use crate::kernel::prerequisites::Lockdown;
use crate::report::{Sensor, SensorState};

fn sensor(name: &str, state: SensorState, why: Option<&str>) -> Sensor {
    Sensor { name: name.to_owned(), state, why: why.map(str::to_owned) }
}

fn good() -> (Facts, Observed) {
    let facts = Facts {
        kernel: "6.18.1".to_owned(),
        possible_cpus: Some(8),
        btf_bytes: Some(5_515_646),
        lockdown: Some(Lockdown::None),
        capabilities: ["CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_SYSLOG"].into(),
        initial_user_namespace: Some(true),
        kptr_restrict: Some(1),
        perf_event_paranoid: Some(2),
        kernel_addresses: Some(true),
        tracefs: Some("/sys/kernel/tracing".to_owned()),
        unprivileged_bpf_disabled: Some(2),
        bpf_stats_enabled: Some(0),
        openvswitch: true,
        openvswitch_btf: true,
    };
    let observed = Observed {
        programs: Ok(crate::kernel::TRACEPOINTS.map(|name| sensor(name, SensorState::On, None)).into()),
        kfree_skb_arguments: Some(4),
        reason_names: 120,
        counters_failed: Vec::new(),
        namespaces: Entered { found: 3, entered: 3, why: None },
        raw_v4: Ok(()),
        raw_v6: Ok(()),
    };
    (facts, observed)
}

fn nobody() -> (Facts, Observed) {
    let (facts, observed) = good();
    let refused = || Err("Operation not permitted (os error 1)".to_owned());
    let error = StartError::Mandatory("Operation not permitted (os error 1)".to_owned());
    let facts = Facts {
        capabilities: [].into(),
        kernel_addresses: Some(false),
        kptr_restrict: Some(2),
        lockdown: None,
        tracefs: None,
        openvswitch_btf: false,
        bpf_stats_enabled: Some(1),
        ..facts
    };
    let why = Some("cannot enter network namespace 4026531840: Operation not permitted".to_owned());
    let namespaces = Entered { found: 1, entered: 0, why };
    (facts, Observed { programs: Err(error), namespaces, raw_v4: refused(), raw_v6: refused(), ..observed })
}

fn old() -> (Facts, Observed) {
    let (facts, mut observed) = good();
    let facts = Facts { kernel: "5.10.0".to_owned(), openvswitch: false, ..facts };
    if let Ok(sensors) = &mut observed.programs {
        sensors[2] = sensor(
            "tcp_retransmit_synack",
            SensorState::Degraded,
            Some("as a raw tracepoint (slower): the BTF tracepoint failed: Invalid argument"),
        );
        sensors[5] = sensor("icmp_send", SensorState::Off, Some("this kernel has no tracepoint icmp_send"));
        sensors.push(sensor(
            crate::kernel::PID_1,
            SensorState::Degraded,
            Some("no tracing program runs then"),
        ));
    }
    (facts, Observed { kfree_skb_arguments: Some(2), reason_names: 0, ..observed })
}

#[test]
fn rendered() {
    for (name, (facts, observed)) in [("good", good()), ("nobody", nobody()), ("old", old())] {
        let diagnosis = diagnose(facts, &observed, 16_384);
        let text = text::render(&diagnosis);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(format!("{name}_text"), text);
        insta::assert_snapshot!(format!("{name}_json"), model::json(&diagnosis));
    }
}

/// The state and advice of one sensor.
fn of(name: &str, (facts, observed): (Facts, Observed)) -> (SensorState, String) {
    let all = findings(&facts, &observed);
    let found = all.into_iter().find(|finding| finding.name == name).unwrap();
    (found.state, found.turn_on.unwrap_or_default())
}

#[test]
fn what_is_not_on_says_why_and_what_would_turn_it_on() {
    for (facts, observed) in [good(), nobody(), old()] {
        for finding in findings(&facts, &observed) {
            let on = finding.state == SensorState::On;
            assert!(on || finding.why.is_some(), "{finding:?}");
            let waits = finding.why.as_deref().is_some_and(|why| why.starts_with("not tried"));
            assert!(on || waits || finding.turn_on.is_some(), "{finding:?}");
        }
    }
}

#[test]
fn decisions() {
    let (facts, observed) = good();
    let restricted = Facts { kernel_addresses: Some(false), kptr_restrict: Some(1), ..nobody().0 };
    let (state, advice) = of("symbols", (restricted, good().1));
    assert_eq!((state, advice.as_str()), (SensorState::Off, "CAP_SYSLOG (root has it)"));
    let restricted = Facts { kernel_addresses: Some(false), kptr_restrict: Some(2), ..facts.clone() };
    assert!(of("symbols", (restricted, good().1)).1.contains("kptr_restrict=1"));

    let without = Facts { openvswitch_btf: false, ..facts.clone() };
    assert_eq!(of("drop reasons", (without, good().1)).0, SensorState::Degraded);
    let unnamed = Observed { reason_names: 0, ..good().1 };
    assert_eq!(of("drop reasons", (facts.clone(), unnamed)).0, SensorState::Degraded);
    assert_eq!(of("drop reasons", (facts.clone(), observed)).0, SensorState::On);

    let no_ipv6 = Observed { raw_v6: Err("Address family not supported".to_owned()), ..good().1 };
    assert_eq!(of("raw sockets", (facts.clone(), no_ipv6)).0, SensorState::Degraded);
    let unreadable = Observed { counters_failed: vec!["no counters of snmp".to_owned()], ..good().1 };
    assert_eq!(of("counters", (facts, unreadable)).0, SensorState::Degraded);
}
