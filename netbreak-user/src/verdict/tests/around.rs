//! What is said of packets that a process was to send on, and of what changed where packets died.

use netbreak_common::{Event, Hop, STAGE_CONSUMED, STAGE_QUEUE, STAGE_RECEIVE, STAGE_SOCKET, STAGE_TRANSMIT};

use super::build::*;
use crate::{
    clock::{Nanos, SECOND},
    kernel::Trails,
    probe::{Kind, Outcome},
    report::{Cause, Death},
    verdict::{Absence, Change, Side},
    watch::{Owner, Owners, Process, Turn, What},
};

const SWITCH: &str = "ovs-vswitchd";
const FILLER: &str = "ovn-controller";

/// An echo that left at three seconds, with its trail of the request.
fn echo(outcome: Outcome, hops: &[Hop]) -> (crate::probe::Record, Trails) {
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passage(0, hops)), None]);
    (record(Kind::Icmp, vec![attempt(0, 3 * SECOND, outcome)]), trails)
}

fn died(hops: &[Hop], events: &[Event], around: &Around) -> Death {
    let (record, trails) = echo(Outcome::Lost, hops);
    deaths_around(&record, events, &trails, around).remove(0)
}

fn away(name: &str, pid: u32, from: Nanos, until: Option<Nanos>) -> Absence {
    let successor = until.map(|_| pid + 10);
    Absence { name: name.to_owned(), pid, netns: Some(ROUTER), from, until, stopped: false, successor }
}

fn process(name: &str, pid: u32) -> Process {
    Process { pid, start_ticks: 1, name: name.to_owned(), stopped: false, netns: Some(ROUTER) }
}

/// The switch reads the port and holds the TAP device open; both daemons run.
fn node() -> Around {
    let owner = || Owner { name: SWITCH.to_owned(), pid: 7 };
    Around {
        daemons: vec![process(SWITCH, 7), process(FILLER, 8)],
        owners: Owners {
            packet_sockets: [(VETH, vec![owner()])].into(),
            taps: [((ROUTER, "d0".to_owned()), owner())].into(),
        },
        ..Around::default()
    }
}

/// Something of the server went at `at`.
fn change(what: What, key: &str, at: Nanos, until: Option<Nanos>, detail: &str) -> Change {
    let (netns, ifindex) = SERVERS;
    let (device, key, detail) = ("s0".to_owned(), key.to_owned(), detail.to_owned());
    Change { at, until, netns, ifindex, device, what, key, turn: Turn::Gone, subnet: None, detail }
}

fn received() -> [Hop; 1] {
    [hop(3 * SECOND + 10, STAGE_RECEIVE, VETH)]
}

fn read() -> [Hop; 2] {
    [received()[0], hop(3 * SECOND + 20, STAGE_SOCKET, NOWHERE)]
}

#[test]
fn what_no_switch_took_died_in_its_socket_or_in_it() {
    let absences = vec![away(SWITCH, 7, 2 * SECOND, Some(4 * SECOND))];
    let death = died(&received(), &[], &Around { absences: absences.clone(), ..node() });
    let said = "received on d0 in router, never sent on: died in a packet socket or in ovs-vswitchd (pid 7, not \
                running from 2.00 s to 4.00 s)";
    assert_eq!((death.cause, death.explain.as_str()), (Cause::Unseen, said));
    // Nobody may say whose the socket is.
    assert_eq!(died(&received(), &[], &Around { absences, ..Around::default() }).explain, said);
    let runs = died(&received(), &[], &node());
    assert!(
        runs.explain.contains("died in a packet socket or in ovs-vswitchd (pid 7): look"),
        "{}",
        runs.explain
    );
    let nobody = died(&received(), &[], &Around::default());
    assert!(!nobody.explain.contains("ovs-vswitchd"), "{}", nobody.explain);
}

#[test]
fn a_full_packet_socket_is_told_beside() {
    let socket = crate::counters::Socket { port: 3, ifindex: VETH.1, inode: 1, drops: 158 };
    let side = Side { packet_sockets: Some(vec![socket]), ..Side::default() };
    let death = died(&received(), &[], &Around { sides: [(ROUTER, side)].into(), ..node() });
    assert!(
        death.explain.contains("; packet sockets on d0 dropped 158 in the whole run"),
        "{}",
        death.explain
    );
}

#[test]
fn what_a_switch_read_died_in_it() {
    let runs = died(&read(), &[], &node()).explain;
    assert!(runs.starts_with(
        "read from a packet socket on d0 in router, never sent on: died in ovs-vswitchd (pid 7): "
    ));
    assert!(!runs.contains(FILLER), "{runs}");
    let said = |absences| died(&read(), &[], &Around { absences, ..node() }).explain;
    let just_started = said(vec![away(SWITCH, 7, SECOND, Some(5 * SECOND / 2))]);
    assert!(
        just_started.ends_with(
            "died in ovs-vswitchd (pid 17), which started at 2.50 s; its OpenFlow tables are empty until \
             ovn-controller (pid 8) has filled them"
        ),
        "{just_started}"
    );
    let later = read().map(|hop| Hop { time: hop.time + 4 * SECOND, ..hop });
    let absences = vec![away(SWITCH, 7, 0, Some(SECOND))];
    let long_ago = died(&later, &[], &Around { absences, ..node() }).explain;
    assert!(long_ago.contains("died in ovs-vswitchd (pid 17): look"), "{long_ago}");
    let refilled = said(vec![away(FILLER, 8, SECOND, Some(5 * SECOND / 2))]);
    let told = "; ovn-controller (pid 18), which fills its OpenFlow tables, started at 2.50 s";
    assert!(refilled.ends_with(told), "{refilled}");
    let gone = said(vec![away(FILLER, 8, SECOND, None)]);
    assert!(gone.ends_with("which fills its OpenFlow tables, was not running from 1.00 s on"), "{gone}");
}

#[test]
fn another_reader_is_named() {
    let owner = Owner { name: "tcpdump".to_owned(), pid: 9 };
    let owners = Owners { packet_sockets: [((ROUTER, 0), vec![owner])].into(), ..Owners::default() };
    let death = died(&read(), &[], &Around { owners, ..Around::default() });
    assert!(death.explain.ends_with("who reads them there, tcpdump (pid 9)"), "{}", death.explain);
}

#[test]
fn what_was_sent_into_a_tap_device_is_its_holders() {
    let sent = [hop(3 * SECOND + 10, STAGE_TRANSMIT, TAP)];
    let handed = died(&sent, &[], &node()).explain;
    assert!(
        handed.starts_with("handed to d0 in router, never sent on: died unread in that TAP device"),
        "{handed}"
    );
    let was_read = died(&[sent[0], hop(3 * SECOND + 20, STAGE_SOCKET, NOWHERE)], &[], &node());
    assert_eq!(was_read.stage.as_deref(), Some("tap device"));
    let said = "read from the TAP device d0 in router, never sent on: died in ovs-vswitchd (pid 7)";
    assert!(was_read.explain.starts_with(said), "{}", was_read.explain);
}

#[test]
fn late_attempts_were_held_up() {
    let (record, trails) = echo(Outcome::Late { at: 5 * SECOND }, &received());
    let stopped = Absence { stopped: true, ..away(SWITCH, 7, 2 * SECOND, Some(4 * SECOND)) };
    let said = late_around(&record, &trails, &Around { absences: vec![stopped], ..node() });
    let expected = "received on d0 in router, not sent on in time: held up or died in a packet socket or in \
                    ovs-vswitchd (pid 7, stopped from 2.00 s to 4.00 s)";
    assert_eq!(said.as_deref(), Some(expected));
    let (answered, trails) = echo(Outcome::Answered { at: 4 * SECOND }, &received());
    assert_eq!(late_around(&answered, &trails, &node()), None);
}

/// A drop of the echo at the server.
fn dropped_there() -> Event {
    let (netns, ifindex) = SERVERS;
    Event {
        netns,
        ifindex,
        ..freed(event(Kind::Icmp, 3 * SECOND + 30, 0), "IP_INNOROUTES", "ip_forward", &[])
    }
}

/// It reached the server's device, with another link address.
fn come_there() -> [Hop; 1] {
    [hop(3 * SECOND + 10, STAGE_RECEIVE, SERVERS)]
}

fn refused_there() -> Event {
    freed(Event { time: 3 * SECOND + 11, ..dropped_there() }, "OTHERHOST", "ip_rcv_core", &[])
}

#[test]
fn what_the_target_lost_is_told_where_it_is() {
    let said = |changes: &[Change]| {
        let around = Around { changes: changes.to_vec(), ..Around::default() };
        died(&[], &[dropped_there()], &around).explain
    };
    let (from, until) = (2 * SECOND, Some(4 * SECOND));
    let down = change(What::Link, "state", from, until, "down");
    let carrier = change(What::Link, "carrier", from, None, "carrier lost");
    let address = change(What::Address, "10.0.2.2/24", from, until, "10.0.2.2/24 removed");
    let route = change(What::Route, "10.0.1.0/24 metric 0", from, until, "10.0.1.0/24 via 10.0.2.1 removed");
    for (change, expected) in [
        (&down, "; s0 went down at 2.00 s and up again at 4.00 s"),
        (&carrier, "; s0 lost its carrier at 2.00 s"),
        (&address, "; s0 lost its address 10.0.2.2/24 at 2.00 s and got it back at 4.00 s"),
        (&route, "; route 10.0.1.0/24 via 10.0.2.1 of s0 was removed at 2.00 s and came back at 4.00 s"),
    ] {
        let said = said(std::slice::from_ref(change));
        assert!(said.ends_with(expected), "{said}");
    }
    // Made anew, and down before: one sentence.
    let removed = change(What::Link, "link", from, until, "removed");
    let lost = Change { until: None, ..address.clone() };
    let gone = Change { until: None, ..down.clone() };
    let said_of_all = said(&[gone, removed, lost]);
    let told = "; s0 was removed at 2.00 s and came back at 4.00 s without its address 10.0.2.2/24";
    assert!(said_of_all.ends_with(told), "{said_of_all}");
    assert!(!said_of_all.contains("down"), "{said_of_all}");
    // Before, after, elsewhere, another device's.
    let before = Change { at: 0, until: Some(SECOND), ..down.clone() };
    let after = Change { at: 9 * SECOND, until: None, ..down.clone() };
    let elsewhere = Change { netns: ROUTER, ..down.clone() };
    let others = Change { device: "s1".to_owned(), ..down };
    let said = said(&[before, after, elsewhere, others]);
    assert!(!said.contains("; "), "{said}");
}

#[test]
fn a_neighbour_that_failed_is_named() {
    let drop = freed(event(Kind::Icmp, 3 * SECOND + 30, 0), "NEIGH_FAILED", "ip_output", &[]);
    let (netns, ifindex) = VETH;
    let failed = Change {
        netns,
        ifindex,
        device: "d0".to_owned(),
        ..change(What::Neighbour, "100.64.0.1", 5 * SECOND, None, "100.64.0.1 failed")
    };
    let said =
        |change: Change| died(&[], &[drop], &Around { changes: vec![change], ..Around::default() }).explain;
    let told = said(failed.clone());
    assert!(told.ends_with("; neighbour 100.64.0.1 of d0 failed at 5.00 s"), "{told}");
    assert!(!said(Change { device: "d9".to_owned(), ..failed }).contains("100.64.0.1"));
}

#[test]
fn a_switch_that_cannot_reach_the_target_is_not_to_blame() {
    let (netns, ifindex) = (ROUTER, SERVERS.1);
    let down = Change { netns, ifindex, ..change(What::Link, "state", 2 * SECOND, None, "down") };
    let death = died(&read(), &[], &Around { changes: vec![down.clone()], ..node() });
    // The target is the server's, so what the router loses concerns it not.
    assert_eq!(death.cause, Cause::Unseen);
    let there = [come_there()[0], hop(3 * SECOND + 20, STAGE_SOCKET, NOWHERE)];
    let down = Change { netns: SERVER, ..down };
    let death = died(&there, &[refused_there()], &Around { changes: vec![down], ..node() });
    assert_eq!((death.cause, death.stage.as_deref()), (Cause::Link, Some("packet socket")));
}

#[test]
fn what_made_a_link_address_outdated_is_told_however_long_ago_it_was() {
    let said = |change: Change| {
        died(&come_there(), &[refused_there()], &Around { changes: vec![change], ..Around::default() })
            .explain
    };
    let detail = "has link address 02:00:00:00:00:02, had 02:00:00:00:00:01";
    let other = Change { turn: Turn::Neither, ..change(What::Link, "link address", SECOND, None, detail) };
    let told = said(other.clone());
    assert!(told.ends_with(&format!(" in namespace 300; since 1.00 s s0 {detail}")), "{told}");
    let anew = said(change(What::Link, "link", SECOND / 2, Some(SECOND), "removed"));
    assert!(anew.ends_with("; s0 was removed at 0.50 s and came back at 1.00 s"), "{anew}");
    // Neither what came after them nor what is another device's nor a neighbour of this one.
    let later = Change { at: 4 * SECOND, ..other.clone() };
    let elsewhere = Change { device: "s1".to_owned(), ..other };
    let failed = change(What::Neighbour, "10.0.2.1", 3 * SECOND, None, "10.0.2.1 failed");
    for change in [later, elsewhere, failed] {
        assert!(said(change).ends_with(" in namespace 300"));
    }
}

#[test]
fn what_a_switch_is_to_read_is_not_for_the_devices_own_address() {
    let read_by = |name: &str| {
        let owner = Owner { name: name.to_owned(), pid: 7 };
        let owners = Owners { packet_sockets: [(SERVERS, vec![owner])].into(), ..Owners::default() };
        died(&come_there(), &[refused_there()], &Around { owners, ..Around::default() }).cause
    };
    assert_eq!((read_by(SWITCH), read_by("tcpdump")), (Cause::Unseen, Cause::Neighbour));
}

#[test]
fn a_link_that_was_up_again_is_not_to_blame() {
    let (netns, ifindex) = SERVERS;
    let sent = [3 * SECOND, 4 * SECOND];
    let attempts = (0..).zip(sent).map(|(seq, at)| attempt(seq, at, Outcome::Lost)).collect();
    let (mut trails, mut events) = (Trails::default(), Vec::new());
    for (seq, at) in (0..).zip(sent) {
        let hops = [hop(at + 10, STAGE_RECEIVE, SERVERS), hop(at + 20, STAGE_SOCKET, NOWHERE)];
        trails.unanswered(0, seq, [Some(&passage(seq, &hops)), None]);
        let refused = freed(event(Kind::Icmp, at + 11, seq), "OTHERHOST", "ip_rcv_core", &[]);
        events.push(Event { netns, ifindex, ..refused });
    }
    let record = record(Kind::Icmp, attempts);
    let cause = |until| {
        let lost = change(What::Link, "carrier", 2 * SECOND, Some(until), "carrier lost");
        let around = Around { changes: vec![lost], ..node() };
        deaths_around(&record, &events, &trails, &around).remove(0).cause
    };
    assert_eq!(cause(3 * SECOND + 5), Cause::Unseen);
    assert_eq!(cause(4 * SECOND), Cause::Link);
}

#[test]
fn a_flooded_copy_is_not_where_a_packet_died() {
    let (netns, ifindex) = (400, 2);
    let way = [
        received()[0],
        read()[1],
        hop(3 * SECOND + 30, STAGE_QUEUE, WIRE),
        Hop { location: address("packet_recvmsg"), ..hop(3 * SECOND + 31, STAGE_CONSUMED, NOWHERE) },
        hop(3 * SECOND + 32, STAGE_TRANSMIT, WIRE),
        hop(3 * SECOND + 40, STAGE_RECEIVE, (netns, ifindex)),
    ];
    let refused = freed(event(Kind::Icmp, 3 * SECOND + 41, 0), "OTHERHOST", "ip_rcv_core", &[]);
    let refused = Event { netns, ifindex, ..refused };
    let death = died(&way, &[refused], &node());
    assert_eq!((death.netns, death.stage.as_deref()), (Some(ROUTER), Some("packet socket")));
}
