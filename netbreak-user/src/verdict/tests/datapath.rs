//! What is said of packets that Open vSwitch's kernel datapath had last.

use netbreak_common::{
    Event, GENEVE_PORT, Hop, STAGE_CONSUMED, STAGE_RECEIVE, STAGE_TRANSMIT, STAGE_UPCALL, UPCALL_UNKNOWN,
};

use super::build::*;
use crate::{
    clock::SECOND,
    counters::{Datapath, Upcalls},
    kernel::Trails,
    probe::{Kind, Outcome},
    report::{Cause, Death},
    verdict::{Absence, Change, Side},
    watch::{Process, Turn, What},
};

const AT: u64 = 9 * SECOND;

/// An echo that left at nine seconds and passed `hops`.
fn died(hops: &[Hop], events: &[Event], around: &Around) -> Death {
    let mut trails = Trails::default();
    trails.unanswered(0, 0, [Some(&passage(0, hops)), None]);
    let record = record(Kind::Icmp, vec![attempt(0, AT, Outcome::Lost)]);
    deaths_around(&record, events, &trails, around).remove(0)
}

fn received() -> Hop {
    hop(AT + 10, STAGE_RECEIVE, PORT_OF_SWITCH)
}

fn asked(errno: i32) -> Hop {
    Hop { flags: errno as u8, ..hop(AT + 20, STAGE_UPCALL, PORT_OF_SWITCH) }
}

fn consumed() -> Hop {
    hop(AT + 30, STAGE_CONSUMED, NOWHERE)
}

/// Freed by the datapath.
fn drop(reason: &str, symbol: &str) -> Event {
    let mut device = [0; 16];
    device[..3].copy_from_slice(b"p1h");
    let (netns, ifindex) = PORT_OF_SWITCH;
    let event = Event { netns, ifindex, device, ..event(Kind::Icmp, AT + 40, 0) };
    freed(event, reason, symbol, &[])
}

/// The tunnel's device was gone between them.
fn made_anew(at: u64, until: u64) -> Change {
    let (netns, ifindex) = TUNNEL;
    Change {
        at,
        until: Some(until),
        netns,
        ifindex,
        device: "genev_sys_6081".to_owned(),
        what: What::Link,
        key: "link".to_owned(),
        turn: Turn::Gone,
        subnet: None,
        detail: "removed".to_owned(),
    }
}

fn restarted(until: u64) -> Around {
    let away = Absence {
        name: "ovs-vswitchd".to_owned(),
        pid: 7,
        netns: Some(ROUTER),
        from: 2 * SECOND,
        until: Some(until),
        stopped: false,
        successor: Some(17),
    };
    let filler = Process {
        pid: 8,
        start_ticks: 1,
        name: "ovn-controller".to_owned(),
        stopped: false,
        netns: Some(ROUTER),
    };
    Around { absences: vec![away], daemons: vec![filler], ..Around::default() }
}

#[test]
fn what_left_by_no_port_died_in_the_switch() {
    // Linux before 6.6 frees it as done with, and before 6.3 does not say where.
    for hops in [&[received()][..], &[received(), consumed()]] {
        let death = died(hops, &[], &Around::default());
        assert_eq!((death.cause, death.stage.as_deref()), (Cause::OvsFlow, Some("openvswitch")));
        assert_eq!(death.device.as_deref(), Some("p1h"));
        assert!(death.explain.contains("took them by port p1h and let them out by none"), "{death:#?}");
    }
    // From the host, through an internal port.
    let death = died(&[hop(AT + 10, STAGE_TRANSMIT, INTERNAL)], &[], &Around::default());
    assert_eq!((death.cause, death.device.as_deref()), (Cause::OvsFlow, Some("ovn0")));
    // What the host itself gets from there has left the switch.
    let death = died(&[hop(AT + 10, STAGE_RECEIVE, INTERNAL)], &[], &Around::default());
    assert_ne!(death.cause, Cause::OvsFlow);
}

#[test]
fn an_upcall_that_failed_has_its_errno() {
    let refused = died(
        &[received(), asked(libc::ENOTCONN)],
        &[drop("NOT_SPECIFIED", "ovs_dp_process_packet")],
        &restarted(10 * SECOND),
    );
    assert_eq!((refused.cause, refused.reason.as_deref()), (Cause::OvsUpcall, Some("ENOTCONN")));
    assert_eq!(refused.stage.as_deref(), Some("openvswitch upcall"));
    assert!(
        refused.explain.ends_with(
            "no handler of ovs-vswitchd was there to ask (ENOTCONN); ovs-vswitchd (pid 7) was not running from 2.00 s to 10.00 s"
        ),
        "{}",
        refused.explain
    );
    // The kernel takes this packet for one that has served its purpose.
    let full = died(&[received(), asked(libc::EAGAIN), consumed()], &[], &Around::default());
    assert_eq!((full.cause, full.reason.as_deref()), (Cause::OvsUpcall, Some("EAGAIN")));
    assert!(full.explain.contains("handler was full (EAGAIN)"), "{}", full.explain);
    // Without a sensor of upcalls.
    let unknown = died(&[received()], &[drop("NOT_SPECIFIED", "ovs_dp_process_packet")], &Around::default());
    assert_eq!((unknown.cause, unknown.reason.as_deref()), (Cause::OvsUpcall, Some("NOT_SPECIFIED")));
    assert!(unknown.explain.contains("ovs-vswitchd could not be asked"), "{}", unknown.explain);
}

#[test]
fn what_the_datapath_counted_goes_with_it() {
    let datapath = Datapath {
        lost: 139,
        ports: [("p1h".to_owned(), Upcalls { handed: 3, failed: 136 })].into(),
        handlers: [(5, 40)].into(),
        ..Datapath::default()
    };
    let side = Side { datapaths: [("ovs-system".to_owned(), datapath)].into(), ..Side::default() };
    let around = Around { sides: [(ROUTER, side)].into(), ..Around::default() };
    let death = died(&[received(), asked(libc::EAGAIN)], &[], &around);
    assert!(
        death.explain.contains(
            "; ovs-system could not hand 139 packets to ovs-vswitchd (lost), 136 of p1h failed, ovs-vswitchd's \
             sockets dropped 40 in the whole run"
        ),
        "{}",
        death.explain
    );
}

#[test]
fn what_ovs_vswitchd_has_and_never_sent_died_of_its_tables() {
    for errno in [0, i32::from(UPCALL_UNKNOWN)] {
        let death = died(&[received(), asked(errno), consumed()], &[], &Around::default());
        assert_eq!((death.cause, death.reason.as_deref()), (Cause::OvsFlow, None));
        assert!(death.explain.contains("asked ovs-vswitchd, which sent it nowhere"), "{}", death.explain);
    }
}

#[test]
fn tables_that_are_not_filled_yet_are_told() {
    let event = drop("OVS_DROP_LAST_ACTION", "do_execute_actions");
    let death = died(&[received()], &[event], &restarted(17 * SECOND / 2));
    assert_eq!(death.cause, Cause::OvsFlow);
    assert_eq!(
        death.explain,
        "an Open vSwitch flow without an output dropped (OVS_DROP_LAST_ACTION) what came by port p1h in router: \
         ovs-vswitchd (pid 17) started at 8.50 s, its OpenFlow tables are empty until ovn-controller (pid 8) has filled \
         them"
    );
    // By the continuity of the path alone.
    let death = died(&[received(), consumed()], &[], &restarted(17 * SECOND / 2));
    assert!(
        death.explain.ends_with("empty until ovn-controller (pid 8) has filled them"),
        "{}",
        death.explain
    );
    let long_ago = died(&[received()], &[event], &restarted(4 * SECOND));
    assert!(long_ago.explain.contains("look at `ovs-dpctl dump-flows` in router"), "{}", long_ago.explain);
}

#[test]
fn a_port_that_was_down_is_named_and_not_the_one_before() {
    let (netns, ifindex) = INTERNAL;
    let change = Change {
        at: 8 * SECOND,
        until: Some(10 * SECOND),
        netns,
        ifindex,
        device: "ovn0".to_owned(),
        what: What::Link,
        key: "state".to_owned(),
        turn: Turn::Gone,
        subnet: None,
        detail: "down".to_owned(),
    };
    let around = Around { changes: vec![change], ..Around::default() };
    // Before 6.6 there is no reason that tells.
    for reason in ["DEV_READY", "NOT_SPECIFIED"] {
        let death = died(&[received()], &[drop(reason, "do_execute_actions")], &around);
        assert_eq!((death.cause, death.device.as_deref()), (Cause::Link, Some("ovn0")));
        assert!(
            death.explain.contains("ovn0 went down at 8.00 s and up again at 10.00 s"),
            "{}",
            death.explain
        );
    }
    let death = died(&[received()], &[drop("NOT_SPECIFIED", "do_execute_actions")], &Around::default());
    assert_eq!((death.cause, death.device.as_deref()), (Cause::OvsFlow, Some("p1h")));
}

#[test]
fn what_a_tunnel_without_its_device_carried_died_of_the_link() {
    let around = Around { changes: vec![made_anew(8 * SECOND, 10 * SECOND)], ..Around::default() };
    let (netns, ifindex) = WIRE;
    // Its own headers are around the attempt's.
    let carried = Event { netns, ifindex, destination_port: GENEVE_PORT, ..event(Kind::Udp, AT + 40, 0) };
    for (reason, symbol) in [("NO_SOCKET", "__udp4_lib_rcv"), ("NOT_SPECIFIED", "geneve_udp_encap_recv")] {
        let event = freed(carried, reason, symbol, &[]);
        let death = died(&[hop(AT + 10, STAGE_RECEIVE, WIRE)], &[event], &around);
        assert_eq!((death.cause, death.device.as_deref()), (Cause::Link, Some("genev_sys_6081")));
        let said = "genev_sys_6081 was removed at 8.00 s and came back at 10.00 s";
        assert!(death.explain.contains(said), "{}", death.explain);
        let death = died(&[hop(AT + 10, STAGE_RECEIVE, WIRE)], &[event], &Around::default());
        assert_ne!(death.cause, Cause::Link);
    }
    // A datagram that met no socket itself, and one that was damaged.
    let own = Event { destination_port: SERVICE, ..carried };
    for (event, reason, cause) in [(own, "NO_SOCKET", Cause::Socket), (carried, "IP_CSUM", Cause::Checksum)] {
        let event = freed(event, reason, "__udp4_lib_rcv", &[]);
        assert_eq!(died(&[hop(AT + 10, STAGE_RECEIVE, WIRE)], &[event], &around).cause, cause);
    }
}

#[test]
fn empty_tables_are_told_of_nothing_else() {
    let said =
        |reason, around: &Around| died(&[received()], &[drop(reason, "do_execute_actions")], around).explain;
    let just_started = restarted(17 * SECOND / 2);
    assert!(said("OVS_DROP_LAST_ACTION", &just_started).contains("tables are empty"));
    // A meter is no empty table.
    let meter = said("OVS_DROP_METER", &just_started);
    assert!(meter.contains("meter-stats") && meter.contains("look at `ovs-dpctl"), "{meter}");
    // While ovs-vswitchd is away flows do without it.
    let away = said("OVS_DROP_LAST_ACTION", &restarted(12 * SECOND));
    assert!(away.contains("look at `ovs-dpctl") && !away.contains("not running"), "{away}");
}

#[test]
fn who_does_not_fill_the_tables_is_told() {
    let event = drop("OVS_DROP_LAST_ACTION", "do_execute_actions");
    let said = |until: Option<u64>| {
        // The switch started long ago.
        let mut around = restarted(3 * SECOND);
        let name = "ovn-controller".to_owned();
        let (pid, netns, successor) = (8, Some(ROUTER), until.map(|_| 18));
        around.absences.push(Absence { name, pid, netns, from: SECOND, until, stopped: false, successor });
        died(&[received()], &[event], &around).explain
    };
    let never = said(None);
    assert!(
        never.ends_with(
            "its OpenFlow tables are empty; ovn-controller (pid 8), which fills them, was not running from 1.00 s on"
        ),
        "{never}"
    );
    let late = said(Some(8 * SECOND));
    assert!(
        late.ends_with("are empty until ovn-controller (pid 18), which started at 8.00 s, has filled them"),
        "{late}"
    );
    let long_ago = said(Some(7 * SECOND / 2));
    assert!(long_ago.contains("look at `ovs-dpctl"), "{long_ago}");
}

#[test]
fn handlers_that_are_not_there_yet_are_told() {
    let said = |errno| died(&[received(), asked(errno)], &[], &restarted(17 * SECOND / 2)).explain;
    let refused = said(libc::ECONNREFUSED);
    let told = "ovs-vswitchd (pid 17) started at 8.50 s, and its own handlers were not there yet";
    assert!(refused.ends_with(told), "{refused}");
    // Whose socket is full has handlers.
    let full = said(libc::EAGAIN);
    assert!(!full.contains("not there yet"), "{full}");
}

#[test]
fn what_came_by_a_port_that_is_made_anew_died_of_the_link() {
    let around = Around { changes: vec![made_anew(AT, AT + SECOND)], ..restarted(17 * SECOND / 2) };
    let came = [hop(AT + 10, STAGE_RECEIVE, TUNNEL), consumed()];
    let death = died(&came, &[], &around);
    assert_eq!((death.cause, death.device.as_deref()), (Cause::Link, Some("genev_sys_6081")));
    assert!(death.explain.contains("genev_sys_6081 was removed at 9.00 s"), "{}", death.explain);
    assert_eq!(died(&came, &[], &Around::default()).cause, Cause::OvsFlow);
}

#[test]
fn who_was_seen_last_while_programs_were_skipped_may_have_got_further() {
    let said = |events: &[Event], misses| {
        died(&[received()], events, &Around { misses, ..Around::default() }).explain
    };
    let doubt = "; or they died further on: the kernel skipped 2 runs of netbreak's programs";
    assert!(said(&[], 2).ends_with(doubt), "{}", said(&[], 2));
    assert!(!said(&[], 0).contains("skipped"));
    let seen = said(&[drop("OVS_DROP_LAST_ACTION", "do_execute_actions")], 2);
    assert!(!seen.contains("skipped"), "{seen}");
}
