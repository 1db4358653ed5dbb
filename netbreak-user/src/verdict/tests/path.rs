//! The way of answered attempts, and where others left it.

use netbreak_common::{Hop, STAGE_CONSUMED, STAGE_QUEUE, STAGE_RECEIVE, STAGE_SOCKET, STAGE_TRANSMIT};

use super::build::*;
use crate::{
    kernel::Trails,
    probe::{Kind, Outcome},
    report::{Leg, Path},
};

fn path(trails: &Trails, kind: Kind, outcomes: &[Outcome]) -> Option<Path> {
    let attempts =
        outcomes.iter().enumerate().map(|(seq, outcome)| attempt(seq as u64, 100, *outcome)).collect();
    path_of(&record(kind, attempts), trails)
}

fn answered(trails: &mut Trails, attempt: u64, request: &[Hop], reply: &[Hop]) {
    trails.answered(0, attempt, [Some(&passage(attempt, request)), Some(&passage(attempt, reply))]);
}

#[test]
fn the_usual_way_with_its_times_and_where_lost_ones_stopped() {
    let mut trails = Trails::default();
    for seq in 0..3 {
        let at = 1000 * seq;
        let request = [
            hop(at, STAGE_QUEUE, VETH),
            hop(at + 2_000 + seq * 1_000, STAGE_TRANSMIT, VETH),
            hop(at + 9_000, STAGE_CONSUMED, NOWHERE),
        ];
        let reply = [hop(at + 10_000, STAGE_RECEIVE, VETH), hop(at + 11_000, STAGE_SOCKET, NOWHERE)];
        answered(&mut trails, seq, &request, &reply);
    }
    // Another way, once.
    answered(&mut trails, 3, &[hop(0, STAGE_QUEUE, WIRE)], &[]);
    let queued = passage(4, &[hop(5_000, STAGE_QUEUE, VETH)]);
    let elsewhere = passage(5, &[hop(5_000, STAGE_QUEUE, VETH), hop(6_000, STAGE_TRANSMIT, WIRE)]);
    trails.unanswered(0, 4, [Some(&queued), None]);
    trails.unanswered(0, 5, [Some(&elsewhere), None]);
    let answer = Outcome::Answered { at: 1 };
    let outcomes = [answer, answer, answer, answer, Outcome::Lost, Outcome::Lost];
    let path = path(&trails, Kind::Icmp, &outcomes).unwrap();
    assert_eq!(path.sample, 3);
    let rows: Vec<_> = path
        .stages
        .iter()
        .map(|s| (s.leg, s.stage.as_str(), s.device.as_deref(), s.since_us.map(|us| us.p50), s.stopped))
        .collect();
    assert_eq!(
        rows,
        [
            (Leg::Request, "qdisc", Some("d0"), None, 1),
            (Leg::Request, "device transmit", Some("d0"), Some(3.0), 0),
            (Leg::Reply, "device receive", Some("d0"), Some(7.0), 0),
            (Leg::Reply, "socket", None, Some(1.0), 0),
            (Leg::Request, "device transmit", None, None, 1),
        ]
    );
    assert_eq!(
        path.stages[1].since_us.unwrap().p99,
        3.0,
        "of three, the second is the 99th percentile rounded down"
    );
}

#[test]
fn of_a_connection_the_first_packet_shows_the_way() {
    let segment = |time, stage, sequence, flags| Hop { sequence, flags, ..hop(time, stage, VETH) };
    let mut trails = Trails::default();
    let request = [
        segment(1, STAGE_QUEUE, 7, 2),
        segment(2, STAGE_TRANSMIT, 7, 2),
        segment(5, STAGE_QUEUE, 8, 16),
        segment(6, STAGE_TRANSMIT, 8, 16),
    ];
    answered(&mut trails, 0, &request, &[segment(3, STAGE_RECEIVE, 9, 18)]);
    let path = path(&trails, Kind::Tcp, &[Outcome::Answered { at: 9 }]).unwrap();
    let stages: Vec<_> = path.stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(stages, ["qdisc", "device transmit", "device receive"]);
}

#[test]
fn without_a_trace_there_is_no_path() {
    assert_eq!(path(&Trails::default(), Kind::Icmp, &[Outcome::Lost]), None);
}
