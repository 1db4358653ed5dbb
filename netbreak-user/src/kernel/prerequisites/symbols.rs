//! Why kernel functions have no names, and what would name them.

use super::Facts;

/// Why there are none, and what turns them on; `None` if /proc/kallsyms shows addresses.
pub fn no_symbols(facts: &Facts) -> Option<(&'static str, &'static str)> {
    // kernel/ksyms_common.c, `kallsyms_show_value`: with 2 not even CAP_SYSLOG helps.
    match (facts.kernel_addresses, facts.kptr_restrict) {
        (Some(true), _) => None,
        (None, _) => Some(("/proc/kallsyms cannot be read", "a kernel built with CONFIG_KALLSYMS=y")),
        (Some(false), Some(2..)) => {
            Some(("kernel.kptr_restrict is 2", "`sysctl kernel.kptr_restrict=1`, and CAP_SYSLOG"))
        }
        // That function asks for the capability in the first user namespace.
        (Some(false), _) if facts.capabilities.has("CAP_SYSLOG") => Some((
            "/proc/kallsyms hides the addresses in spite of CAP_SYSLOG",
            "to run in the machine's first user namespace, with /proc/kallsyms as the kernel writes it",
        )),
        (Some(false), _) => Some(("/proc/kallsyms hides the addresses", "CAP_SYSLOG (root has it)")),
    }
}

/// [`no_symbols`] in one line.
pub fn explain_no_symbols(facts: &Facts) -> String {
    match no_symbols(facts) {
        Some((why, turn_on)) => format!("{why}; what turns them on: {turn_on}"),
        None => "/proc/kallsyms could not be read when the run ended; it can be now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hides_them_is_to_be_changed() {
        for (shown, restrict, advice) in [
            (Some(false), Some(2), Some("kptr_restrict=1")),
            (Some(false), Some(1), Some("CAP_SYSLOG (root")),
            (Some(false), Some(0), Some("CAP_SYSLOG (root")),
            (Some(false), None, Some("CAP_SYSLOG (root")),
            (None, Some(1), Some("CONFIG_KALLSYMS")),
            (Some(true), Some(1), None),
        ] {
            let facts = Facts { kernel_addresses: shown, kptr_restrict: restrict, ..Facts::default() };
            let turn_on = no_symbols(&facts).map(|(_, turn_on)| turn_on);
            assert_eq!(turn_on.is_some(), advice.is_some());
            assert!(turn_on.zip(advice).is_none_or(|(said, advice)| said.contains(advice)), "{turn_on:?}");
        }
        let root =
            Facts { kernel_addresses: Some(false), capabilities: ["CAP_SYSLOG"].into(), ..Facts::default() };
        assert!(explain_no_symbols(&root).contains("first user namespace"));
    }
}
