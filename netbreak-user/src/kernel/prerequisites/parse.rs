//! The formats of the files that facts come from.

use serde::{Deserialize, Serialize};

/// Kernel lockdown (security/lockdown/lockdown.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lockdown {
    /// Nothing is forbidden.
    None,
    /// The kernel may not be changed: nothing that netbreak needs.
    Integrity,
    /// Kernel memory may not be read either, which the programs do (`LOCKDOWN_BPF_READ_KERNEL`).
    Confidentiality,
}

/// From `none [integrity] confidentiality`: the one in brackets.
pub(super) fn lockdown(text: &str) -> Option<Lockdown> {
    let (_, rest) = text.split_once('[')?;
    match rest.split_once(']')?.0 {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    }
}

/// Where a file system of type `kind` is mounted, from /proc/self/mounts.
pub(super) fn mount_of(mounts: &str, kind: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, found) = (fields.next()?, fields.next()?);
        (found == kind).then(|| place.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_is_the_one_in_brackets() {
        assert_eq!(lockdown("[none] integrity confidentiality\n"), Some(Lockdown::None));
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Some(Lockdown::Integrity));
        assert_eq!(lockdown("none integrity [confidentiality]\n"), Some(Lockdown::Confidentiality));
        assert_eq!(lockdown(""), None);
        assert_eq!(lockdown("[other]"), None);
    }

    #[test]
    fn a_mount_is_found_by_its_type() {
        let mounts = "proc /proc proc rw 0 0\nx /sys/kernel/tracing tracefs rw 0 0\n";
        assert_eq!(mount_of(mounts, "tracefs").as_deref(), Some("/sys/kernel/tracing"));
        assert_eq!(mount_of("tracefs /tracefs tmpfs rw 0 0\n", "tracefs"), None);
    }
}
