use netbreak_common::{Event, sensor};

use super::build::*;
use crate::probe::{Attempt, Kind, Outcome};
use crate::report::{Cause, Leg};

const LOST: Outcome = Outcome::Lost;
const ANSWERED: Outcome = Outcome::Answered { at: 500 };

#[test]
fn a_lost_request_died_where_it_was_dropped() {
    let drop = |seq, time| {
        freed(event(Kind::Icmp, time, seq), "NETFILTER_DROP", "nft_do_chain", &["nf_hook_slow", "ip_forward"])
    };
    let record =
        record(Kind::Icmp, vec![attempt(0, 100, LOST), attempt(1, 200, LOST), attempt(2, 300, LOST)]);
    let (deaths, unexplained) = deaths(&record, &[drop(0, 110), drop(1, 210)]);
    assert_eq!((deaths.len(), unexplained), (1, 1));
    let death = &deaths[0];
    assert_eq!((death.attempts, death.leg, death.cause), (2, Leg::Request, Cause::Netfilter));
    assert_eq!(death.stage.as_deref(), Some("netfilter forward"));
    assert_eq!((death.device.as_deref(), death.ifindex, death.netns), (Some("r0"), Some(2), Some(ROUTER)));
    assert_eq!(death.netns_name.as_deref(), Some("router"));
    assert_eq!((death.first_s, death.last_s), (110e-9, 210e-9));
}

#[test]
fn the_reply_leg_beats_the_request_leg() {
    // A copy of the request was dropped later than the reply was.
    let request = event(Kind::Udp, 150, 0);
    let answer = reply(event(Kind::Udp, 120, 0));
    let (deaths, _) = deaths(&record(Kind::Udp, vec![attempt(0, 100, LOST)]), &[answer, request]);
    assert_eq!((deaths.len(), deaths[0].attempts, deaths[0].leg), (1, 1, Leg::Reply));
}

#[test]
fn an_answered_attempt_never_has_a_death() {
    let record = record(Kind::Icmp, vec![attempt(0, 100, ANSWERED)]);
    assert_eq!(deaths(&record, &[event(Kind::Icmp, 110, 0)]), (vec![], 0));
}

#[test]
fn noise_is_no_death() {
    let packet = event(Kind::Icmp, 110, 0);
    for noise in [
        freed(packet, "NO_SOCKET", "packet_rcv", &[]),
        freed(reply(packet), "NO_SOCKET", "ping_rcv", &[]),
        freed(packet, "SOCKET_FILTER", "raw_rcv", &[]),
        freed(packet, "OTHERHOST", "ip_rcv_core", &[]),
        freed(packet, "NOT_SPECIFIED", "tcp_v4_rcv", &[]),
    ] {
        let record = record(Kind::Icmp, vec![attempt(0, 100, LOST)]);
        assert_eq!(deaths(&record, &[noise]), (vec![], 1), "{noise:?}");
    }
}

#[test]
fn packets_of_others_are_not_ours() {
    let record = record(Kind::Udp, vec![attempt(0, 100, LOST)]);
    let ours = event(Kind::Udp, 110, 0);
    for other in
        [Event { probe: 1, ..ours }, Event { attempt: 1, ..ours }, Event { attempt_known: 0, ..ours }]
    {
        assert_eq!(deaths(&record, &[other]), (vec![], 1), "{other:?}");
    }
    assert_eq!(deaths(&record, &[ours]).1, 0);
}

#[test]
fn a_failed_send_says_its_errno() {
    let table = [
        (libc::ENETUNREACH, "ENETUNREACH", Cause::Route),
        (libc::EPERM, "EPERM", Cause::Netfilter),
        (libc::ENOBUFS, "ENOBUFS", Cause::Queue),
        (libc::EMSGSIZE, "EMSGSIZE", Cause::Mtu),
        (libc::ENETDOWN, "ENETDOWN", Cause::Link),
    ];
    for (errno, name, cause) in table {
        let record = record(Kind::Icmp, vec![attempt(0, 100, Outcome::SendFailed { errno })]);
        let (deaths, unexplained) = deaths(&record, &[]);
        assert_eq!((deaths.len(), unexplained), (1, 0));
        assert_eq!((deaths[0].reason.as_deref(), deaths[0].cause), (Some(name), cause));
        assert_eq!((deaths[0].netns, deaths[0].leg), (Some(HERE), Leg::Request));
        // What the kernel showed of the packet says more.
        let dropped = super::build::deaths(&record, &[event(Kind::Icmp, 105, 0)]).0;
        assert_eq!(dropped[0].reason.as_deref(), Some("NETFILTER_DROP"));
    }
}

#[test]
fn a_lack_of_local_ports_is_ours() {
    let failed = |kind, errno, local_port| {
        let attempt = Attempt { local_port, ..attempt(0, 100, Outcome::SendFailed { errno }) };
        deaths(&record(kind, vec![attempt]), &[]).0.remove(0)
    };
    let death = failed(Kind::Tcp, libc::EADDRINUSE, 0);
    assert_eq!((death.cause, death.reason.as_deref()), (Cause::Starved, Some("EADDRINUSE")));
    assert!(death.explain.contains("ip_local_port_range") && death.explain.contains("--source"), "{death:?}");
    assert_eq!(failed(Kind::Https, libc::EADDRNOTAVAIL, 40_000).cause, Cause::Starved, "the port is taken");
    let gone = failed(Kind::Https, libc::EADDRNOTAVAIL, 0);
    assert_eq!(gone.cause, Cause::Link, "the address is gone");
    assert!(gone.explain.starts_with("the address that they were to be sent from was gone"), "{gone:?}");
    assert_eq!(failed(Kind::Udp, libc::EADDRNOTAVAIL, 40_000).cause, Cause::Link);
    assert!(failed(Kind::Tcp, libc::EMFILE, 0).explain.contains("ulimit -Hn"));
}

#[test]
fn an_icmp_error_serves_where_no_drop_was_seen() {
    let error =
        Event { sensor: sensor::ICMP_SENT, reason: 3 << 8 | 1, location: 0, ..event(Kind::Udp, 120, 0) };
    let unreachable = Outcome::Unreachable { at: 130, errno: libc::EHOSTUNREACH };
    let record = record(Kind::Udp, vec![attempt(0, 100, unreachable)]);
    let (only, _) = deaths(&record, &[error]);
    assert_eq!((only[0].reason.as_deref(), only[0].cause), (Some("ICMP 3/1"), Cause::Neighbour));
    let (both, _) = deaths(&record, &[event(Kind::Udp, 110, 0), error]);
    assert_eq!((both.len(), both[0].cause), (1, Cause::Netfilter));
}

/// Left two time-outs late, as netbreak slept: whether that is what it died of depends on what else is known.
#[test]
fn netbreak_is_to_blame_only_where_nothing_else_is() {
    let on_time = |seq, sent| attempt(seq, sent, Outcome::Answered { at: sent + 1 });
    let late = Attempt { planned: 1_000, ..attempt(1, 1_000 + 2 * TIMEOUT, Outcome::Lost) };
    let record = record(Kind::Icmp, vec![on_time(0, 900), late, on_time(2, 1_000 + 2 * TIMEOUT + 50)]);
    let (found, unexplained) = deaths(&record, &[]);
    assert_eq!(found.iter().map(|d| (d.cause, d.attempts)).collect::<Vec<_>>(), [(Cause::Starved, 1)]);
    assert_eq!((found[0].netns, unexplained), (Some(HERE), 0));
    let (found, _) = deaths(&record, &[event(Kind::Icmp, late.sent + 5, 1)]);
    assert_eq!(found.iter().map(|d| (d.cause, d.attempts)).collect::<Vec<_>>(), [(Cause::Netfilter, 1)]);
}

/// A request is dropped on its way, and what the other end sends later is dropped at home.
#[test]
fn what_comes_back_to_a_socket_that_is_done_with_it_is_no_death() {
    let over = 100 + TIMEOUT;
    let home = |kind, time, reason, symbol, flags| Event {
        netns: HERE,
        flags,
        ..freed(reply(event(kind, time, 0)), reason, symbol, &[])
    };
    let judged = |kind, back| {
        let record = record(kind, vec![attempt(0, 100, Outcome::TimedOut)]);
        let (mut deaths, _) = deaths(&record, &[event(kind, 110, 0), back]);
        (deaths.len(), deaths.remove(0).leg)
    };
    let (at_request, at_reply) = ((1, Leg::Request), (1, Leg::Reply));
    for kind in [Kind::Tcp, Kind::Http] {
        assert_eq!(judged(kind, home(kind, over + 9, "NO_SOCKET", "tcp_v4_rcv", 0x12)), at_request);
        // The socket is still open; a rule there is no socket.
        assert_eq!(judged(kind, home(kind, over - 9, "NETFILTER_DROP", "nft_do_chain", 0x12)), at_reply);
        // A SYN-ACK that the open connection has had.
        let again = home(kind, over - 9, "TCP_INVALID_SYN", "tcp_validate_incoming", 0x12);
        assert_eq!(judged(kind, again), at_request);
        // Its own RST as it is closed.
        let rst =
            Event { flags: 0x04, ..freed(event(kind, over + 9, 0), "IP_INNOROUTES", "ip_forward", &[]) };
        let record = record(kind, vec![attempt(0, 100, Outcome::TimedOut)]);
        let (deaths, _) = deaths(&record, &[event(kind, 110, 0), rst]);
        assert_eq!(deaths[0].cause, Cause::Netfilter);
    }
    assert_eq!(judged(Kind::Udp, home(Kind::Udp, over + 9, "NO_SOCKET", "__udp4_lib_rcv", 0)), at_request);
    assert_eq!(judged(Kind::Udp, home(Kind::Udp, over + 9, "NETFILTER_DROP", "nft_do_chain", 0)), at_reply);
}
