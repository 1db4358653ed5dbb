//! Writes of a stream that are lost in their own right, or held up by one that was.

use netbreak_common::{Event, Hop, STAGE_QUEUE, STAGE_RECEIVE, sensor};

use super::build::*;
use crate::{
    clock::SECOND,
    kernel::Trails,
    probe::{Attempt, Kind, Outcome},
    report::{Cause, Leg},
    verdict::Change,
    watch::{Turn, What},
};

const TIMED_OUT: Outcome = Outcome::TimedOut;

fn writes(outcomes: &[Outcome]) -> Vec<Attempt> {
    (0..).zip(outcomes).map(|(seq, outcome)| attempt(seq, 100 * (seq + 1), *outcome)).collect()
}

/// How many writes died on which leg of what, and how many of nothing known.
fn judged(outcomes: &[Outcome], events: &[Event], trails: &Trails) -> (Vec<(u64, Leg, Cause)>, u64) {
    let (deaths, unexplained) = deaths_seen(&record(Kind::Stream, writes(outcomes)), events, trails);
    (deaths.iter().map(|death| (death.attempts, death.leg, death.cause)).collect(), unexplained)
}

fn dropped(write: u64) -> Event {
    event(Kind::Stream, 100 * (write + 1) + 10, write)
}

/// Writes whose segments reached the server.
fn arrived(writes: &[u64]) -> Trails {
    let mut trails = Trails::default();
    for write in writes {
        let at = 100 * (write + 1);
        let hops = [hop(at + 5, STAGE_QUEUE, WIRE), hop(at + 10, STAGE_RECEIVE, SERVERS)];
        trails.unanswered(0, *write, [Some(&passage(*write, &hops)), None]);
    }
    trails
}

#[test]
fn writes_behind_a_lost_one_are_held_up_by_it() {
    let outcomes = [Outcome::Answered { at: 150 }, TIMED_OUT, TIMED_OUT, TIMED_OUT];
    // The third arrived, the fourth was never sent.
    let (deaths, unexplained) = judged(&outcomes, &[dropped(1)], &arrived(&[2]));
    assert_eq!((deaths, unexplained), (vec![(3, Leg::Request, Cause::Netfilter)], 0));
}

#[test]
fn what_was_lost_before_an_answer_holds_up_nothing_after_it() {
    let late = Outcome::Late { at: 5_000 };
    let outcomes = [late, Outcome::Answered { at: 5_000 }, TIMED_OUT];
    assert_eq!(judged(&outcomes, &[dropped(0)], &Trails::default()), (vec![], 1));
    // A write that came late did hold up its successors.
    let outcomes = [late, TIMED_OUT, TIMED_OUT];
    let expected = (vec![(2, Leg::Request, Cause::Netfilter)], 0);
    assert_eq!(judged(&outcomes, &[dropped(0)], &Trails::default()), expected);
}

#[test]
fn an_acknowledgement_answers_all_writes_before_it() {
    let died = reply(dropped(2));
    let expected = (vec![(3, Leg::Reply, Cause::Netfilter)], 0);
    assert_eq!(judged(&[TIMED_OUT; 3], &[died], &arrived(&[0, 1, 2])), expected);
}

#[test]
fn a_write_that_arrived_without_more_died_at_its_host() {
    let (deaths, unexplained) = judged(&[TIMED_OUT], &[], &arrived(&[0]));
    assert_eq!((deaths, unexplained), (vec![(1, Leg::Request, Cause::Socket)], 0));
}

#[test]
fn a_write_that_was_not_sent_waited_for_one_that_was() {
    let mut trails = arrived(&[0]);
    trails.unanswered(0, 1, [None, None]);
    let late = Outcome::Late { at: 5_000 };
    let expected = (vec![(1, Leg::Request, Cause::Socket)], 0);
    assert_eq!(judged(&[late, TIMED_OUT], &[], &trails), expected);
}

#[test]
fn without_a_connection_what_became_of_its_syn_tells() {
    let failed = Outcome::SendFailed { errno: libc::ETIMEDOUT };
    let expected = (vec![(3, Leg::Request, Cause::Netfilter)], 0);
    assert_eq!(judged(&[failed; 3], &[dropped(0)], &Trails::default()), expected);
    // An ICMP error came back: that is not the place.
    let failed = Outcome::SendFailed { errno: libc::ENETUNREACH };
    let expected = (vec![(3, Leg::Request, Cause::Netfilter)], 0);
    assert_eq!(judged(&[failed; 3], &[dropped(0)], &Trails::default()), expected);
    // Where the kernel did not even try, it says why.
    let failed = Outcome::SendFailed { errno: libc::ENETUNREACH };
    let expected = (vec![(3, Leg::Request, Cause::Route)], 0);
    assert_eq!(judged(&[failed; 3], &[], &Trails::default()), expected);
}

#[test]
fn a_refused_connection_is_refused_by_who_had_its_syn() {
    let refused = Outcome::SendFailed { errno: libc::ECONNREFUSED };
    // The SYN went with the third write, and nobody listened; the RST came back.
    let mut trails = Trails::default();
    let there = passage(2, &[hop(305, STAGE_RECEIVE, SERVERS)]);
    let rst = passage(2, &[Hop { flags: 0x14, ..hop(320, STAGE_RECEIVE, HOME) }]);
    trails.unanswered(0, 2, [Some(&there), Some(&rst)]);
    for write in [3, 4] {
        trails.unanswered(0, write, [None, None]);
    }
    let (netns, ifindex) = SERVERS;
    let nobody =
        Event { netns, ifindex, ..freed(event(Kind::Stream, 310, 2), "NO_SOCKET", "tcp_v4_rcv", &[]) };
    let outcomes = [TIMED_OUT, TIMED_OUT, refused, refused, refused];
    let judged = |events: &[Event]| deaths_seen(&record(Kind::Stream, writes(&outcomes)), events, &trails).0;
    let deaths = judged(&[dropped(0), nobody]);
    let shares: Vec<_> = deaths.iter().map(|death| (death.attempts, death.cause, death.netns)).collect();
    assert_eq!(shares, [(3, Cause::Socket, Some(SERVER)), (2, Cause::Netfilter, Some(ROUTER))]);
    assert_eq!(deaths[0].reason.as_deref(), Some("NO_SOCKET"));
    // They died when they were to be sent, and not all when the first one did.
    assert_eq!((deaths[0].first_s, deaths[0].last_s), (310e-9, 500e-9));
    assert_eq!((deaths[1].first_s, deaths[1].last_s), (110e-9, 200e-9));
    // By a host of another machine.
    let death = &judged(&[dropped(0)])[0];
    assert_eq!((death.attempts, death.cause, death.leg, death.netns), (3, Cause::Socket, Leg::Request, None));
    assert!(death.explain.starts_with("10.0.2.2 answered that nobody listens"), "{}", death.explain);
}

#[test]
fn what_is_not_sent_while_all_else_is_acknowledged_is_not_read() {
    let mut trails = Trails::default();
    trails.answered(0, 0, [Some(&passage(0, &[hop(105, STAGE_RECEIVE, SERVERS)])), None]);
    trails.unanswered(0, 1, [None, None]);
    trails.unanswered(0, 2, [None, None]);
    let outcomes = [Outcome::Answered { at: 120 }, TIMED_OUT, TIMED_OUT];
    let judged = |events: &[Event], trails: &Trails| {
        let death = deaths_seen(&record(Kind::Stream, writes(&outcomes)), events, trails).0.remove(0);
        (death.attempts, death.cause, death.netns, death.ifindex, death.explain)
    };
    let (attempts, cause, netns, ifindex, explain) = judged(&[], &trails);
    assert_eq!((attempts, cause, netns, ifindex), (2, Cause::Socket, Some(SERVER), Some(SERVERS.1)));
    assert!(explain.starts_with("10.0.2.2 had acknowledged all that was sent before"), "{explain}");
    // Sent again: it was sent, and waits for a neighbour.
    let again = Event { sensor: sensor::RETRANSMIT, reason: 0, ..event(Kind::Stream, 400, 1) };
    assert_eq!(judged(&[again], &trails).1, Cause::Neighbour);
    // Not sent again, because a neighbour was silent: then its program is not to blame.
    let (netns, ifindex) = HOME;
    let removed = |at, until, ifindex| Change {
        at,
        until,
        netns,
        ifindex,
        device: "h0".to_owned(),
        what: What::Neighbour,
        key: "10.0.1.1".to_owned(),
        turn: Turn::Gone,
        subnet: None,
        detail: "10.0.1.1 removed".to_owned(),
    };
    let cause = |removed| {
        let record = record(Kind::Stream, writes(&outcomes));
        deaths_amid(&record, &[], &trails, &[removed]).0.remove(0).cause
    };
    assert_eq!(cause(removed(150, None, ifindex)), Cause::Neighbour);
    // It answered again, or was silent when there still was an answer, or is another device's.
    assert_eq!(cause(removed(150, Some(160), ifindex)), Cause::Socket);
    let late = [Outcome::Answered { at: 2 * SECOND }, TIMED_OUT];
    let record = record(Kind::Stream, writes(&late));
    let before = deaths_amid(&record, &[], &trails, &[removed(SECOND, None, ifindex)]).0.remove(0);
    assert_eq!(before.cause, Cause::Socket);
    let mut by_home = Trails::default();
    let way = [hop(104, STAGE_QUEUE, HOME), hop(105, STAGE_RECEIVE, SERVERS)];
    by_home.answered(0, 0, [Some(&passage(0, &way)), None]);
    by_home.unanswered(0, 1, [None, None]);
    by_home.unanswered(0, 2, [None, None]);
    for (device, cause) in [(ifindex, Cause::Neighbour), (ifindex + 1, Cause::Socket)] {
        let record = super::build::record(Kind::Stream, writes(&outcomes));
        let removed = [removed(150, None, device)];
        assert_eq!(deaths_amid(&record, &[], &by_home, &removed).0.remove(0).cause, cause);
    }
    // Something sent is not acknowledged.
    let hops = [hop(210, STAGE_RECEIVE, SERVERS)];
    let mut sent = trails.clone();
    sent.unanswered(0, 1, [Some(&passage(1, &hops)), None]);
    assert!(judged(&[], &sent).4.starts_with("they reached the host"), "{sent:?}");
}

#[test]
fn nothing_dies_before_the_start() {
    let record = record(Kind::Stream, writes(&[TIMED_OUT]));
    let before = with_start(150, &record, &[dropped(0)]);
    assert_eq!((before[0].first_s, before[0].last_s), (0.0, 0.0));
}
