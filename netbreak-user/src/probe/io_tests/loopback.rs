//! On the machine's own loopback, without privileges.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::stats::Counts;
use super::super::*;
use super::support::*;
use crate::clock::{self, MILLISECOND, SECOND};

#[test]
fn on_ipv4_each_probe_is_answered() {
    runtime().block_on(each_probe_is_answered(V4, false));
}

#[test]
fn on_ipv6_each_probe_is_answered() {
    runtime().block_on(each_probe_is_answered(V6, false));
}

#[test]
fn a_closed_tcp_port_refuses() {
    for address in [V4, V6] {
        let (port, _socket) = closed_tcp_port(address);
        for kind in [Kind::Tcp, Kind::Http] {
            let record = runtime().block_on(run_one(quick(kind, address, Some(port))));
            assert_eq!(counts(&record), Counts { sent: 50, refused: 50, ..Counts::default() });
        }
    }
}

#[test]
fn a_flow_that_is_another_probes_is_left_alone() {
    let (port, _socket) = closed_tcp_port(V4);
    for kind in [Kind::Tcp, Kind::Http] {
        let book = Arc::new(Book { to_take: 3, ..Book::default() });
        let record = runtime().block_on(async {
            let prepared = ready(vec![quick(kind, V4, Some(port))], book.clone()).unwrap();
            let (_keep, stop) = watch::channel(false);
            run(prepared, clock::now(), stop, Arc::default()).await.unwrap().remove(0)
        });
        assert_eq!(book.taken.lock().unwrap().len(), 3);
        let (taken, registered) = (book.taken.lock().unwrap(), book.registered.lock().unwrap());
        assert!(!registered.is_empty() && taken.iter().all(|flow| !registered[..1].contains(flow)));
        assert_eq!(record.attempts[0].local_port, registered[0].local_port);
        assert_eq!(*book.known.lock().unwrap(), [], "what others made known is not forgotten for them");
    }
}

#[test]
fn a_closed_loop_keeps_its_connects_in_flight_and_begins_the_next_when_one_ends() {
    runtime().block_on(async {
        let (ports, _server) = server(V4, 0).await;
        for (kind, port) in [(Kind::Tcp, ports[0]), (Kind::Http, ports[1])] {
            let spec = Spec { connections: Some(20), interval: 10_000, ..quick(kind, V4, Some(port.port())) };
            let going = Going::new(vec![spec]);
            going.until(|progress| progress.answered() > 200).await;
            let record = going.end().await.remove(0);
            let counts = counts(&record);
            assert_eq!(counts.answered, counts.sent, "{kind:?}: {counts:?}");
            let ends: Vec<_> = record
                .attempts
                .iter()
                .map(|attempt| match attempt.outcome {
                    Outcome::Answered { at } => at,
                    other => panic!("{other:?}"),
                })
                .collect();
            for (index, attempt) in record.attempts.iter().enumerate() {
                let open = ends[..index].iter().filter(|end| **end > attempt.sent).count();
                assert!(open < 20, "{open} others are in flight when {index} begins");
            }
        }
    });
}

#[test]
fn a_closed_loop_goes_on_when_nobody_answers() {
    // A listener whose queue is full takes no SYN.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::new(V4, 0).into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let spec = Spec {
        connections: Some(4),
        interval: 10_000,
        timeout: 50 * MILLISECOND,
        ..quick(Kind::Http, V4, Some(port))
    };
    let record = runtime().block_on(async {
        let going = Going::new(vec![spec]);
        going.until(|progress| progress.sent() >= 16).await;
        going.end().await.remove(0)
    });
    let counts = counts(&record);
    // One connection is accepted by the kernel and not answered; the others get no SYN-ACK.
    assert_eq!(counts.timed_out, counts.sent, "{counts:?}");
    for (first, next) in record.attempts.iter().zip(&record.attempts[4..]) {
        assert!(next.sent > first.sent + 50 * MILLISECOND, "four are in flight: {first:?}, {next:?}");
    }
}

#[test]
fn a_stream_to_a_closed_port_fails_to_send() {
    let (port, _socket) = closed_tcp_port(V4);
    let record = runtime().block_on(run_one(quick(Kind::Stream, V4, Some(port))));
    assert_eq!(counts(&record), Counts { sent: 123, send_failed: 123, ..Counts::default() });
    assert!(record.attempts.iter().all(|a| a.outcome == Outcome::SendFailed { errno: libc::ECONNREFUSED }));
}

#[test]
fn a_udp_port_without_a_listener_is_unreachable() {
    for address in [V4, V6] {
        let taken = std::net::UdpSocket::bind((address, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        // A socket that is connected to somebody else does not get our datagrams, and keeps the port.
        taken.connect((address, 9)).unwrap();
        let record = runtime().block_on(run_one(quick(Kind::Udp, address, Some(port))));
        assert_eq!(counts(&record), Counts { sent: 50, unreachable: 50, ..Counts::default() }, "{record:?}");
        for attempt in &record.attempts {
            assert!(matches!(attempt.outcome, Outcome::Unreachable { errno: libc::ECONNREFUSED, .. }));
        }
    }
}

#[test]
fn http_errors_are_answers_and_an_early_end_is_a_reset() {
    let fetch = |answer| {
        runtime().block_on(async move { run_one(quick(Kind::Http, V4, Some(canned(answer).await))).await })
    };
    let record = fetch("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!((counts(&record), record.http_errors), (all(50), Some(50)));
    let record = fetch("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((counts(&record), record.http_errors), (all(50), Some(0)));
    let record = fetch("SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!((counts(&record), record.http_errors), (all(50), Some(50)));
    let reset = Counts { sent: 50, reset: 50, ..Counts::default() };
    assert_eq!(counts(&fetch("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno")), reset);
    assert_eq!(counts(&fetch("")), reset);
}

#[test]
fn a_stream_reconnects_after_a_reset() {
    runtime().block_on(async {
        // While nobody listens on the port nobody else gets it.
        let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        held.set_reuse_address(true).unwrap();
        held.bind(&std::net::SocketAddr::new(V4, 0).into()).unwrap();
        let port = held.local_addr().unwrap().as_socket().unwrap().port();
        let first = stream_server(port).await;
        let going = Going::new(vec![quick(Kind::Stream, V4, Some(port))]);
        going.until(|progress| progress.answered() > 100).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        going.until(|progress| progress.sent() - progress.answered() > 60).await;
        let _second = stream_server(port).await;
        going.until(|progress| progress.answered() > 200).await;
        let record = going.end().await.remove(0);
        let counts = counts(&record);
        let stream = record.stream.unwrap();
        assert_eq!((stream.connections, stream.resets), (2, 1));
        assert!(counts.answered > 200 && counts.send_failed > 50, "{counts:?}");
        assert_eq!(counts.sent, counts.answered + counts.send_failed + counts.reset);
    });
}

#[test]
fn whoever_resets_each_connection_is_not_connected_to_at_once() {
    let listener = std::net::TcpListener::bind((V4, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Closed with the stream's bytes unread: that is a RST.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let spec = Spec { duration: 500 * MILLISECOND, ..quick(Kind::Stream, V4, Some(port)) };
    let record = runtime().block_on(run_one(spec));
    let (stream, counts) = (record.stream.as_ref().unwrap(), counts(&record));
    assert!(stream.connections > 0 && stream.connections <= 7, "{stream:?}");
    // The kernel acknowledges what its server has not accepted yet: the last one may outlive the plan.
    assert!(0 < stream.resets && stream.connections - stream.resets <= 1, "{stream:?}");
    assert_eq!(counts.sent, counts.answered + counts.reset + counts.send_failed, "{counts:?}");
    let is_other = |outcome| matches!(outcome, Outcome::SendFailed { errno } if errno != libc::ECONNRESET);
    assert!(!record.attempts.iter().any(|attempt| is_other(attempt.outcome)));
}

#[test]
fn a_stop_ends_the_run_and_keeps_every_record() {
    runtime().block_on(async {
        let (ports, _server) = server(V4, 0).await;
        let kinds = [Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream];
        let specs = kinds.into_iter().zip(&ports).map(|(kind, at)| quick(kind, V4, Some(at.port())));
        let going = Going::new(specs.collect());
        going.until(|progress| progress.answered() >= 100).await;
        let records = going.end().await;
        assert_eq!(records.iter().map(|record| record.kind).collect::<Vec<_>>(), kinds);
        for record in &records {
            assert!(!record.attempts.is_empty());
            assert_eq!(counts(record), all(record.attempts.len() as u64));
        }
    });
}

#[test]
fn what_cannot_work_is_said_before_the_run() {
    let away =
        Spec { sources: vec![[127, 0, 0, 1].into(), [192, 0, 2, 1].into()], ..quick(Kind::Tcp, V4, Some(9)) };
    assert_eq!(
        refusal(away),
        "tcp to 127.0.0.1 cannot leave from 192.0.2.1: Cannot assign requested address (os error 99); \
         `ip address` shows this namespace's addresses"
    );
    let nowhere = Spec { interface: Some("nowhere0".into()), ..quick(Kind::Udp, V4, Some(9)) };
    assert_eq!(
        refusal(nowhere),
        "udp to 127.0.0.1 cannot leave through nowhere0: No such device (os error 19); \
         `ip link` shows this namespace's devices"
    );
    let hasty = Spec { interval: 1000, duration: SECOND, ..quick(Kind::Tcp, V4, Some(9)) };
    let refused = refusal(hasty);
    assert!(refused.starts_with("1000002 sockets may be open at once, "), "{refused}");
}
