//! The faults that the lab knows, in one table.
//!
//! Most rules hit exactly the probes' packets, never ARP or neighbour discovery: so the kernel's count is the
//! number of probe packets that died.

/// The table `netbreak` with the counter `died` at 0 and one chain, in one transaction. Its undo empties the chain
/// and leaves the counter, so that it can be read when nothing is added any more; the next fault makes it anew.
macro_rules! table {
    ($family:literal, $hook:literal, $($rules:expr),+) => {
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
            $($rules,)+
            "\n }\n}\n"
        )
    };
}

/// Counts requests of all probes and does something with them. Not ICMP errors, which may be of another time.
macro_rules! requests {
    ($where:literal, $verdict:literal) => {
        concat!(
            $where,
            " meta l4proto { tcp, udp } counter name died ",
            $verdict,
            "\n",
            $where,
            " icmp type echo-request counter name died ",
            $verdict,
            "\n",
            $where,
            " icmpv6 type echo-request counter name died ",
            $verdict
        )
    };
}

mod benign;
mod guest;
mod iptables;
mod link;
mod nat;
mod netfilter;
mod programs;
mod route;
mod sender;
mod socket;
mod tunnel;

use std::sync::LazyLock;

use super::{Effect, Family, Fault, Need, Truth, mirror};
use crate::probe::Kind;

/// Every fault, in the order of `netbreak demo --list`: each with its image for replies behind it, if it has one.
pub static FAULTS: LazyLock<Vec<&'static Fault>> = LazyLock::new(|| {
    let tables = [
        netfilter::FAULTS,
        iptables::FAULTS,
        route::FAULTS,
        sender::FAULTS,
        link::FAULTS,
        programs::FAULTS,
        socket::FAULTS,
        benign::FAULTS,
        nat::FAULTS,
        tunnel::FAULTS,
    ];
    let with_image = |fault: &'static Fault| {
        [Some(fault), fault.mirrors.then(|| mirror::image(fault))].into_iter().flatten()
    };
    tables.into_iter().flatten().flat_map(with_image).collect()
});

/// Faults inside what another fault builds, such as a tunnel: alone they hit nothing.
pub static INSIDE: &[Fault] = tunnel::INSIDE;

/// Faults that need a machine of their own, such as a guest: they change all of it, or need modules that many kernels are
/// built without.
pub static IN_GUESTS: &[Fault] = guest::FAULTS;

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().copied().chain(INSIDE).chain(IN_GUESTS).find(|fault| fault.name == name)
}

const ALL: &[Kind] = &[Kind::Icmp, Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream];
const TCP: &[Kind] = &[Kind::Tcp, Kind::Http, Kind::Stream];
const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];

/// What most faults have in common: all requests of both families die, nothing but iproute2 is needed, nobody counts.
const FAULT: Fault = Fault {
    name: "",
    summary: "",
    needs: Need::Iproute2,
    demo: true,
    probes: ALL,
    families: Family::ALL,
    effect: Effect::KillsAll,
    arguments: &[],
    service: None,
    apply: &[],
    undo: &[],
    expected: None,
    truth: Truth::Everything,
    mirrors: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Leg;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let all = || FAULTS.iter().copied().chain(INSIDE).chain(IN_GUESTS);
        let mut names: Vec<&str> = all().map(|fault| fault.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|n| find(n).is_some_and(|f| f.name == *n)));
        assert!(find("none-of-these").is_none());
    }

    #[test]
    fn what_the_demo_shows_needs_no_other_program() {
        // Its lab's server answers over IPv4, and the demo is about what breaks.
        for fault in FAULTS.iter().filter(|f| f.demo) {
            assert!(matches!(fault.needs, Need::Iproute2 | Need::Nftables), "{}", fault.name);
            assert!(fault.arguments.is_empty() && fault.probes.contains(&Kind::Icmp), "{}", fault.name);
            assert!(fault.families.contains(&Family::V4) && fault.expected.is_some(), "{}", fault.name);
        }
    }

    #[test]
    fn images_hit_replies_on_the_other_side() {
        let image = find("nft-ingress-reply").unwrap();
        assert_eq!(image.expected.map(|e| (e.leg, e.device)), Some((Leg::Reply, Some("r1"))));
        assert_eq!(image.summary, "the router drops replies in nft netdev ingress, before it looks at them");
        let images = FAULTS.iter().filter(|fault| fault.mirrors).count();
        assert!(images > 20 && FAULTS.iter().filter(|f| f.name.ends_with("-reply")).count() >= images);
    }

    #[test]
    fn only_a_fault_that_spares_all_expects_no_death() {
        for fault in FAULTS.iter().copied().chain(INSIDE) {
            assert_eq!(fault.expected.is_none(), fault.effect == Effect::Spares, "{}", fault.name);
        }
    }
}
