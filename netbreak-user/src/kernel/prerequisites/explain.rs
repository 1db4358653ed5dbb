//! Why the kernel side cannot start, in words that say what to do.

use std::error::Error;

use super::{Facts, Lockdown, missing_capabilities};
use crate::kernel::StartError;

/// `error` with what is known to cause it on such a machine, and what to do next. One line.
pub fn explain_start_error(error: &StartError, facts: &Facts) -> String {
    let advice = turn_on(error, facts);
    let error = in_full(error);
    // Who lacks the one lacks the other as a rule: both are named, so that nobody has to come back for more.
    let raw = match missing_capabilities(facts).iter().any(|missing| missing.capability == "CAP_NET_RAW") {
        true => " (icmp probes need CAP_NET_RAW as well)",
        false => "",
    };
    format!("{error}. {advice}{raw}, or probe without the kernel side (--no-kernel)")
}

/// An error and its sources, each said once: what the system answered is often only in the last.
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}

/// What would make the kernel side start, without a full stop.
pub fn turn_on(error: &StartError, facts: &Facts) -> String {
    if facts.btf_bytes.is_none() && matches!(error, StartError::Btf(_)) {
        return "Boot a kernel with BTF, or mount /sys".to_owned();
    }
    if matches!(error, StartError::Btf(_)) {
        return format!("Kernel {} lays out its packets in a way that netbreak does not know", facts.kernel);
    }
    let missing: Vec<String> = missing_capabilities(facts)
        .into_iter()
        .filter(|missing| ["CAP_BPF", "CAP_PERFMON"].contains(&missing.capability.as_str()))
        .map(|missing| format!("{} ({})", missing.capability, missing.purpose))
        .collect();
    if !missing.is_empty() {
        return format!("Missing {}: run as root, or give it these capabilities", missing.join(" and "));
    }
    if facts.initial_user_namespace == Some(false) {
        return "This is a user namespace, whose capabilities do not reach the kernel: run outside of it"
            .to_owned();
    }
    if facts.lockdown == Some(Lockdown::Confidentiality) {
        return "Lockdown is in confidentiality mode, which forbids BPF to read the kernel's memory: boot with \
                lockdown=integrity"
            .to_owned();
    }
    "The capabilities are there: look for a security module or a container runtime that forbids bpf(2), and at \
     `dmesg`"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::BtfError;
    use crate::kernel::prerequisites::Capabilities;

    fn refused() -> StartError {
        StartError::Mandatory("Operation not permitted (os error 1)".to_owned())
    }

    fn root() -> Facts {
        Facts {
            btf_bytes: Some(5_000_000),
            capabilities: ["CAP_SYS_ADMIN", "CAP_NET_RAW"].into(),
            initial_user_namespace: Some(true),
            ..Facts::default()
        }
    }

    #[test]
    fn what_the_system_answered_is_said_once() {
        let answer = std::io::Error::from_raw_os_error(1);
        let map = aya::maps::MapError::CreateError { name: "FLOWS4".to_owned(), io_error: answer };
        let error = StartError::Load(Box::new(map.into()));
        let text = in_full(&error);
        assert!(text.ends_with("`FLOWS4`: Operation not permitted (os error 1)"), "{text}");
        assert_eq!(in_full(&refused()), refused().to_string());
    }

    #[test]
    fn each_cause_has_its_advice() {
        let no_btf = StartError::Btf(BtfError::Unreadable("No such file or directory".to_owned()));
        let no_member = StartError::Btf(BtfError::NoStruct("sk_buff".to_owned()));
        let nobody = Facts { capabilities: Capabilities::default(), ..root() };
        for (error, facts, expected) in [
            (no_btf, Facts { btf_bytes: None, ..root() }, "CONFIG_DEBUG_INFO_BTF=y"),
            (no_member, root(), "does not know"),
            (refused(), nobody, "CAP_BPF (load the programs and their maps) and CAP_PERFMON (attach"),
            (refused(), Facts { capabilities: ["CAP_BPF"].into(), ..root() }, "Missing CAP_PERFMON ("),
            (refused(), Facts { initial_user_namespace: Some(false), ..root() }, "user namespace"),
            (refused(), Facts { lockdown: Some(Lockdown::Confidentiality), ..root() }, "lockdown=integrity"),
            (refused(), Facts { lockdown: Some(Lockdown::Integrity), ..root() }, "security module"),
        ] {
            let message = explain_start_error(&error, &facts);
            assert!(message.contains(expected), "{message}");
            assert!(
                message.starts_with(&error.to_string()) && message.ends_with("(--no-kernel)"),
                "{message}"
            );
        }
    }
}
