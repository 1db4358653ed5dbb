//! Which of the neighbours that did not answer packets may have waited for.

use std::net::IpAddr;

use super::{Change, Evidence};
use crate::clock::{Nanos, SECOND};

/// So much later than a packet its neighbour may fail: three requests a second apart (`mcast_solicit`, `retrans_time`), and
/// longer.
pub const NEIGHBOUR_WAIT: Nanos = 4 * SECOND;

/// Of failed neighbours those that may be the next hop of what is for `target`: the target itself if it is one of them,
/// else those of its family, rather such that are no targets themselves.
pub fn next_hops<'a>(evidence: &Evidence, target: IpAddr, failed: Vec<&'a Change>) -> Vec<&'a Change> {
    // Of another node's probe it is not known here.
    if target.is_unspecified() {
        return failed;
    }
    let only = |is_meant: &dyn Fn(IpAddr) -> bool| -> Vec<&'a Change> {
        failed.iter().filter(|change| address(change).is_some_and(is_meant)).copied().collect()
    };
    let is_target = |address| evidence.records.iter().any(|record| record.address == address);
    let choices: [&dyn Fn(IpAddr) -> bool; 3] = [
        &|address| address == target,
        &|address| address.is_ipv4() == target.is_ipv4() && !is_target(address),
        &|address| address.is_ipv4() == target.is_ipv4(),
    ];
    choices.iter().map(|choice| only(choice)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// `10.0.0.1` of the key `10.0.0.1/24`.
pub fn address(change: &Change) -> Option<IpAddr> {
    change.key.split('/').next()?.parse().ok()
}
