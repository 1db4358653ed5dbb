//! The score of every fault on this kernel.
//!
//! `cargo xtask lab score [FILTER]` prints the table. NETBREAK_FAULT is a part of the names of the cases to run.

use netbreak_user::lab::FAULTS;

use crate::common::skipped;
use crate::score::{Case, Pace, all, all_pass};

/// Labs at one time: a run mostly waits.
const WORKERS: usize = 4;

#[test]
fn every_fault_is_located_and_counted() {
    if skipped(&["ip", "tc", "nft", "iptables", "iptables-legacy", "ip6tables-legacy", "ethtool"]) {
        return;
    }
    let filter = std::env::var("NETBREAK_FAULT").unwrap_or_default();
    let cases: Vec<Case> = all(&FAULTS).into_iter().filter(|case| case.name.contains(&filter)).collect();
    assert!(!cases.is_empty(), "no case has {filter:?} in its name");
    all_pass(&cases, WORKERS, Pace::Native);
}
