//! What is said of attempts that were answered too late.

use netbreak_common::{Event, STAGE_RECEIVE};

use super::build::*;
use crate::{
    kernel::Trails,
    probe::{Attempt, Kind, Outcome, Record},
};

fn late(attempts: u64) -> Record {
    let late = |seq| attempt(seq, 100, Outcome::Late { at: 9_000 });
    record(Kind::Http, (0..attempts).map(late).collect())
}

/// A drop of the first packet of this attempt at a device of this index.
fn dropped(seq: u64, ifindex: u32) -> Event {
    let (netns, device) = (ROUTER, [0; 16]);
    Event { netns, ifindex, device, ..event(Kind::Http, 110, seq) }
}

#[test]
fn each_place_that_held_up_some_is_said() {
    let place =
        |index| format!("their first packets died at nft_do_chain (NETFILTER_DROP), {index} in router");
    let said = |events: &[Event]| late_dropped(&late(9), events, &Trails::default()).unwrap();
    assert_eq!(said(&[dropped(0, 2), dropped(1, 2)]), place("d0"));
    let two: Vec<Event> = (0..5).map(|seq| dropped(seq, if seq < 2 { 2 } else { 6 })).collect();
    assert_eq!(said(&two), format!("3 of them: {}; 2 of them: {}", place("p1h"), place("d0")));
    let five: Vec<Event> =
        (0..9).map(|seq| dropped(seq, [2, 2, 2, 6, 6, 7, 7, 4, 8][seq as usize])).collect();
    let said = said(&five);
    assert!(said.starts_with("3 of them: ") && said.ends_with("; and 2 elsewhere"), "{said}");
}

#[test]
fn a_syn_ack_that_came_again_held_up_nothing() {
    let came = reply(Event { netns: 0, flags: 0x12, ..dropped(0, 1) });
    let again = Event { time: 105, ..freed(came, "TCP_INVALID_SYN", "tcp_validate_incoming", &[]) };
    let said = late_dropped(&late(1), &[again, dropped(0, 2)], &Trails::default()).unwrap();
    assert!(said.contains("nft_do_chain"), "{said}");
}

#[test]
fn a_program_that_takes_its_time_is_named_and_not_the_device() {
    let mut trails = Trails::default();
    let there = passage(0, &[hop(110, STAGE_RECEIVE, SERVERS)]);
    let acknowledged = passage(0, &[hop(120, STAGE_RECEIVE, HOME)]);
    trails.unanswered(0, 0, [Some(&there), Some(&acknowledged)]);
    let said = late_dropped(&late(1), &[], &trails).unwrap();
    let expected = "when their time was over they had reached the socket that they were for, whose program had not \
                    answered, s0 in namespace 300";
    assert_eq!(said, expected);
}

#[test]
fn an_answer_that_came_while_netbreak_slept_waited_for_netbreak() {
    let asleep = Attempt { planned: 200, ..attempt(1, 5_000, Outcome::Answered { at: 5_020 }) };
    let late = attempt(0, 100, Outcome::Late { at: 5_010 });
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passage(0, &[hop(110, STAGE_RECEIVE, SERVERS)])), None]);
    let said = late_dropped(&record(Kind::Http, vec![late, asleep]), &[], &trails).unwrap();
    assert!(said.starts_with("netbreak itself was not scheduled"), "{said}");
}
