//! Replies that were never made, for want of a route.

use netbreak_common::{Event, Hop, STAGE_RECEIVE, STAGE_ROUTE};

use super::build::*;
use crate::{
    kernel::Trails,
    probe::{Kind, Outcome},
    report::{Cause, Death, Leg},
};

const ARRIVED: Hop = Hop {
    time: 110,
    stage: STAGE_RECEIVE,
    netns: SERVERS.0,
    ifindex: SERVERS.1,
    destination: REMOTE.octets(),
    location: 0,
    sequence: 0,
    flags: 0,
    pad: [0; 6],
};

/// A lookup that failed; `netns` 0 = a program's.
fn looked_up(time: u64, netns: u32, errno: i32) -> Hop {
    Hop { flags: errno as u8, ..hop(time, STAGE_ROUTE, (netns, 0)) }
}

fn trails(attempts: &[(&[Hop], &[Hop])]) -> Trails {
    let mut trails = Trails::default();
    for (seq, (request, reply)) in attempts.iter().enumerate() {
        let passages = [request, reply].map(|hops| passage(seq as u64, hops));
        trails.unanswered(0, seq as u64, [Some(&passages[0]), Some(&passages[1])]);
    }
    trails
}

/// The deaths of attempts that all left at 100.
fn died(kind: Kind, attempts: &[(&[Hop], &[Hop])], events: &[Event]) -> Vec<Death> {
    let lost = (0..attempts.len() as u64).map(|seq| attempt(seq, 100, Outcome::Lost)).collect();
    let (deaths, unexplained) = deaths_seen(&record(kind, lost), events, &trails(attempts));
    assert_eq!(unexplained, 0);
    deaths
}

fn one(kind: Kind, reply: &[Hop], events: &[Event]) -> Death {
    died(kind, &[(&[ARRIVED], reply)], events).remove(0)
}

#[test]
fn the_replier_had_no_route() {
    // `EAGAIN`: the last table that was asked would have another one asked.
    for errno in [libc::ENETUNREACH, libc::EAGAIN] {
        let death = one(Kind::Icmp, &[looked_up(115, SERVER, errno)], &[]);
        let place = (death.cause, death.leg, death.netns, death.ifindex, death.stage.as_deref());
        assert_eq!(place, (Cause::Route, Leg::Reply, Some(SERVER), None, Some("routing")));
        assert_eq!(death.reason.as_deref(), Some("ENETUNREACH"));
        let said =
            "the host had no route back to the probe's own address (ENETUNREACH), so no reply was made";
        assert!(death.explain.starts_with(said), "{}", death.explain);
    }
    let blackhole = one(Kind::Icmp, &[looked_up(115, SERVER, libc::EINVAL)], &[]);
    assert_eq!(blackhole.reason.as_deref(), Some("EINVAL"));
    assert!(blackhole.explain.contains("kind blackhole"), "{}", blackhole.explain);
}

#[test]
fn an_echo_that_cannot_be_answered_is_given_up_and_was_not_dropped() {
    let no_route = [looked_up(115, SERVER, libc::ENETUNREACH)];
    let given_up = freed(event(Kind::Icmp, 116, 0), "IP_INHDR", "icmp_rcv", &[]);
    assert_eq!(one(Kind::Icmp, &no_route, &[given_up]).cause, Cause::Route);
    // Of a lookup for an ICMP error the packet that it is about is dropped next; of somebody else's it was before.
    for time in [112, 116] {
        assert_eq!(one(Kind::Icmp, &no_route, &[event(Kind::Icmp, time, 0)]).cause, Cause::Netfilter);
    }
}

#[test]
fn a_request_that_was_sent_again_went_farther_than_the_lookup() {
    let again = [ARRIVED, hop(1_110, STAGE_RECEIVE, VETH)];
    let death = died(Kind::Tcp, &[(&again, &[looked_up(115, SERVER, libc::ENETUNREACH)])], &[]).remove(0);
    assert_eq!((death.leg, death.netns), (Leg::Request, Some(ROUTER)));
}

#[test]
fn what_a_program_could_not_send_it_was_for_all_that_it_had_read() {
    let later = Hop { time: 120, ..ARRIVED };
    let too_late = Hop { time: 160, ..ARRIVED };
    let lookup = looked_up(150, 0, libc::EHOSTUNREACH);
    let deaths = died(Kind::Udp, &[(&[ARRIVED], &[]), (&[later], &[lookup]), (&[too_late], &[])], &[]);
    let said: Vec<_> = deaths.iter().map(|d| (d.attempts, d.cause, d.leg, d.netns)).collect();
    let (no_route, unread) = ((2, Cause::Route), (1, Cause::Socket));
    assert_eq!(
        said,
        [
            (no_route.0, no_route.1, Leg::Reply, Some(SERVER)),
            (unread.0, unread.1, Leg::Request, Some(SERVER))
        ]
    );
    assert_eq!(deaths[0].reason.as_deref(), Some("EHOSTUNREACH"));
}

#[test]
fn a_programs_lookup_says_nothing_of_what_was_dropped_or_was_too_late() {
    let lookup = looked_up(150, 0, libc::ENETUNREACH);
    assert_eq!(one(Kind::Udp, &[lookup], &[event(Kind::Udp, 112, 0)]).cause, Cause::Netfilter);
    let after = looked_up(100 + TIMEOUT + 1, 0, libc::ENETUNREACH);
    assert_eq!(one(Kind::Udp, &[after], &[]).cause, Cause::Socket);
}

#[test]
fn a_lost_attempts_path_stops_at_its_hosts_routing() {
    let stopped = |netns| {
        let lookup = looked_up(115, netns, libc::ENETUNREACH);
        let lost = record(Kind::Icmp, vec![attempt(0, 100, Outcome::Lost)]);
        let stages = path_of(&lost, &trails(&[(&[ARRIVED], &[lookup])])).unwrap().stages;
        assert_eq!(stages.len(), 1);
        (stages[0].leg, stages[0].stage.clone(), stages[0].netns, stages[0].stopped)
    };
    assert_eq!(stopped(SERVER), (Leg::Reply, "routing".to_owned(), Some(SERVER), 1));
    // A router's was for an ICMP error.
    assert_eq!(stopped(ROUTER), (Leg::Request, "device receive".to_owned(), Some(SERVER), 1));
}
