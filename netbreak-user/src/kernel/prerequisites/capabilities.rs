//! Which capabilities there are, which are needed, and for what.

use std::collections::BTreeSet;

use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

use super::Facts;

/// Capabilities by name, such as `CAP_BPF`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeSet<String>);

/// A capability that is not there, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Such as `CAP_BPF`.
    pub capability: String,
    /// What cannot be done without it.
    #[serde(rename = "for")]
    pub purpose: String,
}

impl Capabilities {
    /// The calling thread's effective ones; none when the kernel does not tell.
    pub fn of_this_thread() -> Self {
        let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        Self(effective.iter_names().map(|(name, _)| format!("CAP_{name}")).collect())
    }

    /// Is `name` among them?
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl<const N: usize> From<[&str; N]> for Capabilities {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).into())
    }
}

/// What netbreak could use and this process does not have, most important first.
///
/// CAP_SYS_ADMIN contains CAP_BPF and CAP_PERFMON (include/linux/capability.h, `bpf_capable` and `perfmon_capable`), as
/// it was before these were split off in 5.8.
pub fn missing_capabilities(facts: &Facts) -> Vec<Missing> {
    let have = |name| facts.capabilities.has(name);
    let administrator = have("CAP_SYS_ADMIN");
    let mut missing = Vec::new();
    let mut need = |there: bool, capability: &str, purpose: &str| {
        if !there {
            missing.push(Missing { capability: capability.to_owned(), purpose: purpose.to_owned() });
        }
    };
    need(administrator || have("CAP_BPF"), "CAP_BPF", "load the programs and their maps");
    need(administrator || have("CAP_PERFMON"), "CAP_PERFMON", "attach them to tracepoints");
    need(have("CAP_NET_RAW"), "CAP_NET_RAW", "icmp probes");
    need(administrator, "CAP_SYS_ADMIN", "--netns, and counters of other network namespaces");
    need(have("CAP_SYS_PTRACE"), "CAP_SYS_PTRACE", "find network namespaces that only processes hold");
    need(shows_addresses(facts), "CAP_SYSLOG", "names of kernel functions");
    missing
}

/// CAP_SYSLOG is missing only where it would help: not with kptr_restrict=2 (kernel/ksyms_common.c,
/// `kallsyms_show_value`).
fn shows_addresses(facts: &Facts) -> bool {
    facts.kernel_addresses != Some(false)
        || facts.capabilities.has("CAP_SYSLOG")
        || facts.kptr_restrict.is_some_and(|restrict| restrict > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(capabilities: Capabilities, kptr_restrict: i32, shown: bool) -> Vec<String> {
        let facts = Facts {
            capabilities,
            kptr_restrict: Some(kptr_restrict),
            kernel_addresses: Some(shown),
            ..Facts::default()
        };
        missing_capabilities(&facts).into_iter().map(|missing| missing.capability).collect()
    }

    #[test]
    fn nobody_misses_all() {
        let all = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYSLOG"];
        assert_eq!(missing(Capabilities::default(), 1, false), all);
        assert_eq!(missing(Capabilities::default(), 2, false), all[..5]);
        assert_eq!(missing(Capabilities::default(), 0, true), all[..5]);
    }

    #[test]
    fn sys_admin_contains_bpf_and_perfmon() {
        let have = ["CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE"];
        assert_eq!(missing(have.into(), 0, true), [""; 0]);
        let have = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_RAW", "CAP_SYS_PTRACE"];
        assert_eq!(missing(have.into(), 0, true), ["CAP_SYS_ADMIN"]);
    }
}
