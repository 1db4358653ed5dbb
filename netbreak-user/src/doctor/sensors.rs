//! What each sensor can do here. Pure.

use super::{Finding, Observed};
use crate::kernel::{
    PATH, PID_1, TRACEPOINTS, UPCALL,
    prerequisites::{Facts, in_full, no_symbols, turn_on},
};
use crate::report::{NO_DATAPATH, Sensor, SensorState};

/// Every sensor, in the order of reports.
pub fn findings(facts: &Facts, observed: &Observed) -> Vec<Finding> {
    let mut all = programs(facts, observed);
    all.extend([
        drop_reasons(facts, observed),
        symbols(facts),
        counters(observed),
        namespaces(facts, observed),
        raw_sockets(observed),
    ]);
    all
}

fn finding(name: &str, state: SensorState, why: impl Into<Option<String>>, turn_on: Option<&str>) -> Finding {
    Finding { name: name.to_owned(), state, why: why.into(), turn_on: turn_on.map(str::to_owned) }
}

fn programs(facts: &Facts, observed: &Observed) -> Vec<Finding> {
    let error = match &observed.programs {
        Ok(sensors) => return sensors.iter().map(program).collect(),
        Err(error) => error,
    };
    let rest = "not tried, because kfree_skb cannot be attached".to_owned();
    TRACEPOINTS
        .iter()
        .chain(&PATH)
        .chain([&UPCALL])
        .enumerate()
        .map(|(number, name)| {
            let why = if number == 0 { in_full(error) } else { rest.clone() };
            let advice = (number == 0).then(|| turn_on(error, facts));
            finding(name, SensorState::Off, why, advice.as_deref())
        })
        .collect()
}

fn program(sensor: &Sensor) -> Finding {
    let advice = match (sensor.state, sensor.why.as_deref()) {
        (SensorState::On, _) => None,
        (SensorState::Degraded, _) if sensor.name == PID_1 => {
            Some("a kernel whose struct bpf_prog_aux has no member init_owned, as Linux itself")
        }
        (SensorState::Off, Some(NO_DATAPATH)) => {
            Some("nothing to do, unless a kernel datapath is to be watched")
        }
        (SensorState::Degraded, _) if sensor.name == UPCALL => Some("a kernel with CONFIG_KPROBES=y"),
        (SensorState::Degraded, _) => Some("nothing to do: each packet costs a little more"),
        (SensorState::Off, Some(why)) if why.contains("no tracepoint") => Some("a newer kernel"),
        (SensorState::Off, _) => Some("please report this, with the message"),
    };
    finding(&sensor.name, sensor.state, sensor.why.clone(), advice)
}

fn drop_reasons(facts: &Facts, observed: &Observed) -> Finding {
    let name = "drop reasons";
    match observed.kfree_skb_arguments {
        None => finding(
            name,
            SensorState::Off,
            "the kernel's BTF does not tell about kfree_skb".to_owned(),
            Some("see kfree_skb"),
        ),
        Some(..3) => finding(
            name,
            SensorState::Off,
            "this kernel's kfree_skb gives no reason: drops have a function and no reason".to_owned(),
            Some("Linux 5.17 or later"),
        ),
        Some(_) if observed.reason_names == 0 => finding(
            name,
            SensorState::Degraded,
            "this kernel's BTF names no reasons: they are shown as numbers".to_owned(),
            Some("a kernel whose BTF has enum skb_drop_reason"),
        ),
        Some(_) if facts.openvswitch && !facts.openvswitch_btf => finding(
            name,
            SensorState::Degraded,
            "openvswitch has no BTF: its own reasons are shown as numbers".to_owned(),
            Some("a kernel built with CONFIG_DEBUG_INFO_BTF_MODULES=y"),
        ),
        Some(_) => finding(name, SensorState::On, None, None),
    }
}

fn symbols(facts: &Facts) -> Finding {
    let name = "symbols";
    match no_symbols(facts) {
        None => finding(name, SensorState::On, None, None),
        Some((why, advice)) => {
            let why = format!("{why}: drops have a reason and an address, no function");
            finding(name, SensorState::Off, why, Some(advice))
        }
    }
}

fn counters(observed: &Observed) -> Finding {
    let name = "counters";
    if observed.counters_failed.is_empty() {
        return finding(name, SensorState::On, None, None);
    }
    let why = observed.counters_failed.join("; ");
    finding(name, SensorState::Degraded, why, Some("mount /proc; books without their counter are left open"))
}

fn namespaces(facts: &Facts, observed: &Observed) -> Finding {
    let name = "namespaces";
    let seen = &observed.namespaces;
    let count = format!("{} of {} found can be entered", seen.entered, seen.found);
    if seen.entered < seen.found || seen.found == 0 {
        // Our own counters need no entering, so something is left even without any.
        let why = seen.why.as_ref().map_or(count.clone(), |why| format!("{count}: {why}"));
        let advice = match facts.initial_user_namespace {
            _ if !facts.capabilities.has("CAP_SYS_ADMIN") => "CAP_SYS_ADMIN (root has it)",
            Some(false) => "run outside of this user namespace",
            _ => "look again: a namespace may have ended meanwhile",
        };
        return finding(name, SensorState::Degraded, why, Some(advice));
    }
    if !facts.capabilities.has("CAP_SYS_PTRACE") {
        let why = format!("{count}; those that only other processes hold are not seen");
        return finding(name, SensorState::Degraded, why, Some("CAP_SYS_PTRACE (root has it)"));
    }
    finding(name, SensorState::On, count, None)
}

fn raw_sockets(observed: &Observed) -> Finding {
    let name = "raw sockets";
    match (&observed.raw_v4, &observed.raw_v6) {
        (Ok(()), Ok(())) => finding(name, SensorState::On, None, None),
        (Ok(()), Err(why)) => {
            let why = format!("no icmp probes over IPv6: {why}");
            finding(name, SensorState::Degraded, why, Some("a kernel with IPv6"))
        }
        (Err(why), _) => finding(
            name,
            SensorState::Off,
            format!("no icmp probes: {why}"),
            Some("CAP_NET_RAW (root has it)"),
        ),
    }
}
