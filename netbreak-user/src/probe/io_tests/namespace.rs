//! In a network namespace of their own, with rules of their own: these need root.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::super::stats::Counts;
use super::super::*;
use super::support::*;
use crate::clock::{self, MILLISECOND, Nanos, SECOND};

#[test]
fn with_icmp_each_probe_is_answered() {
    in_namespace(|| runtime().block_on(each_probe_is_answered(V4, true)));
    in_namespace(|| runtime().block_on(each_probe_is_answered(V6, true)));
}

#[test]
fn a_dropped_packet_is_lost_or_timed_out() {
    in_namespace_with("in meta l4proto { icmp, icmpv6, udp, tcp } drop", async {
        let specs = vec![
            quick(Kind::Icmp, V4, None),
            quick(Kind::Icmp, V6, None),
            quick(Kind::Udp, V4, Some(9)),
            quick(Kind::Tcp, V4, Some(9)),
            quick(Kind::Http, V6, Some(9)),
        ];
        let specs = specs.into_iter().map(|spec| Spec { timeout: 300 * MILLISECOND, ..spec }).collect();
        let begin = clock::now();
        let (records, _) = run_all(specs).await;
        assert!(clock::now() - begin >= 398 * MILLISECOND, "the last time-out is waited for");
        for record in &records[..3] {
            assert_eq!(counts(record), Counts { sent: 50, lost: 50, ..Counts::default() });
        }
        for record in &records[3..] {
            assert_eq!(counts(record), Counts { sent: 50, timed_out: 50, ..Counts::default() });
        }
    });
}

#[test]
fn a_probe_does_not_meet_itself() {
    const CLOSED: u16 = 40_001;
    in_namespace(|| {
        // TCP takes the second one first (`inet_csk_find_open_port`), UDP either.
        shell("echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
        runtime().block_on(async {
            for _ in 0..10 {
                let once = |kind| Spec { duration: MILLISECOND, ..quick(kind, V4, Some(CLOSED)) };
                let record = run_one(once(Kind::Tcp)).await;
                assert_eq!(counts(&record), Counts { sent: 1, refused: 1, ..Counts::default() });
                let record = run_one(once(Kind::Udp)).await;
                assert_eq!(counts(&record), Counts { sent: 1, unreachable: 1, ..Counts::default() });
            }
        });
    });
}

#[test]
fn an_icmp_error_is_told_from_a_rst() {
    let unreachable = Counts { sent: 50, unreachable: 50, ..Counts::default() };
    in_namespace_with("in meta l4proto { udp, tcp } reject with icmpx port-unreachable", async move {
        for address in [V4, V6] {
            let specs = vec![quick(Kind::Tcp, address, Some(9)), quick(Kind::Udp, address, Some(9))];
            for record in run_all(specs).await.0 {
                assert_eq!(counts(&record), unreachable, "{record:?}");
            }
        }
    });
    let no_host = |kind, address, port| async move {
        let record = run_one(quick(kind, address, port)).await;
        assert_eq!(counts(&record), unreachable, "{record:?}");
        for attempt in record.attempts {
            assert!(matches!(attempt.outcome, Outcome::Unreachable { errno: libc::EHOSTUNREACH, .. }));
        }
    };
    in_namespace_with(
        "in icmp type echo-request reject with icmp host-unreachable",
        no_host(Kind::Icmp, V4, None),
    );
    in_namespace_with(
        "in meta l4proto tcp reject with icmp host-unreachable",
        no_host(Kind::Tcp, V4, Some(9)),
    );
    let rule = "in icmpv6 type echo-request reject with icmpv6 addr-unreachable";
    in_namespace_with(rule, no_host(Kind::Icmp, V6, None));
    in_namespace_with(
        "in meta l4proto tcp reject with icmpv6 addr-unreachable",
        no_host(Kind::Tcp, V6, Some(9)),
    );
    in_namespace_with("in tcp dport 9 reject with tcp reset", async {
        let record = run_one(quick(Kind::Tcp, V4, Some(9))).await;
        assert_eq!(counts(&record), Counts { sent: 50, refused: 50, ..Counts::default() });
    });
}

#[test]
fn what_the_kernel_refuses_to_send_is_said_with_its_reason() {
    let failed = Counts { sent: 50, send_failed: 50, ..Counts::default() };
    in_namespace_with("out meta l4proto { icmp, udp } counter drop", async move {
        for record in run_all(vec![quick(Kind::Icmp, V4, None), quick(Kind::Udp, V4, Some(9))]).await.0 {
            assert_eq!(counts(&record), failed);
            assert!(record.attempts.iter().all(|a| a.outcome == Outcome::SendFailed { errno: libc::EPERM }));
        }
        // Each attempt made one packet, not two.
        shell("nft list table inet t | grep -q 'counter packets 100 '");
    });
    in_namespace(move || {
        // The target is another machine's address, and there is no route: nothing can be connected or sent.
        let away = IpAddr::from([192, 0, 2, 1]);
        let specs = vec![
            quick(Kind::Tcp, away, Some(9)),
            quick(Kind::Icmp, away, None),
            quick(Kind::Udp, away, Some(9)),
        ];
        for record in runtime().block_on(run_all(specs)).0 {
            assert_eq!(counts(&record), failed, "{record:?}");
            assert!(
                record.attempts.iter().all(|a| a.outcome == Outcome::SendFailed { errno: libc::ENETUNREACH })
            );
        }
    });
}

#[test]
fn without_a_free_port_nothing_is_sent_and_another_source_stands_in() {
    in_namespace(|| {
        runtime().block_on(async {
            let (ports, _server) = server(V4, 0).await;
            shell("echo 30000 30049 > /proc/sys/net/ipv4/ip_local_port_range");
            let _held: Vec<_> = (30_000..30_050).map(|port| TcpListener::bind((V4, port)).unwrap()).collect();
            let from = |sources: &[[u8; 4]]| Spec {
                interval: 10_000,
                connections: Some(5),
                sources: sources.iter().map(|source| (*source).into()).collect(),
                ..quick(Kind::Tcp, V4, Some(ports[0].port()))
            };
            let refused = refusal(Spec { connections: Some(46), ..from(&[[127, 0, 0, 1]]) });
            let words = "46 connections of one probe may be open at once, and 45 can have a local port: 30000 to 30049 ";
            let each = "are 50 for each source address, of which one probe takes 45:";
            assert!(refused.starts_with(words) && refused.contains(each), "{refused}");
            let refused = refusal(Spec { connections: Some(91), ..from(&[[127, 0, 0, 1], [127, 0, 0, 2]]) });
            assert!(refused.contains("and 90 can have a local port") && refused.contains(each), "{refused}");
            let going = Going::new(vec![from(&[[127, 0, 0, 2], [127, 0, 0, 1]])]);
            going.until(|progress| progress.answered() > 5).await;
            let both = counts(&going.end().await[0]);
            assert_eq!(both.answered, both.sent, "{both:?}");
            let record = run_one(from(&[[127, 0, 0, 1]])).await;
            let none = counts(&record);
            assert!(none.send_failed == none.sent && none.sent <= 55, "asked for again at once: {none:?}");
            let failed = Outcome::SendFailed { errno: libc::EADDRINUSE };
            assert!(
                record.attempts.iter().all(|attempt| (attempt.outcome, attempt.local_port) == (failed, 0))
            );
        });
    });
}

#[test]
fn two_runs_with_the_same_identifier_do_not_take_each_others_echoes() {
    in_namespace(|| {
        runtime().block_on(async {
            let other = Spec { run_id: 0xdef0, ..quick(Kind::Icmp, V4, None) };
            let both = tokio::join!(run_one(quick(Kind::Icmp, V4, None)), run_one(other));
            for record in [both.0, both.1] {
                assert_eq!((counts(&record), record.duplicates), (all(50), 0));
            }
        });
    });
}

#[test]
fn late_answers_are_late() {
    in_namespace(|| {
        runtime().block_on(async {
            // The first ones are answered when their time-out is over, all others at once.
            const LATE: usize = 15;
            let socket = tokio::net::UdpSocket::bind((V4, 0)).await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let spec = Spec {
                interval: 10 * MILLISECOND,
                duration: 500 * MILLISECOND,
                timeout: 300 * MILLISECOND,
                ..quick(Kind::Udp, V4, Some(port))
            };
            let probe = tokio::spawn(run_one(spec));
            let mut held = Vec::new();
            for number in 1..=50 {
                let mut buffer = [0; 100];
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                held.push((buffer, length, from));
                if number < LATE {
                    continue;
                }
                if number == LATE {
                    tokio::time::sleep(Duration::from_millis(301)).await;
                }
                for (buffer, length, from) in held.drain(..) {
                    socket.send_to(&buffer[..length], from).await.unwrap();
                    socket.send_to(&buffer[..length], from).await.unwrap();
                }
            }
            let record = probe.await.unwrap();
            let counts = counts(&record);
            assert!(counts.late >= LATE as u64 && counts.late + counts.answered == 50, "{counts:?}");
            assert_eq!(record.duplicates, 50);
        });
    });
}

/// The other end in a thread of its own, in the same namespace; it ends with the sender.
fn server_in_a_thread() -> (Vec<SocketAddr>, oneshot::Sender<()>) {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        runtime().block_on(async {
            tell.send(server(V4, 0).await.0).unwrap();
            ended.await.unwrap_err();
        });
    });
    (told.recv().unwrap(), end)
}

/// Connections to this port of a server that are open, in the caller's namespace.
fn established(port: u16) -> usize {
    // Documentation/networking/proc_net_tcp.rst: local address, remote address, state, in hexadecimal digits.
    let is_open = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, _, remote, "01", ..] if remote.ends_with(&format!(":{port:04X}")))
    };
    std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap().lines().filter(|line| is_open(line)).count()
}

#[test]
fn hundreds_of_streams_each_have_their_own_record() {
    in_namespace(|| {
        let (ports, _end) = server_in_a_thread();
        let port = ports[3].port();
        runtime().block_on(async {
            let stream = |turn: u64| Spec {
                stream_rate_bps: stream_rate(300),
                delay: turn * SECOND / 10 / 300,
                duration: 4 * SECOND,
                timeout: SECOND / 2,
                ..quick(Kind::Stream, V4, Some(port))
            };
            let probes = tokio::spawn(run_all((0..300).map(stream).collect()));
            while established(port) < 300 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // About half of them stall. All have odd ports (`inet_csk_find_open_port`).
            nft(&format!("in tcp dport {port} tcp sport & 2 == 2 drop"));
            tokio::time::sleep(Duration::from_millis(700)).await;
            shell("nft delete table inet t");
            let (records, flows) = probes.await.unwrap();
            assert_eq!((records.len(), flows.len()), (300, 300));
            let mut stalled = 0;
            for (record, flow) in records.iter().zip(&flows) {
                let stream = record.stream.as_ref().unwrap();
                assert_eq!((stream.connections, stream.resets), (1, 0), "{stream:?}");
                let (counts, stalls) = (counts(record), flow.local_port & 2 == 2);
                assert_eq!(record.attempts[0].local_port, flow.local_port);
                assert_eq!(stream.longest_stall > SECOND / 2, stalls, "{counts:?} {stream:?}");
                assert_eq!(counts.late > 0, stalls, "{counts:?}");
                stalled += u64::from(stalls);
            }
            println!("{stalled} of 300 stalled");
            assert!((1..300).contains(&stalled));
        });
    });
}

#[test]
fn ten_thousand_attempts_a_second() {
    in_namespace(|| {
        let (ports, _end) = server_in_a_thread();
        runtime().block_on(async {
            for (kind, port) in
                [(Kind::Icmp, None), (Kind::Udp, Some(ports[2].port())), (Kind::Tcp, Some(ports[0].port()))]
            {
                let spec = Spec { interval: SECOND / 10_000, duration: SECOND / 2, ..quick(kind, V4, port) };
                let begin = clock::now();
                let record = run_one(spec).await;
                let mut late: Vec<Nanos> = record.attempts.iter().map(|a| a.sent - a.planned).collect();
                late.sort_unstable();
                println!(
                    "{}: {:?} in {} ms; sent {} us (median), {} us (99 %) after the plan; {:?}",
                    kind.name(),
                    counts(&record),
                    (clock::now() - begin) / MILLISECOND,
                    late[late.len() / 2] / 1000,
                    late[late.len() * 99 / 100] / 1000,
                    stats::Rtt::of(&record.attempts)
                );
                assert_eq!(record.attempts.len(), 5000);
            }
        });
    });
}

#[test]
fn a_break_makes_connects_late_and_a_stream_stall_but_resets_nothing() {
    in_namespace(|| {
        runtime().block_on(async {
            let (ports, _server) = server(V4, 0).await;
            let lasts = |kind, port: SocketAddr, timeout| Spec {
                interval: 10 * MILLISECOND,
                timeout,
                duration: 4 * SECOND,
                ..quick(kind, V4, Some(port.port()))
            };
            // Before a SYN is sent again, and before a stream has recovered.
            let connects = lasts(Kind::Tcp, ports[0], 900 * MILLISECOND);
            let writes = lasts(Kind::Stream, ports[3], 300 * MILLISECOND);
            let probes = tokio::spawn(run_all(vec![connects, writes]));
            tokio::time::sleep(Duration::from_millis(300)).await;
            nft("in meta l4proto tcp drop");
            tokio::time::sleep(Duration::from_millis(500)).await;
            shell("nft delete table inet t");
            let records = probes.await.unwrap().0;
            let connects = counts(&records[0]);
            // The SYN is sent again after a second: later than the time-out, but it arrives.
            assert!(connects.late > 20 && connects.answered > 100, "{connects:?}");
            assert_eq!(connects.late + connects.answered + connects.timed_out, 400);
            assert_eq!(outage::outages(records[0].kind, &records[0].attempts, Nanos::MAX).len(), 1);
            let writes = counts(&records[1]);
            let stream = records[1].stream.clone().unwrap();
            assert_eq!((stream.connections, stream.resets), (1, 0));
            assert!(stream.longest_stall > 400 * MILLISECOND, "{stream:?}");
            assert!(writes.late > 100 && writes.late + writes.answered == writes.sent, "{writes:?}");
            assert_eq!(stream.bytes_acked, writes.sent * 1024);
        });
    });
}

#[test]
fn connects_that_time_out_make_room_for_new_ones() {
    in_namespace_with("in meta l4proto tcp drop", async {
        // 4,000 a second, 40 within a time-out, 50 open at most: nobody is waited for much longer than its time-out.
        let spec = Spec {
            interval: SECOND / 4000,
            duration: SECOND / 2,
            timeout: SECOND / 100,
            ..quick(Kind::Tcp, V4, Some(9))
        };
        let book: Arc<dyn FlowRegistry> = Arc::new(Book::default());
        let (_keep, stop) = watch::channel(false);
        let mut prepared = ready(vec![spec], book).unwrap();
        prepared.limit_visits(50);
        let record = run(prepared, clock::now(), stop, Arc::default()).await.unwrap().remove(0);
        assert_eq!(counts(&record), Counts { sent: 2000, timed_out: 2000, ..Counts::default() });
        let mut open = std::collections::VecDeque::new();
        for attempt in &record.attempts {
            open.push_back(attempt.sent);
            while open.front().is_some_and(|sent| sent + SECOND / 100 < attempt.sent) {
                open.pop_front();
            }
            assert!(open.len() <= 51, "never more than the limit are younger than the time-out");
        }
    });
}

#[test]
fn without_the_capability_icmp_says_which() {
    in_namespace(|| {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(rustix::thread::CapabilitySet::NET_RAW);
        rustix::thread::set_capabilities(None, sets).unwrap();
        assert!(refusal(quick(Kind::Icmp, V4, None)).starts_with("icmp to 127.0.0.1 needs CAP_NET_RAW: "));
    });
}
