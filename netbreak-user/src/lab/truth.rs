//! How many packets have died, by the kernel's own count.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Lab, Role, Truth};
use crate::counters;
use crate::netns::Namespace;

/// `None` where nobody counts. SNMP counters stood at `baseline` before anything died.
pub(super) fn read(lab: &Lab, truth: Truth, baseline: u64) -> Result<Option<u64>> {
    match truth {
        Truth::Everything => Ok(None),
        Truth::Nft(role, family, table) => {
            let argv = ["nft", "-j", "list", "counter", family, table, "died"];
            let counter = json(lab, role, &argv)?;
            packets(&counter, "/nftables/1/counter/packets")
        }
        Truth::Qdisc(role, device, kind) => {
            let qdisc = json(lab, role, &["tc", "-s", "-j", "qdisc", "show", "dev", device, kind])?;
            packets(&qdisc, "/0/drops")
        }
        Truth::Snmp(role, names) => Ok(Some(snmp(lab, role, names)?.saturating_sub(baseline))),
        Truth::Iptables(role, program, table, chain) => {
            let argv = [program, "-w", "-t", table, "-L", chain, "1", "-n", "-v", "-x"];
            let output = lab.exec(role, &argv)?;
            let text = String::from_utf8_lossy(&output.stdout);
            let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
            first.map(Some).with_context(|| format!("{program} shows no packets in `{text}`"))
        }
    }
}

/// What the sum of some SNMP counters is, since the namespace's birth.
pub(super) fn snmp(lab: &Lab, role: Role, names: &[&str]) -> Result<u64> {
    let namespace = Namespace::open(lab.namespace(role).path())?;
    let taken = counters::take(std::slice::from_ref(&namespace));
    let counted = taken.namespaces.get(&namespace.inode());
    let value = |name: &&str| {
        let value = counted.and_then(|counters| counters.get(name));
        value
            .with_context(|| format!("no counter {name} in the {}: {}", role.name(), taken.failed.join("; ")))
    };
    names.iter().map(value).sum()
}

fn json(lab: &Lab, role: Role, argv: &[&str]) -> Result<Value> {
    let output = lab.exec(role, argv)?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("`{}` wrote no JSON", argv.join(" ")))
}

fn packets(value: &Value, pointer: &str) -> Result<Option<u64>> {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.map(Some).with_context(|| format!("no {pointer} in {value}"))
}
