//! Which messages about neighbours tell something: a next hop that stopped or began to answer, moved, or was removed.
//!
//! A healthy neighbour goes round reachable, stale, delay and probe all day, and the kernel tells each step.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};

use super::event::{Said, Turn, What};
use super::links::hex;
use crate::clock::Nanos;

/// So many neighbours of a namespace are remembered, four times what the kernel keeps by default (`gc_thresh3`). Of
/// those beyond, each message of a failure is told.
const MOST: usize = 4096;

/// What is known of one.
#[derive(Debug, Clone, Default)]
struct Known {
    link_address: Option<Vec<u8>>,
    failed: Option<Nanos>,
}

/// The neighbours of one namespace as far as they were told.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    known: BTreeMap<(u32, IpAddr), Known>,
}

impl Neighbours {
    /// Takes a neighbour that is there at the begin. One that is being asked for has not failed by that.
    pub(super) fn learn(&mut self, message: &NeighbourMessage) {
        if message.header.state != NeighbourState::Incomplete {
            drop(self.is(0, message, String::new()));
        }
    }

    /// Takes a neighbour that is new or changed; `device` is its device's name.
    pub(super) fn is(&mut self, at: Nanos, message: &NeighbourMessage, device: String) -> Option<Said> {
        let (ifindex, address) = key(message)?;
        let said = |turn, what: &str| said(ifindex, address, device, turn, what);
        let before = self.known.get(&(ifindex, address)).cloned();
        let failed_before = before.as_ref().is_some_and(|known| known.failed.is_some());
        match message.header.state {
            // Of one that is being asked for the kernel tells nothing but this: it failed, and the next packet had it asked
            // for again before that was told (`neigh_invalidate` lets go of the lock, net/core/neighbour.c).
            NeighbourState::Failed | NeighbourState::Incomplete => {
                self.remember((ifindex, address), Known { failed: Some(at), ..before.unwrap_or_default() });
                // The kernel asks again for each packet, and fails again.
                (!failed_before).then(|| said(Turn::Gone, "failed"))
            }
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => {
                let link_address = link_address(message);
                let old = before.and_then(|known| known.link_address);
                self.remember((ifindex, address), Known { link_address: link_address.clone(), failed: None });
                let words = link_address.as_deref().map(hex).unwrap_or_default();
                match old {
                    Some(old) if link_address.as_ref().is_some_and(|new| *new != old) => {
                        let turn = if failed_before { Turn::Back } else { Turn::Neither };
                        Some(said(turn, &format!("is at {words}, was at {}", hex(&old))))
                    }
                    _ if failed_before => Some(said(Turn::Back, "answered again")),
                    _ => None,
                }
            }
            // A device without link addresses.
            _ => None,
        }
    }

    /// Takes a neighbour as it is when all is over: `Some` if it has not answered yet, and nothing told so.
    pub(super) fn at_the_end(&self, message: &NeighbourMessage, device: String) -> Option<Said> {
        let (ifindex, address) = key(message)?;
        let is_told = self.known.get(&(ifindex, address)).is_some_and(|known| known.failed.is_some());
        (message.header.state == NeighbourState::Incomplete && !is_told)
            .then(|| said(ifindex, address, device, Turn::Gone, "had not answered yet"))
    }

    /// Takes a neighbour that the kernel removed at `at`.
    pub(super) fn is_gone(&mut self, at: Nanos, message: &NeighbourMessage, device: String) -> Option<Said> {
        let (ifindex, address) = key(message)?;
        // Somebody who removes one lets it fail first (`neigh_delete` in net/core/neighbour.c); the kernel tidies up
        // failed ones and unused stale ones seconds later.
        let deleted = self.known.get(&(ifindex, address)).is_some_and(|known| known.failed == Some(at));
        let what = match message.header.state {
            // Nobody will learn it again.
            NeighbourState::Permanent => "removed, was permanent",
            NeighbourState::Reachable | NeighbourState::Delay | NeighbourState::Probe => "removed",
            _ if deleted => "removed",
            _ => return None,
        };
        Some(said(ifindex, address, device, Turn::Gone, what))
    }

    /// The device is gone, and with it all that was known of its neighbours.
    pub(super) fn forget(&mut self, ifindex: u32) {
        self.known.retain(|(of, _), _| *of != ifindex);
    }

    fn remember(&mut self, key: (u32, IpAddr), known: Known) {
        if self.known.len() < MOST || self.known.contains_key(&key) {
            self.known.insert(key, known);
        }
    }
}

/// Only IP has next hops: a bridge's table of link addresses comes in the same messages.
fn key(message: &NeighbourMessage) -> Option<(u32, IpAddr)> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })?;
    Some((message.header.ifindex, address))
}

fn link_address(message: &NeighbourMessage) -> Option<Vec<u8>> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(address) => Some(address.clone()),
        _ => None,
    })
}

fn said(ifindex: u32, address: IpAddr, device: String, turn: Turn, what: &str) -> Said {
    let (key, detail) = (address.to_string(), format!("{address} {what}"));
    Said { what: What::Neighbour, ifindex, device, key, turn, subnet: None, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NeighbourState::{Delay, Failed, Incomplete, Noarp, Permanent, Probe, Reachable, Stale};
    use netlink_packet_route::AddressFamily;

    fn message(state: NeighbourState, link_address: u8) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = 3;
        message.header.state = state;
        message
            .attributes
            .push(NeighbourAttribute::Destination(NeighbourAddress::Inet([10, 0, 0, 1].into())));
        if link_address != 0 {
            message.attributes.push(NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, link_address]));
        }
        message
    }

    /// New (`true`) or removed, at a time, in a state, with a link address, and what is said of it.
    fn tell(steps: &[(bool, Nanos, NeighbourState, u8, &str)]) {
        let mut neighbours = Neighbours::default();
        for (new, at, state, link_address, expected) in steps {
            let (message, device) = (message(*state, *link_address), "c0".to_owned());
            let said = match new {
                true => neighbours.is(*at, &message, device),
                false => neighbours.is_gone(*at, &message, device),
            };
            let said = said.map_or(String::new(), |said| format!("{:?} {}", said.turn, said.detail));
            assert_eq!(said, *expected, "{state:?} at {at}");
        }
    }

    #[test]
    fn a_healthy_neighbour_says_nothing() {
        tell(&[
            (true, 2, Reachable, 1, ""),
            (true, 3, Stale, 1, ""),
            (true, 4, Delay, 1, ""),
            (true, 5, Probe, 1, ""),
            (true, 6, Reachable, 1, ""),
            (true, 7, Stale, 1, ""),
            (false, 9, Stale, 1, ""),
        ]);
    }

    #[test]
    fn a_failure_that_the_next_packet_overtook_is_told() {
        tell(&[
            (true, 1, Reachable, 1, ""),
            (false, 2, Stale, 1, ""),
            (true, 3, Incomplete, 0, "Gone 10.0.0.1 failed"),
            (true, 4, Reachable, 1, "Back 10.0.0.1 answered again"),
        ]);
        // It never answered, and each of its failures is overtaken.
        tell(&[(true, 1, Incomplete, 0, "Gone 10.0.0.1 failed"), (true, 2, Incomplete, 0, "")]);
    }

    #[test]
    fn who_is_asked_for_at_the_begin_has_not_failed() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(&message(Incomplete, 0));
        neighbours.learn(&message(Failed, 0));
        assert_eq!(
            neighbours.is(1, &message(Reachable, 1), String::new()).map(|said| said.turn),
            Some(Turn::Back)
        );
        let mut neighbours = Neighbours::default();
        neighbours.learn(&message(Incomplete, 0));
        assert_eq!(neighbours.is(1, &message(Reachable, 1), String::new()), None);
    }

    #[test]
    fn a_failure_is_told_once_and_so_is_its_end() {
        tell(&[
            (true, 1, Reachable, 1, ""),
            (true, 2, Failed, 0, "Gone 10.0.0.1 failed"),
            (true, 3, Incomplete, 0, ""),
            (true, 4, Failed, 0, ""),
            (false, 5, Failed, 0, ""),
            (true, 6, Failed, 0, ""),
            (true, 7, Stale, 1, "Back 10.0.0.1 answered again"),
            (true, 8, Failed, 0, "Gone 10.0.0.1 failed"),
            (true, 9, Reachable, 2, "Back 10.0.0.1 is at 02:00:00:00:00:02, was at 02:00:00:00:00:01"),
        ]);
    }

    #[test]
    fn who_is_asked_for_at_the_end_has_not_answered() {
        let mut neighbours = Neighbours::default();
        let told = |neighbours: &Neighbours, state| {
            let said = neighbours.at_the_end(&message(state, 0), "c0".to_owned());
            said.map(|said| (said.turn, said.detail))
        };
        let waits = Some((Turn::Gone, "10.0.0.1 had not answered yet".to_owned()));
        assert_eq!(told(&neighbours, Incomplete), waits);
        assert_eq!(told(&neighbours, Stale), None);
        neighbours.is(1, &message(Failed, 0), "c0".to_owned());
        assert_eq!(told(&neighbours, Incomplete), None, "that it failed was told");
    }

    #[test]
    fn another_link_address_and_a_removal_are_told() {
        tell(&[
            (true, 1, Reachable, 1, ""),
            (true, 2, Permanent, 2, "Neither 10.0.0.1 is at 02:00:00:00:00:02, was at 02:00:00:00:00:01"),
            // `ip neighbour delete`
            (true, 3, Failed, 0, "Gone 10.0.0.1 failed"),
            (false, 3, Failed, 0, "Gone 10.0.0.1 removed"),
            (true, 4, Reachable, 2, "Back 10.0.0.1 answered again"),
            (false, 5, Reachable, 2, "Gone 10.0.0.1 removed"),
            (false, 6, Permanent, 2, "Gone 10.0.0.1 removed, was permanent"),
        ]);
    }

    #[test]
    fn what_is_no_next_hop_is_none() {
        let mut neighbours = Neighbours::default();
        assert_eq!(neighbours.is(1, &message(Noarp, 1), "lo".to_owned()), None);
        let mut bridge = message(Failed, 1);
        bridge.attributes.remove(0);
        assert_eq!(neighbours.is(1, &bridge, "br0".to_owned()), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut neighbours = Neighbours::default();
        for ifindex in 0..MOST as u32 + 10 {
            let mut message = message(Failed, 1);
            message.header.ifindex = ifindex;
            assert!(neighbours.is(1, &message, String::new()).is_some());
        }
        assert_eq!(neighbours.known.len(), MOST);
        neighbours.forget(0);
        assert_eq!(neighbours.known.len(), MOST - 1);
    }
}
