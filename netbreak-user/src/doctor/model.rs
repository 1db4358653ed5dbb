//! The diagnosis, schema `netbreak.doctor/1`.

use serde::Serialize;

use crate::kernel::{
    memory,
    prerequisites::{Facts, Missing},
};
use crate::report::SensorState;

/// The value of [`Diagnosis::schema`].
pub const SCHEMA: &str = "netbreak.doctor/1";

/// CPUs of the table of memory, beside this machine's.
const CPUS: [u32; 3] = [2, 16, 128];

/// Everything that is known of this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: String,
    /// Can `kfree_skb` be attached? Without it a run has to do without the kernel side.
    pub can_trace: bool,
    /// Every sensor.
    pub sensors: Vec<Finding>,
    /// What the machine is like.
    pub facts: Facts,
    /// Capabilities that netbreak could use and this process does not have.
    pub missing_capabilities: Vec<Missing>,
    /// Kernel memory of the maps.
    pub memory: Memory,
}

/// One sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// As in reports, such as `kfree_skb`.
    pub name: String,
    /// Whether it works.
    pub state: SensorState,
    /// Why it is not fully on, or what is worth knowing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What would turn it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_on: Option<String>,
}

/// Kernel memory of the maps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// Flows of the flow table.
    pub flows: u32,
    /// Bytes on machines with so many possible CPUs, ascending; this machine's is among them if it is known.
    pub by_cpus: Vec<MemoryRow>,
    /// Bytes that every 1,000 probe flows add while they last.
    pub bytes_per_1000_probe_flows: u64,
}

/// Kernel memory on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryRow {
    /// Possible CPUs.
    pub cpus: u32,
    /// Bytes.
    pub bytes: u64,
    /// Is it this machine?
    pub here: bool,
}

pub(super) fn memory(flows: u32, here: Option<u32>) -> Memory {
    let mut cpus = CPUS.to_vec();
    cpus.extend(here);
    cpus.sort_unstable();
    cpus.dedup();
    let row = |cpus| MemoryRow { cpus, bytes: memory::total(flows, cpus), here: Some(cpus) == here };
    Memory {
        flows,
        by_cpus: cpus.into_iter().map(row).collect(),
        bytes_per_1000_probe_flows: memory::of_probe_flows(1000),
    }
}

/// Pretty-printed, with a newline at the end.
pub(super) fn json(diagnosis: &Diagnosis) -> String {
    let value = serde_json::to_string_pretty(diagnosis);
    // Only maps whose keys are no strings fail, and there are none.
    value.unwrap_or_else(|error| format!("{{\"schema\":\"{SCHEMA}\",\"error\":\"{error}\"}}")) + "\n"
}
