//! The faults that the lab knows, in one table.
//!
//! Most rules hit exactly the probes' packets, never ARP or neighbour discovery: so the kernel's count is the
//! number of probe packets that died.

/// The table `netbreak` with the counter `died` at 0 and one chain, in one transaction. Its undo empties the chain
/// and leaves the counter, so that it can be read when nothing is added any more; the next fault makes it anew.
macro_rules! table {
    ($family:literal, $hook:literal, $rules:expr) => {
        concat!(
            "add table ",
            $family,
            " netbreak\ndelete table ",
            $family,
            " netbreak\ntable ",
            $family,
            " netbreak {\n counter died { }\n chain probes {\n type filter hook ",
            $hook,
            ";\n",
            $rules,
            "\n }\n}\n"
        )
    };
}

mod link;
mod netfilter;
mod route;
mod socket;

use std::sync::LazyLock;

use super::Fault;
use crate::probe::Kind;

/// Every fault, in the order of `netbreak demo --list`.
pub static FAULTS: LazyLock<Vec<&'static Fault>> = LazyLock::new(|| {
    [netfilter::FAULTS, route::FAULTS, link::FAULTS, socket::FAULTS].into_iter().flatten().collect()
});

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().copied().find(|fault| fault.name == name)
}

const ALL: &[Kind] = &[Kind::Icmp, Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let mut names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|n| find(n).is_some_and(|f| f.name == *n)));
        assert!(find("none-of-these").is_none());
    }

    #[test]
    fn what_the_demo_shows_needs_no_other_program() {
        use crate::lab::Need;
        for fault in FAULTS.iter().filter(|f| f.demo) {
            assert!(matches!(fault.needs, Need::Iproute2 | Need::Nftables), "{}", fault.name);
            assert!(fault.arguments.is_empty() && fault.probes.contains(&Kind::Icmp), "{}", fault.name);
        }
    }
}
