//! Copies that a switch sent where they do not belong: a packet does not get further by them.

use netbreak_common::{STAGE_BACKLOG, STAGE_GRO, STAGE_QUEUE, STAGE_RECEIVE, STAGE_TRANSMIT};

use crate::kernel::Stop;

/// The stops without the copies at their end that somebody else's host refused, for which `is_astray` holds. A switch had
/// taken the packet and sent them, in one namespace: who only has a stop where the packet was sent first is its next hop.
pub fn without_strays(stops: &[Stop], is_astray: impl Fn(&Stop) -> bool) -> Vec<Stop> {
    let took = |stop: &Stop| matches!(stop.stage, STAGE_RECEIVE | STAGE_BACKLOG | STAGE_GRO);
    let sent = |stop: &Stop| matches!(stop.stage, STAGE_QUEUE | STAGE_TRANSMIT);
    let end = stops.iter().rposition(|stop| !took(stop) || !is_astray(stop)).map_or(0, |last| last + 1);
    let strays = stops[end..].iter().filter(|stop| stop.stage == STAGE_RECEIVE).count();
    let Some(sender) = stops[..end].iter().rfind(|stop| stop.is_on_the_way()) else { return stops.to_vec() };
    // The devices that the copies left by: there are no more of them than copies.
    let mut devices = Vec::new();
    let mut taken = None;
    for stop in stops[..end].iter().rev().filter(|stop| stop.is_on_the_way()) {
        let is_copy = sent(stop)
            && stop.netns == sender.netns
            && (devices.contains(&stop.ifindex) || devices.len() < strays);
        if !is_copy {
            taken = Some(stop);
            break;
        }
        if !devices.contains(&stop.ifindex) {
            devices.push(stop.ifindex);
        }
    }
    if devices.is_empty() || taken.is_none_or(|taken| taken.netns != sender.netns) {
        return stops.to_vec();
    }
    let is_copys = |stop: &&Stop| sent(stop) && stop.netns == sender.netns && devices.contains(&stop.ifindex);
    stops[..end].iter().filter(|stop| !is_copys(stop)).copied().collect()
}

#[cfg(test)]
mod tests {
    use netbreak_common::{STAGE_CONSUMED, STAGE_SOCKET};

    use super::*;

    const NODE: u32 = 2;

    fn stop(stage: u8, netns: u32, ifindex: u32) -> Stop {
        Stop { stage, ifindex, netns, location: 0, destination: [0; 4], flags: 0 }
    }

    /// How many stops are left of those that hosts 8 and 9 refuse.
    fn left(stops: &[Stop]) -> usize {
        without_strays(stops, |stop| stop.netns >= 8).len()
    }

    #[test]
    fn a_flooded_copy_is_no_step_ahead() {
        let way = [
            stop(STAGE_TRANSMIT, 1, 2),
            stop(STAGE_RECEIVE, NODE, 5),
            stop(STAGE_SOCKET, 0, 0),
            stop(STAGE_QUEUE, NODE, 6),
            stop(STAGE_CONSUMED, 0, 0),
            stop(STAGE_TRANSMIT, NODE, 6),
            stop(STAGE_BACKLOG, 8, 2),
            stop(STAGE_RECEIVE, 8, 2),
        ];
        assert_eq!(left(&way), 4);
        let two: [&[Stop]; 3] = [
            &way[..3],
            &[stop(STAGE_TRANSMIT, NODE, 6), stop(STAGE_TRANSMIT, NODE, 7)],
            &[stop(STAGE_RECEIVE, 8, 2), stop(STAGE_RECEIVE, 9, 2)],
        ];
        assert_eq!(left(&two.concat()), 3);
        // One more copy went where nobody refused it.
        let three = [two[0], &[stop(STAGE_TRANSMIT, NODE, 4)][..], two[1], two[2]].concat();
        assert_eq!(left(&three), 4);
    }

    #[test]
    fn from_a_tap_device_a_switch_takes_packets_as_well() {
        let way = [
            stop(STAGE_TRANSMIT, NODE, 4),
            stop(STAGE_QUEUE, NODE, 6),
            stop(STAGE_TRANSMIT, NODE, 6),
            stop(STAGE_RECEIVE, 8, 2),
        ];
        assert_eq!(left(&way), 1);
    }

    #[test]
    fn what_a_switchs_port_refuses_is_where_it_is() {
        let way = [stop(STAGE_TRANSMIT, 1, 2), stop(STAGE_RECEIVE, 8, 5)];
        assert_eq!(left(&way), 2);
        assert_eq!(left(&[&way[..], &[stop(STAGE_SOCKET, 0, 0)]].concat()), 3);
        assert_eq!(left(&[stop(STAGE_RECEIVE, 8, 5)]), 1);
    }
}
