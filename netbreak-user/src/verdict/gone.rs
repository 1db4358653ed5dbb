//! Devices that could not be used when packets were to leave or to arrive by them.

use super::{Change, Names, daemons::SEEN_WITHIN, port::port};
use crate::{
    clock::Nanos,
    watch::{Turn, What},
};

/// Kinds of devices that take what tunnels carry from a UDP socket, which goes with them (`geneve_stop`, `vxlan_stop`).
const TUNNELS: [&str; 2] = ["geneve", "vxlan"];

/// The port of a datapath in this namespace that could not be used at this time, if it was the only one: that is where
/// packets were to leave by.
pub fn switch_port<'a>(
    names: &dyn Names,
    changes: &'a [Change],
    netns: u32,
    at: Nanos,
) -> Option<&'a Change> {
    only(changes, netns, at, |ifindex| port(names, netns, ifindex).is_some())
}

/// When this device could not be used at this time, if it could not.
pub fn device(changes: &[Change], netns: u32, ifindex: u32, at: Nanos) -> Option<&Change> {
    only(changes, netns, at, |of| of == ifindex)
}

/// The device of a tunnel in this namespace that could not be used at this time, if it was the only one.
pub fn tunnel<'a>(names: &dyn Names, changes: &'a [Change], netns: u32, at: Nanos) -> Option<&'a Change> {
    let kind = |ifindex| names.device(netns, ifindex)?.kind.as_deref();
    only(changes, netns, at, |ifindex| kind(ifindex).is_some_and(|kind| TUNNELS.contains(&kind)))
}

fn only(changes: &[Change], netns: u32, at: Nanos, is_meant: impl Fn(u32) -> bool) -> Option<&Change> {
    let mut found: Option<&Change> = None;
    for change in changes {
        let was_gone = change.what == What::Link
            && change.turn == Turn::Gone
            && change.netns == netns
            && change.at <= at + SEEN_WITHIN
            && change.until.is_none_or(|until| until + SEEN_WITHIN >= at)
            && is_meant(change.ifindex);
        if was_gone {
            if found.is_some_and(|other| other.device != change.device) {
                return None;
            }
            found = Some(change);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::verdict::tests::build::{INTERNAL, PORT_OF_SWITCH, ROUTER, TUNNEL, VETH, names};

    fn down((netns, ifindex): (u32, u32), at: Nanos, until: Option<Nanos>) -> Change {
        let (device, key) = (format!("if{ifindex}"), "state".to_owned());
        let (what, turn, detail) = (What::Link, Turn::Gone, "down".to_owned());
        Change { at, until, netns, ifindex, device, what, key, turn, subnet: None, detail }
    }

    #[test]
    fn the_one_port_that_was_down_is_meant() {
        let names = names();
        let changes = [down(INTERNAL, 2 * SECOND, Some(4 * SECOND)), down(VETH, 2 * SECOND, None)];
        let port = |changes, at| switch_port(&names, changes, ROUTER, at).map(|change| change.ifindex);
        assert_eq!(port(&changes, 3 * SECOND), Some(INTERNAL.1));
        assert_eq!(port(&changes, SECOND), None);
        assert_eq!(port(&changes, 5 * SECOND), None);
        let two = [down(INTERNAL, 2 * SECOND, None), down(PORT_OF_SWITCH, 2 * SECOND, None)];
        assert_eq!(port(&two, 3 * SECOND), None);
    }

    #[test]
    fn a_device_is_meant_itself() {
        let changes = [down(INTERNAL, SECOND, Some(2 * SECOND)), down(VETH, SECOND, None)];
        assert_eq!(device(&changes, ROUTER, VETH.1, SECOND).map(|change| change.ifindex), Some(VETH.1));
        assert!(device(&changes, ROUTER, INTERNAL.1, 3 * SECOND).is_none());
    }

    #[test]
    fn a_tunnel_is_known_by_its_kind() {
        let names = names();
        let changes = [down(INTERNAL, SECOND, None), down(TUNNEL, SECOND, Some(2 * SECOND))];
        let gone = |netns, at| tunnel(&names, &changes, netns, at).map(|change| change.ifindex);
        assert_eq!(gone(ROUTER, SECOND), Some(TUNNEL.1));
        assert_eq!(gone(ROUTER, 3 * SECOND), None);
        assert_eq!(gone(ROUTER + 1, SECOND), None);
    }
}
