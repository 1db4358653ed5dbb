//! What the kernel side needs of a machine: facts, and what follows from them.
//!
//! [`Facts::read`] is the only IO. Nothing here ends a run: the kernel itself decides, and this says why.

mod capabilities;
mod explain;
mod parse;
mod read;
mod symbols;

pub use capabilities::{Capabilities, Missing, missing_capabilities};
pub use explain::{explain_start_error, in_full, turn_on};
pub use parse::Lockdown;
pub use symbols::{explain_no_symbols, no_symbols};

use serde::{Deserialize, Serialize};

/// What is known of the machine and of this process. Absent = it could not be read, or this kernel does not have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Kernel release, as `uname -r`.
    pub kernel: String,
    /// CPUs that the kernel can have: each has its own counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possible_cpus: Option<u32>,
    /// Bytes of the kernel's type information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_bytes: Option<u64>,
    /// What the kernel forbids even to root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<Lockdown>,
    /// Effective capabilities of the calling thread.
    pub capabilities: Capabilities,
    /// Is this the machine's first user namespace? Elsewhere a capability does not reach the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_user_namespace: Option<bool>,
    /// `kernel.kptr_restrict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kptr_restrict: Option<i32>,
    /// `kernel.perf_event_paranoid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perf_event_paranoid: Option<i32>,
    /// Does /proc/kallsyms show addresses to this process? Absent: there is no such file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_addresses: Option<bool>,
    /// Where tracefs is mounted. Nothing needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracefs: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unprivileged_bpf_disabled: Option<i32>,
    /// `kernel.bpf_stats_enabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpf_stats_enabled: Option<i32>,
    /// Is openvswitch loaded?
    pub openvswitch: bool,
    /// Does openvswitch have type information?
    pub openvswitch_btf: bool,
}
