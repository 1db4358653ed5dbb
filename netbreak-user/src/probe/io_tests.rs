//! Every probe against `serve`, on loopback: real packets, exact counts. Those that need root have a network namespace of
//! their own.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::stats::Counts;
use super::*;
use crate::clock::{self, MILLISECOND, Nanos, SECOND};
use crate::serve::{Config, serve};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Remembers what probes made known.
#[derive(Default)]
struct Book {
    known: Mutex<Vec<ProbeFlow>>,
    registered: Mutex<Vec<ProbeFlow>>,
}

impl FlowRegistry for Book {
    fn register(&self, flow: ProbeFlow) {
        self.known.lock().unwrap().push(flow);
        self.registered.lock().unwrap().push(flow);
    }

    fn forget(&self, flow: ProbeFlow) {
        let mut known = self.known.lock().unwrap();
        let index = known
            .iter()
            .position(|other| *other == flow)
            .expect("a flow is forgotten that nobody registered");
        known.swap_remove(index);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `test` in a thread with an empty network namespace whose loopback is up.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        assert!(
            std::env::var_os("NETBREAK_REQUIRE").is_none(),
            "NETBREAK_REQUIRE is set, and this test needs root"
        );
        println!("skipped: needs root");
        return;
    }
    let thread = std::thread::spawn(move || {
        // SAFETY: only the network namespace of this thread changes; no descriptor becomes invalid by it.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
        shell("ip link set lo up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a command in this thread's namespace.
fn shell(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn nft(rule: &str) {
    shell(&format!(
        "nft add table inet t; nft 'add chain inet t in {{ type filter hook input priority 0; }}'; \
         nft 'add chain inet t out {{ type filter hook output priority 0; }}'; nft 'add rule inet t {rule}'"
    ));
}

/// A probe of 50 attempts, each 2 ms.
fn quick(kind: Kind, address: IpAddr, port: Option<u16>) -> Spec {
    Spec {
        interval: 2 * MILLISECOND,
        duration: 100 * MILLISECOND,
        timeout: 300 * MILLISECOND,
        ..Spec::new(0, kind, address, port, 0x1234_5678_9abc_def0)
    }
}

async fn run_all(specs: Vec<Spec>) -> (Vec<Record>, Vec<ProbeFlow>) {
    let book = Arc::new(Book::default());
    let prepared = prepare(specs, book.clone()).unwrap();
    let (_keep, stop) = watch::channel(false);
    let progress = Arc::new(Progress::default());
    let records = run(prepared, clock::now() + MILLISECOND, stop, Arc::clone(&progress)).await.unwrap();
    assert_eq!(*book.known.lock().unwrap(), [], "every flow is forgotten in the end");
    let sent: usize = records.iter().map(|record| record.attempts.len()).sum();
    assert_eq!((progress.planned(), progress.sent()), (sent as u64, sent as u64));
    let registered = book.registered.lock().unwrap().clone();
    (records, registered)
}

async fn run_one(spec: Spec) -> Record {
    run_all(vec![spec]).await.0.remove(0)
}

/// Serves all kinds on `address`; returns the port of each, and the server.
async fn server(address: IpAddr, port: u16) -> (Vec<SocketAddr>, JoinHandle<()>) {
    let (tell, told) = oneshot::channel();
    let ports = vec![port];
    let config = Config {
        tcp: ports.clone(),
        http: ports.clone(),
        udp: ports.clone(),
        stream: ports,
        ..Config::new(address)
    };
    let task = tokio::spawn(async move {
        let ready =
            |open: Vec<(Kind, SocketAddr)>| drop(tell.send(open.into_iter().map(|(_, at)| at).collect()));
        serve(config, ready).await.unwrap();
    });
    (told.await.unwrap(), task)
}

fn counts(record: &Record) -> Counts {
    for attempt in &record.attempts {
        assert!(attempt.sent >= attempt.planned, "{attempt:?} left before its time");
        if let Outcome::Answered { at } = attempt.outcome {
            assert!(at >= attempt.sent, "{attempt:?} was answered before it left");
        }
    }
    Counts::of(&record.attempts)
}

fn all(answered: u64) -> Counts {
    Counts { sent: answered, answered, ..Counts::default() }
}

async fn each_probe_is_answered(address: IpAddr, with_icmp: bool) {
    let (ports, _server) = server(address, 0).await;
    let kinds = [Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream];
    let mut specs: Vec<_> =
        kinds.into_iter().zip(&ports).map(|(kind, at)| quick(kind, address, Some(at.port()))).collect();
    if with_icmp {
        specs.push(quick(Kind::Icmp, address, None));
        specs.push(quick(Kind::Icmp, address, None));
    }
    let (records, flows) = run_all(specs).await;
    for record in &records {
        let expected = if record.kind == Kind::Stream { 123 } else { 50 };
        assert_eq!(counts(record), all(expected), "{:?}: {:?}", record.kind, record.attempts);
        assert_eq!(record.duplicates, 0);
        for attempt in &record.attempts {
            let flow = |flow: &&ProbeFlow| {
                (flow.local_port, flow.remote_port) == (attempt.local_port, record.port.unwrap_or(0))
            };
            assert!(flows.iter().any(|f| flow(&f)), "{:?} has an unregistered {attempt:?}", record.kind);
        }
    }
    assert_eq!(records[1].http_errors, Some(0));
    let stream = records[3].stream.clone().unwrap();
    assert_eq!((stream.connections, stream.resets), (1, 0));
    assert_eq!((stream.bytes_sent, stream.bytes_acked), (123 * 1024, 123 * 1024));
}

#[test]
fn on_ipv4_each_probe_is_answered() {
    runtime().block_on(each_probe_is_answered(V4, false));
}

#[test]
fn on_ipv6_each_probe_is_answered() {
    runtime().block_on(each_probe_is_answered(V6, false));
}

#[test]
fn with_icmp_each_probe_is_answered() {
    in_namespace(|| runtime().block_on(each_probe_is_answered(V4, true)));
    in_namespace(|| runtime().block_on(each_probe_is_answered(V6, true)));
}

/// A port that nobody listens on: bound, and kept from others by the socket that is returned.
fn closed_tcp_port(address: IpAddr) -> (u16, socket2::Socket) {
    let at = SocketAddr::new(address, 0);
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None).unwrap();
    socket.bind(&at.into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap().port(), socket)
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

/// Answers each connection with `answer` as it is, and closes it.
async fn canned(answer: &'static str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind((V4, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    port
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
        let (ports, first) = server(V4, 0).await;
        let at = ports[3];
        let spec = Spec { duration: 600 * MILLISECOND, ..quick(Kind::Stream, V4, Some(at.port())) };
        let probe = tokio::spawn(run_one(spec));
        tokio::time::sleep(Duration::from_millis(150)).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        tokio::time::sleep(Duration::from_millis(150)).await;
        let config = Config { stream: vec![at.port()], ..Config::new(V4) };
        tokio::spawn(serve(config, |_| ()));
        let record = probe.await.unwrap();
        let counts = counts(&record);
        let stream = record.stream.unwrap();
        assert_eq!((stream.connections, stream.resets), (2, 1));
        assert!(counts.answered > 200 && counts.send_failed > 50, "{counts:?}");
        assert_eq!(counts.sent, counts.answered + counts.send_failed + counts.reset);
    });
}

#[test]
fn a_stop_ends_the_run_and_keeps_every_record() {
    runtime().block_on(async {
        let (ports, _server) = server(V4, 0).await;
        let kinds = [Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream];
        let specs = kinds
            .into_iter()
            .zip(&ports)
            .map(|(kind, at)| Spec { duration: 3600 * SECOND, ..quick(kind, V4, Some(at.port())) });
        let prepared = prepare(specs.collect(), Arc::new(Book::default())).unwrap();
        let (tell, stop) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let probes = tokio::spawn(run(prepared, clock::now(), stop, Arc::clone(&progress)));
        while progress.answered() < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tell.send(true).unwrap();
        let records = probes.await.unwrap().unwrap();
        assert_eq!(records.iter().map(|record| record.kind).collect::<Vec<_>>(), kinds);
        for record in &records {
            assert!(!record.attempts.is_empty());
            assert_eq!(counts(record), all(record.attempts.len() as u64));
        }
    });
}

fn in_namespace_with(rule: &'static str, test: impl Future<Output = ()> + Send + 'static) {
    in_namespace(move || {
        nft(rule);
        runtime().block_on(test);
    });
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
    in_namespace_with("in meta l4proto { icmp, tcp } reject with icmp host-unreachable", async move {
        let specs = vec![quick(Kind::Icmp, V4, None), quick(Kind::Tcp, V4, Some(9))];
        for record in run_all(specs).await.0 {
            assert_eq!(counts(&record), unreachable, "{record:?}");
            assert!(
                record
                    .attempts
                    .iter()
                    .all(|a| matches!(a.outcome, Outcome::Unreachable { errno: libc::EHOSTUNREACH, .. }))
            );
        }
    });
    in_namespace_with("in meta l4proto tcp reject with tcp reset", async {
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
            // Nobody answers until the time-out is over; then all that waits in the socket's buffer is answered.
            let socket = tokio::net::UdpSocket::bind((V4, 0)).await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let spec = Spec { timeout: 20 * MILLISECOND, ..quick(Kind::Udp, V4, Some(port)) };
            let probe = tokio::spawn(run_one(spec));
            tokio::time::sleep(Duration::from_millis(60)).await;
            let mut buffer = [0; 100];
            while let Ok(Ok((length, from))) =
                tokio::time::timeout(Duration::from_millis(30), socket.recv_from(&mut buffer)).await
            {
                socket.send_to(&buffer[..length], from).await.unwrap();
                socket.send_to(&buffer[..length], from).await.unwrap();
            }
            let record = probe.await.unwrap();
            let counts = counts(&record);
            assert!(counts.late >= 15 && counts.late + counts.answered == 50, "{counts:?}");
            assert_eq!(record.duplicates, 50);
        });
    });
}

#[test]
fn ten_thousand_attempts_a_second() {
    in_namespace(|| {
        runtime().block_on(async {
            let (ports, _server) = server(V4, 0).await;
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
