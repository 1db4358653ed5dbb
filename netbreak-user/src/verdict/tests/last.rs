//! Attempts that no drop ended.

use netbreak_common::{
    Event, Hop, STAGE_BACKLOG, STAGE_CONSUMED, STAGE_QUEUE, STAGE_RECEIVE, STAGE_SOCKET, STAGE_TRANSMIT,
};

use super::build::*;
use crate::{
    kernel::Trails,
    probe::{Kind, Outcome},
    report::{Cause, Death, Leg},
    verdict::Change,
    watch::{Turn, What},
};

/// The death of a lost echo that left at 100 and passed these places.
fn echo(request: &[Hop], reply: &[Hop]) -> Death {
    one(Kind::Icmp, request, reply, &[])
}

fn one(kind: Kind, request: &[Hop], reply: &[Hop], events: &[Event]) -> Death {
    let mut trails = Trails::default();
    let passages = [request, reply].map(|hops| passage(0, hops));
    let legs = [(request, &passages[0]), (reply, &passages[1])];
    trails.unanswered(0, 0, legs.map(|(hops, passage)| (!hops.is_empty()).then_some(passage)));
    let (mut deaths, unexplained) =
        deaths_seen(&record(kind, vec![attempt(0, 100, Outcome::Lost)]), events, &trails);
    assert_eq!((deaths.len(), unexplained), (1, 0));
    deaths.remove(0)
}

fn place(death: &Death) -> (Cause, Leg, Option<u32>, Option<u32>, Option<&str>) {
    (death.cause, death.leg, death.netns, death.ifindex, death.stage.as_deref())
}

fn freed_at(time: u64, symbol: &str) -> Hop {
    Hop { location: address(symbol), ..hop(time, STAGE_CONSUMED, NOWHERE) }
}

#[test]
fn the_last_device_tells() {
    let sent = [hop(110, STAGE_RECEIVE, VETH), hop(120, STAGE_QUEUE, WIRE)];
    let queued = echo(&sent, &[]);
    assert_eq!(place(&queued), (Cause::Queue, Leg::Request, Some(ROUTER), Some(4), Some("qdisc")));

    let left = echo(&[&sent[..], &[hop(130, STAGE_TRANSMIT, WIRE)]].concat(), &[]);
    assert_eq!(place(&left), (Cause::Unseen, Leg::Request, Some(ROUTER), Some(4), Some("device transmit")));
    assert!(left.explain.contains("left this node"), "{}", left.explain);

    let tap = echo(&[hop(130, STAGE_TRANSMIT, TAP)], &[]);
    assert_eq!((tap.cause, tap.device.as_deref()), (Cause::Unseen, Some("d0")));
    assert!(tap.explain.contains("the process that holds it open"), "{}", tap.explain);

    let veth = echo(&[hop(130, STAGE_TRANSMIT, VETH)], &[]);
    assert_eq!(veth.cause, Cause::Link);
    assert_eq!(echo(&[hop(130, STAGE_BACKLOG, VETH)], &[]).stage.as_deref(), Some("cpu backlog"));
    let received = echo(&[hop(130, STAGE_RECEIVE, VETH)], &[]);
    assert_eq!(
        place(&received),
        (Cause::Unseen, Leg::Request, Some(ROUTER), Some(2), Some("device receive"))
    );
}

#[test]
fn an_attempt_that_reached_no_device_waits_for_its_neighbour() {
    let waiting = echo(&[], &[]);
    assert_eq!(place(&waiting), (Cause::Neighbour, Leg::Request, Some(HERE), None, Some("neighbour")));
    assert_eq!(waiting.first_s, 100e-9);
}

#[test]
fn a_packet_that_a_router_keeps_waits_for_its_neighbour() {
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passage(0, &[hop(110, STAGE_RECEIVE, VETH)])), None]);
    let record = record(Kind::Icmp, vec![attempt(0, 100, Outcome::Lost)]);
    let failed = |at, until, (netns, ifindex): (u32, u32)| Change {
        at,
        until,
        netns,
        ifindex,
        device: "d1".to_owned(),
        what: What::Neighbour,
        key: "10.0.2.2".to_owned(),
        turn: Turn::Gone,
        subnet: None,
        detail: "10.0.2.2 failed".to_owned(),
    };
    let judged = |change| deaths_amid(&record, &[], &trails, &[change]).0.remove(0);
    let waits = judged(failed(200, None, WIRE));
    assert_eq!(place(&waits), (Cause::Neighbour, Leg::Request, Some(ROUTER), Some(4), Some("neighbour")));
    for other in [failed(50, Some(90), WIRE), failed(5_000_000_000, None, WIRE), failed(200, None, VETH)] {
        assert_eq!(judged(other).cause, Cause::Unseen);
    }
}

#[test]
fn what_a_neighbour_gave_up_waited_for_it() {
    let given_up = echo(&[freed_at(110, "__neigh_event_send")], &[]);
    assert_eq!(place(&given_up), (Cause::Neighbour, Leg::Request, Some(HERE), None, Some("neighbour")));
}

#[test]
fn only_a_possible_next_hop_is_waited_for() {
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passage(0, &[hop(110, STAGE_RECEIVE, VETH)])), None]);
    let record = record(Kind::Icmp, vec![attempt(0, 100, Outcome::Lost)]);
    let (netns, ifindex) = WIRE;
    let failed = |key: &str| Change {
        at: 200,
        until: None,
        netns,
        ifindex,
        device: "d1".to_owned(),
        what: What::Neighbour,
        key: key.to_owned(),
        turn: Turn::Gone,
        subnet: None,
        detail: format!("{key} failed"),
    };
    let judged = |keys: &[&str]| {
        let changes: Vec<Change> = keys.iter().map(|key| failed(key)).collect();
        deaths_amid(&record, &[], &trails, &changes).0.remove(0)
    };
    assert_eq!(judged(&["fd00::1"]).cause, Cause::Unseen);
    let own = judged(&["fd00::1", "10.0.2.9", "10.0.2.2"]);
    assert_eq!(own.cause, Cause::Neighbour);
    assert!(own.explain.ends_with("; neighbour 10.0.2.2 of d1 failed at 0.00 s"), "{}", own.explain);
    let router = judged(&["fd00::1", "10.0.2.9"]);
    assert!(router.explain.ends_with("; neighbour 10.0.2.9 of d1 failed at 0.00 s"), "{}", router.explain);
}

#[test]
fn the_reply_tells_that_the_request_arrived() {
    let request = [hop(110, STAGE_RECEIVE, SERVERS), freed_at(125, "icmp_rcv")];
    let reply = echo(&request, &[hop(120, STAGE_TRANSMIT, WIRE)]);
    assert_eq!((reply.leg, reply.cause), (Leg::Reply, Cause::Unseen));
}

#[test]
fn the_host_may_take_a_packet_and_not_answer() {
    let received = hop(110, STAGE_RECEIVE, SERVERS);
    let taken = echo(&[received, freed_at(111, "icmp_rcv")], &[]);
    assert_eq!(place(&taken), (Cause::Socket, Leg::Request, Some(SERVER), Some(2), Some("stack")));
    assert_eq!(taken.symbol.as_deref(), Some("icmp_rcv"));

    let unread = echo(&[received], &[]);
    assert_eq!((unread.cause, unread.stage.as_deref()), (Cause::Socket, Some("device receive")));
    let read = echo(&[received, hop(140, STAGE_SOCKET, NOWHERE)], &[]);
    assert_eq!(place(&read), (Cause::Socket, Leg::Request, Some(SERVER), Some(2), Some("socket")));
}

#[test]
fn what_a_reader_or_a_driver_frees_is_no_end() {
    let received = hop(110, STAGE_RECEIVE, VETH);
    let copied = echo(&[received, freed_at(111, "packet_recvmsg")], &[]);
    assert_eq!(copied.stage.as_deref(), Some("device receive"));
    let sent = echo(&[received, hop(120, STAGE_TRANSMIT, WIRE), freed_at(130, "tcp_v4_rcv")], &[]);
    assert_eq!(sent.stage.as_deref(), Some("device transmit"));
    let switched = echo(&[received, hop(120, STAGE_SOCKET, NOWHERE)], &[]);
    assert_eq!((switched.cause, switched.stage.as_deref()), (Cause::Unseen, Some("packet socket")));
}

#[test]
fn a_packet_for_another_link_address_is_not_the_hosts() {
    let hops = [hop(110, STAGE_RECEIVE, SERVERS), hop(140, STAGE_SOCKET, NOWHERE)];
    let (netns, ifindex) = SERVERS;
    let refused =
        Event { netns, ifindex, ..freed(event(Kind::Icmp, 111, 0), "OTHERHOST", "ip_rcv_core", &[]) };
    let read = one(Kind::Icmp, &hops, &[], &[refused]);
    assert_eq!((read.cause, read.stage.as_deref()), (Cause::Unseen, Some("packet socket")));
    let unread = one(Kind::Icmp, &hops[..1], &[], &[refused]);
    assert_eq!((unread.cause, unread.stage.as_deref()), (Cause::Neighbour, Some("ip receive")));
    // A bond has it without having received it.
    let by_bond = one(Kind::Icmp, &[hop(110, STAGE_RECEIVE, (netns, ifindex + 7))], &[], &[refused]);
    assert_eq!((by_bond.cause, by_bond.ifindex), (Cause::Neighbour, Some(ifindex)));
    // What a switch sent there and to the router, which dropped it.
    let flooded = [hop(109, STAGE_RECEIVE, VETH), hop(110, STAGE_RECEIVE, SERVERS)];
    let elsewhere = one(Kind::Icmp, &flooded, &[], &[event(Kind::Icmp, 109, 0), refused]);
    assert_eq!(elsewhere.cause, Cause::Netfilter);
    // A reply, for the probe's own device.
    let (netns, ifindex) = HOME;
    let answer = Event { netns, ifindex, ..reply(refused) };
    let back = one(Kind::Icmp, &hops[..1], &[hop(110, STAGE_RECEIVE, HOME)], &[answer]);
    assert_eq!((back.cause, back.leg), (Cause::Neighbour, Leg::Reply));
    // By a device without that address it is a copy that nobody took.
    let (netns, ifindex) = VETH;
    let elsewhere = Event { netns, ifindex, ..refused };
    let copy = one(Kind::Icmp, &[hop(110, STAGE_RECEIVE, VETH)], &[], &[elsewhere]);
    assert_eq!((copy.cause, copy.stage.as_deref()), (Cause::Unseen, Some("device receive")));
}

#[test]
fn a_drop_that_the_packet_outlived_was_a_copys() {
    let hops = [hop(110, STAGE_RECEIVE, VETH), hop(120, STAGE_TRANSMIT, WIRE)];
    let dropped = |time| event(Kind::Icmp, time, 0);
    assert_eq!(one(Kind::Icmp, &hops, &[], &[dropped(115)]).cause, Cause::Unseen);
    assert_eq!(one(Kind::Icmp, &hops, &[], &[dropped(125)]).cause, Cause::Netfilter);
}

#[test]
fn a_copy_that_a_bridge_sent_elsewhere_does_not_outlive_the_packet() {
    let hops = [hop(110, STAGE_RECEIVE, SERVERS), hop(120, STAGE_RECEIVE, VETH)];
    let (netns, ifindex) = VETH;
    let refused =
        Event { netns, ifindex, ..freed(event(Kind::Icmp, 121, 0), "OTHERHOST", "ip_rcv_core", &[]) };
    let dropped = event(Kind::Icmp, 115, 0);
    assert_eq!(one(Kind::Icmp, &hops, &[], &[dropped, refused]).cause, Cause::Netfilter);
}

#[test]
fn a_firewalls_rst_to_the_target_is_no_attempt() {
    let answer = reply(event(Kind::Tcp, 115, 0));
    let rst = Event { flags: 0x14, ..event(Kind::Tcp, 125, 0) };
    let death =
        one(Kind::Tcp, &[hop(110, STAGE_RECEIVE, SERVERS)], &[hop(112, STAGE_RECEIVE, VETH)], &[answer, rst]);
    assert_eq!((death.leg, death.first_s), (Leg::Reply, 115e-9));
}

#[test]
fn a_segment_that_is_sent_again_died_where_the_last_one_did() {
    let hops = [hop(110, STAGE_RECEIVE, VETH), hop(1_110, STAGE_RECEIVE, VETH)];
    let both = [event(Kind::Tcp, 115, 0), event(Kind::Tcp, 1_115, 0)];
    let death = one(Kind::Tcp, &hops, &[], &both);
    assert_eq!((death.attempts, death.cause, death.first_s), (1, Cause::Netfilter, 1_115e-9));
}

#[test]
fn nobody_looked_is_not_the_same_as_nothing_seen() {
    let record = record(Kind::Icmp, vec![attempt(0, 100, Outcome::Lost)]);
    assert_eq!(deaths_seen(&record, &[], &Trails::default()), (vec![], 1));
}

/// The first segment of a request and the last that came back have these flags; a hop of each.
fn asked(kind: Kind, request: (u8, (u32, u32), u8), reply: (u8, (u32, u32), u8), outcome: Outcome) -> Death {
    let hop = |time, (stage, place, flags)| Hop { flags, ..hop(time, stage, place) };
    let passages = [passage(0, &[hop(110, request)]), passage(0, &[hop(120, reply)])];
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passages[0]), Some(&passages[1])]);
    deaths_seen(&record(kind, vec![attempt(0, 100, outcome)]), &[], &trails).0.remove(0)
}

#[test]
fn an_acknowledgement_is_no_answer_to_a_request() {
    const ACK: u8 = 0x10;
    const SYN: u8 = 0x02;
    let came = (STAGE_RECEIVE, HOME, ACK);
    let arrived = (STAGE_RECEIVE, SERVERS, ACK | 0x08);
    for kind in [Kind::Http, Kind::Https] {
        let hung = asked(kind, arrived, came, Outcome::TimedOut);
        let server = (Cause::Socket, Leg::Request, Some(SERVER), Some(2), Some("device receive"));
        assert_eq!(place(&hung), server);
        assert!(hung.explain.contains("sent no answer"), "{}", hung.explain);
    }
    // The other end is not on this machine.
    let away = asked(Kind::Http, (STAGE_TRANSMIT, WIRE, ACK), came, Outcome::TimedOut);
    assert_eq!(place(&away), (Cause::Socket, Leg::Request, Some(ROUTER), Some(4), Some("device transmit")));
    assert!(away.explain.contains("10.0.2.2 acknowledged them"), "{}", away.explain);
    // A SYN-ACK that comes again acknowledges nothing of the request.
    let open = (STAGE_RECEIVE, HOME, ACK | SYN);
    let lost = asked(Kind::Http, (STAGE_TRANSMIT, WIRE, ACK), open, Outcome::TimedOut);
    assert_eq!((lost.leg, lost.cause), (Leg::Request, Cause::Unseen));
    // What a connect waits for had come, and nobody took it.
    for (kind, request) in [(Kind::Tcp, ACK), (Kind::Http, SYN)] {
        let back = asked(kind, (STAGE_RECEIVE, SERVERS, request), open, Outcome::TimedOut);
        assert_eq!((back.leg, back.netns), (Leg::Reply, Some(HERE)));
        assert!(back.explain.contains("they came back"), "{}", back.explain);
    }
}
