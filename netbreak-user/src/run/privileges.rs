//! Giving up privileges as soon as they are not needed any more.

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// What the thread that reads maps and counters still needs: maps (`bpf(2)`), other namespaces' counters (`setns`),
/// and names of kernel functions where `kptr_restrict` is 1.
pub(crate) const READER: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::SYS_ADMIN).union(CapabilitySet::SYSLOG);

/// What the thread that probes still needs once its raw sockets are open: entering its flows into a map.
pub(super) const PROBER: CapabilitySet = CapabilitySet::BPF;

/// What a thread that starts one run after another needs for the next: what [`READER`] and [`PROBER`] keep, attaching
/// programs, raw sockets with room beyond `net.core.rmem_max`, and finding the namespaces of other processes and whose
/// sockets are whose.
pub(crate) const STARTER: CapabilitySet = READER
    .union(PROBER)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// Drops all capabilities of the calling thread but `needed`. Threads that it starts inherit what is left.
///
/// Failing is not an error: a thread that may not change its capabilities runs with those that it has.
pub(crate) fn keep_only(needed: CapabilitySet) {
    if let Ok(now) = capabilities(None) {
        let kept = now.permitted & needed;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        let _ = set_capabilities(None, sets);
    }
}
