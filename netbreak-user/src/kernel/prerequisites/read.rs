//! Reads the facts.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Capabilities, Facts, parse};
use crate::kernel::Symbols;

/// The first user namespace's inode number (include/linux/proc_ns.h, `PROC_USER_INIT_INO`).
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

impl Facts {
    /// Of this machine and the calling thread.
    pub fn read() -> Self {
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            possible_cpus: aya::util::nr_cpus().ok().map(|cpus| cpus as u32),
            capabilities: Capabilities::of_this_thread(),
            ..Self::read_below(Path::new("/"))
        }
    }

    /// What stands in files, with `root` for `/`.
    fn read_below(root: &Path) -> Self {
        let at = |path: &str| -> PathBuf { root.join(path) };
        let text = |path: &str| fs::read_to_string(at(path)).ok();
        Self {
            btf_bytes: fs::metadata(at("sys/kernel/btf/vmlinux")).ok().map(|file| file.len()),
            lockdown: text("sys/kernel/security/lockdown").and_then(|text| parse::lockdown(&text)),
            initial_user_namespace: fs::metadata(at("proc/self/ns/user"))
                .ok()
                .map(|namespace| namespace.ino() == INITIAL_USER_NAMESPACE),
            kptr_restrict: text("proc/sys/kernel/kptr_restrict").and_then(number),
            perf_event_paranoid: text("proc/sys/kernel/perf_event_paranoid").and_then(number),
            kernel_addresses: text("proc/kallsyms").map(|text| !Symbols::parse(&text).is_empty()),
            tracefs: text("proc/self/mounts").and_then(|text| parse::mount_of(&text, "tracefs")),
            unprivileged_bpf_disabled: text("proc/sys/kernel/unprivileged_bpf_disabled").and_then(number),
            bpf_stats_enabled: text("proc/sys/kernel/bpf_stats_enabled").and_then(number),
            openvswitch: at("sys/module/openvswitch").exists(),
            openvswitch_btf: at("sys/kernel/btf/openvswitch").exists(),
            ..Self::default()
        }
    }
}

fn number<T: FromStr>(text: String) -> Option<T> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::prerequisites::Lockdown;

    #[test]
    fn a_bare_machine_has_no_facts_and_no_error() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Facts::read_below(root.path()), Facts::default());
    }

    #[test]
    fn files_become_facts() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("sys/kernel/btf/vmlinux", "1234"),
            ("sys/kernel/btf/openvswitch", ""),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
            ("sys/module/openvswitch/refcnt", "0"),
            ("proc/sys/kernel/kptr_restrict", "2\n"),
            ("proc/sys/kernel/perf_event_paranoid", "-1\n"),
            ("proc/kallsyms", "0000000000000000 T _text\n"),
            ("proc/self/mounts", "t /sys/kernel/tracing tracefs rw 0 0\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let expected = Facts {
            btf_bytes: Some(4),
            lockdown: Some(Lockdown::Integrity),
            kptr_restrict: Some(2),
            perf_event_paranoid: Some(-1),
            kernel_addresses: Some(false),
            tracefs: Some("/sys/kernel/tracing".to_owned()),
            openvswitch: true,
            openvswitch_btf: true,
            ..Facts::default()
        };
        assert_eq!(Facts::read_below(root.path()), expected);
    }

    #[test]
    fn this_machine_has_the_facts_that_every_kernel_has() {
        let facts = Facts::read();
        assert!(!facts.kernel.is_empty() && facts.possible_cpus > Some(0), "{facts:?}");
        assert!(facts.kptr_restrict.is_some() && facts.initial_user_namespace.is_some(), "{facts:?}");
    }
}
