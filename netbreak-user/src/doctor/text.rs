//! The diagnosis as a table, 80 columns wide.

use comfy_table::{ContentArrangement, Table, presets};

use super::{Diagnosis, Finding};
use crate::kernel::prerequisites::{Facts, Lockdown};

const WIDTH: u16 = 80;

pub(super) fn render(diagnosis: &Diagnosis) -> String {
    let facts = &diagnosis.facts;
    let answer = if diagnosis.can_trace {
        "This machine can trace drops."
    } else {
        "This machine cannot trace drops: `netbreak run --no-kernel` probes without it."
    };
    format!(
        "netbreak doctor · kernel {}{}\n{answer}\n\n{}\n\n{}\n\n{}\n",
        facts.kernel,
        facts.possible_cpus.map_or(String::new(), |cpus| format!(" · {cpus} possible CPUs")),
        sensors(&diagnosis.sensors),
        machine(diagnosis),
        memory(diagnosis),
    )
}

fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header)
        .add_rows(rows);
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn sensors(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let advice = finding.turn_on.as_ref().map(|advice| format!("→ {advice}"));
        let lines: Vec<String> = finding.why.iter().cloned().chain(advice).collect();
        [finding.name.clone(), finding.state.name().to_owned(), lines.join("\n")]
    };
    table(["sensor", "state", "why → what would turn it on"], findings.iter().map(row))
}

fn machine(diagnosis: &Diagnosis) -> String {
    let facts = &diagnosis.facts;
    let rows = [
        ("BTF", facts.btf_bytes.map_or("none".to_owned(), |bytes| format!("{} KiB", bytes / 1024))),
        ("lockdown", lockdown(facts.lockdown).to_owned()),
        ("capabilities", capabilities(diagnosis)),
        ("user namespace", user_namespace(facts.initial_user_namespace).to_owned()),
        ("kptr_restrict", kptr_restrict(facts)),
        ("tracefs", tracefs(facts)),
        ("unprivileged BPF", unprivileged_bpf(facts.unprivileged_bpf_disabled)),
        ("BPF statistics", statistics(facts.bpf_stats_enabled).to_owned()),
        ("openvswitch", openvswitch(facts).to_owned()),
    ];
    table(["machine", "value"], rows.map(|(name, value)| [name.to_owned(), value]))
}

fn lockdown(mode: Option<Lockdown>) -> &'static str {
    match mode {
        None => "not known (no such security module, or securityfs is not mounted)",
        Some(Lockdown::None) => "none",
        Some(Lockdown::Integrity) => "integrity (netbreak does not mind)",
        Some(Lockdown::Confidentiality) => "confidentiality (forbids BPF to read kernel memory)",
    }
}

fn capabilities(diagnosis: &Diagnosis) -> String {
    let missing = &diagnosis.missing_capabilities;
    if missing.is_empty() {
        return format!("all that netbreak uses ({} in all)", diagnosis.facts.capabilities.count());
    }
    let list: Vec<String> =
        missing.iter().map(|m| format!("missing {}: {}", m.capability, m.purpose)).collect();
    list.join("\n")
}

fn user_namespace(initial: Option<bool>) -> &'static str {
    match initial {
        None => "not known",
        Some(true) => "the machine's own",
        Some(false) => "another: capabilities do not reach the kernel",
    }
}

fn kptr_restrict(facts: &Facts) -> String {
    let value = facts.kptr_restrict.map_or("not known".to_owned(), |value| value.to_string());
    let shown = if facts.kernel_addresses == Some(true) { "shows" } else { "does not show" };
    format!("{value} (/proc/kallsyms {shown} addresses)")
}

fn tracefs(facts: &Facts) -> String {
    let place = facts.tracefs.as_ref().map_or("not mounted".to_owned(), |place| format!("at {place}"));
    format!("{place} (nothing needs it)")
}

fn unprivileged_bpf(disabled: Option<i32>) -> String {
    let state = match disabled {
        None => "not known",
        Some(0) => "allowed",
        Some(_) => "forbidden",
    };
    format!("{state} (tracing needs CAP_BPF and CAP_PERFMON either way)")
}

fn statistics(enabled: Option<i32>) -> &'static str {
    match enabled {
        Some(0) => "off",
        Some(_) => "on: every program of the machine takes longer (kernel.bpf_stats_enabled)",
        None => "not known",
    }
}

fn openvswitch(facts: &Facts) -> &'static str {
    match (facts.openvswitch, facts.openvswitch_btf) {
        (false, _) => "not loaded",
        (true, true) => "loaded, with BTF",
        (true, false) => "loaded, without BTF",
    }
}

fn memory(diagnosis: &Diagnosis) -> String {
    let memory = &diagnosis.memory;
    let row = |row: &super::model::MemoryRow| {
        let here = if row.here { "this machine" } else { "" };
        let mib = row.bytes as f64 / f64::from(1 << 20);
        [row.cpus.to_string(), format!("{mib:.1} MiB"), here.to_owned()]
    };
    format!(
        "Kernel memory with {} flows (--flows); 1000 probe flows add {} KiB\n{}",
        memory.flows,
        memory.bytes_per_1000_probe_flows / 1024,
        table(["CPUs", "memory", ""], memory.by_cpus.iter().map(row)),
    )
}
