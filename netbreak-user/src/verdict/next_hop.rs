//! Which of the neighbours that did not answer packets may have waited for.

use std::net::IpAddr;

use netbreak_common::LEG_REQUEST;

use super::{Change, Evidence};
use crate::{
    clock::{Nanos, SECOND},
    report::Leg,
    watch::{Turn, What},
};

/// So much later than a packet its neighbour may fail: three requests a second apart (`mcast_solicit`, `retrans_time`), and
/// longer.
pub const NEIGHBOUR_WAIT: Nanos = 4 * SECOND;

/// Of failed neighbours those that may be the next hop of what is for `target`, or on its way back from there: whom it is
/// for if that is one of them, else those of its family, rather such that are no targets of any probe.
pub fn next_hops<'a>(
    evidence: &Evidence,
    leg: Leg,
    target: IpAddr,
    failed: Vec<&'a Change>,
) -> Vec<&'a Change> {
    // Of another node's probe it is not known here.
    if target.is_unspecified() {
        return failed;
    }
    let only = |is_meant: &dyn Fn(IpAddr) -> bool| -> Vec<&'a Change> {
        failed.iter().filter(|change| address(change).is_some_and(is_meant)).copied().collect()
    };
    let is_for = |address| match leg {
        Leg::Reply => evidence.names.device_of(evidence.netns, address).is_some(),
        Leg::Request | Leg::Unknown => address == target,
    };
    let is_target = |address| evidence.records.iter().any(|record| record.address == address);
    let choices: [&dyn Fn(IpAddr) -> bool; 3] =
        [&is_for, &|address| address.is_ipv4() == target.is_ipv4() && !is_target(address), &|address| {
            address.is_ipv4() == target.is_ipv4()
        }];
    choices.iter().map(|choice| only(choice)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// A neighbour, of those that `concerns` holds for, that may be the next hop to `target`, or on the way back from there, and did
/// not answer while a packet waited that was there `at` that time. Without a target it may be any of them.
pub fn silent<'a>(
    evidence: &Evidence<'a>,
    (leg, target): (Leg, Option<IpAddr>),
    at: Nanos,
    concerns: impl Fn(&Change) -> bool,
) -> Option<&'a Change> {
    let is_silent = |change: &&Change| {
        change.what == What::Neighbour
            && change.turn == Turn::Gone
            && change.at <= at + NEIGHBOUR_WAIT
            && change.until.is_none_or(|until| until >= at)
            && concerns(change)
    };
    let silent: Vec<&Change> = evidence.changes.iter().filter(is_silent).collect();
    let silent = match target {
        Some(target) => next_hops(evidence, leg, target, silent),
        None => silent,
    };
    silent.first().copied()
}

/// The device by which packets of a probe left its own host while they were answered, by its index.
pub fn way_out(evidence: &Evidence, probe: usize) -> Option<u32> {
    let mut walks = evidence.trails.walks.iter().filter(|walk| walk.probe as usize == probe);
    let first =
        walks.find_map(|walk| walk.legs[usize::from(LEG_REQUEST)].iter().find(|hop| hop.ifindex != 0))?;
    (first.netns == evidence.netns).then_some(first.ifindex)
}

/// `10.0.0.1` of the key `10.0.0.1/24`.
pub fn address(change: &Change) -> Option<IpAddr> {
    change.key.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::Trails,
        probe::{Kind, Record},
        verdict::tests::build::{Around, LOCAL, record, with_all},
    };

    #[test]
    fn whom_it_is_for_goes_before_a_router_and_that_before_another_target() {
        let change = |key: &str| Change {
            at: 1,
            until: None,
            netns: 7,
            ifindex: 3,
            device: "c0".to_owned(),
            what: What::Neighbour,
            key: key.to_owned(),
            turn: Turn::Gone,
            subnet: None,
            detail: format!("{key} failed"),
        };
        let local = LOCAL.to_string();
        let changes = ["fd00::1", "10.0.0.98", "10.0.0.99", "10.0.0.1", &local].map(change);
        let records = ["10.0.0.98", "10.0.0.99"]
            .map(|address| Record { address: address.parse().unwrap(), ..record(Kind::Icmp, Vec::new()) });
        let on = |leg, target: &str, failed: &[usize]| -> Vec<&str> {
            let failed = failed.iter().map(|index| &changes[*index]).collect();
            let around = Around::default();
            let found = with_all(&records, &[], &Trails::default(), &around, |evidence| {
                next_hops(evidence, leg, target.parse().unwrap(), failed)
            });
            found.into_iter().map(|change| change.key.as_str()).collect()
        };
        let meant = |target, failed| on(Leg::Request, target, failed);
        assert_eq!(meant("10.0.0.98", &[0, 1, 2, 3]), ["10.0.0.98"]);
        assert_eq!(meant("10.0.7.7", &[0, 1, 2, 3]), ["10.0.0.1"]);
        assert_eq!(meant("10.0.7.7", &[0, 1, 2]), ["10.0.0.98", "10.0.0.99"]);
        assert_eq!(meant("fd00:7::7", &[0, 1]), ["fd00::1"]);
        assert_eq!(meant("10.0.7.7", &[0]).len(), 0);
        assert_eq!(meant("0.0.0.0", &[0, 1]), ["fd00::1", "10.0.0.98"]);
        assert_eq!(on(Leg::Reply, "10.0.0.98", &[0, 1, 3, 4]), [&local]);
        assert_eq!(on(Leg::Reply, "10.0.0.98", &[0, 1, 3]), ["10.0.0.1"]);
    }
}
