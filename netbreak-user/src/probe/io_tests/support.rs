//! What the tests of real packets share: registry, server, namespaces, runs.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::super::stats::Counts;
use super::super::*;
use crate::clock::{self, MILLISECOND, SECOND};
use crate::serve::{Config, serve};

pub(super) const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Remembers what probes made known.
#[derive(Default)]
pub(super) struct Book {
    pub(super) known: Mutex<Vec<ProbeFlow>>,
    pub(super) registered: Mutex<Vec<ProbeFlow>>,
    pub(super) settled: Mutex<Vec<(u32, u64, bool)>>,
    /// How many flows are those of probes in another namespace: the first ones that are asked for.
    pub(super) taken: Mutex<Vec<ProbeFlow>>,
    pub(super) to_take: usize,
}

impl FlowRegistry for Book {
    fn register(&self, flow: ProbeFlow, _: Owner) -> bool {
        let mut taken = self.taken.lock().unwrap();
        if taken.len() < self.to_take {
            taken.push(flow);
            return false;
        }
        self.known.lock().unwrap().push(flow);
        self.registered.lock().unwrap().push(flow);
        true
    }

    fn forget(&self, flow: ProbeFlow) {
        let mut known = self.known.lock().unwrap();
        let index = known
            .iter()
            .position(|other| *other == flow)
            .expect("a flow is forgotten that nobody registered");
        known.swap_remove(index);
    }

    fn settled(&self, probe: u32, attempt: u64, answered: bool) {
        self.settled.lock().unwrap().push((probe, attempt, answered));
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `test` in a thread with an empty network namespace whose loopback is up.
pub(super) fn in_namespace(test: impl FnOnce() + Send + 'static) {
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
pub(super) fn shell(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn nft(rule: &str) {
    shell(&format!(
        "nft add table inet t; nft 'add chain inet t in {{ type filter hook input priority 0; }}'; \
         nft 'add chain inet t out {{ type filter hook output priority 0; }}'; nft 'add rule inet t {rule}'"
    ));
}

/// A probe of 50 attempts, each 2 ms.
pub(super) fn quick(kind: Kind, address: IpAddr, port: Option<u16>) -> Spec {
    Spec {
        interval: 2 * MILLISECOND,
        duration: 100 * MILLISECOND,
        timeout: 3 * SECOND,
        ..Spec::new(0, kind, address, port, 0x1234_5678_9abc_def0)
    }
}

pub(super) async fn run_all(specs: Vec<Spec>) -> (Vec<Record>, Vec<ProbeFlow>) {
    let book = Arc::new(Book::default());
    let is_open: Vec<bool> = specs.iter().map(|spec| spec.connections.is_none()).collect();
    let prepared = ready(specs, book.clone()).unwrap();
    let (_keep, stop) = watch::channel(false);
    let progress = Arc::new(Progress::default());
    let records = run(prepared, clock::now() + MILLISECOND, stop, Arc::clone(&progress)).await.unwrap();
    assert_eq!(*book.known.lock().unwrap(), [], "every flow is forgotten in the end");
    let sent = |is_counted: &dyn Fn(usize) -> bool| {
        let counted = records.iter().enumerate().filter(|(index, _)| is_counted(*index));
        counted.map(|(_, record)| record.attempts.len() as u64).sum::<u64>()
    };
    assert_eq!((progress.planned(), progress.sent()), (sent(&|index| is_open[index]), sent(&|_| true)));
    let registered = book.registered.lock().unwrap().clone();
    (records, registered)
}

pub(super) async fn run_one(spec: Spec) -> Record {
    run_all(vec![spec]).await.0.remove(0)
}

/// Probes that go on until they are told to end: what a test waits for is counted, and not timed.
pub(super) struct Going {
    tell: watch::Sender<bool>,
    progress: Arc<Progress>,
    records: JoinHandle<Vec<Record>>,
}

impl Going {
    /// Starts the probes, for an hour.
    pub(super) fn new(specs: Vec<Spec>) -> Going {
        let specs = specs.into_iter().map(|spec| Spec { duration: 3600 * SECOND, ..spec });
        let prepared = ready(specs.collect(), Arc::new(Book::default())).unwrap();
        let (tell, stop) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let probes = run(prepared, clock::now(), stop, Arc::clone(&progress));
        Going { tell, progress, records: tokio::spawn(async { probes.await.unwrap() }) }
    }

    /// Waits until they have come so far.
    pub(super) async fn until(&self, so_far: impl Fn(&Progress) -> bool) {
        let deadline = clock::now() + 60 * SECOND;
        while !so_far(&self.progress) {
            assert!(!self.records.is_finished() && clock::now() < deadline, "{:?}", self.progress);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends them.
    pub(super) async fn end(self) -> Vec<Record> {
        self.tell.send(true).unwrap();
        self.records.await.unwrap()
    }
}

/// Serves all kinds on `address`; returns the port of each, and the server.
pub(super) async fn server(address: IpAddr, port: u16) -> (Vec<SocketAddr>, JoinHandle<()>) {
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

/// Serves streams on this port of IPv4's loopback.
pub(super) async fn stream_server(port: u16) -> JoinHandle<()> {
    let (tell, told) = oneshot::channel();
    let config = Config { stream: vec![port], ..Config::new(V4) };
    let task = tokio::spawn(async move { serve(config, |_| tell.send(()).unwrap()).await.unwrap() });
    told.await.unwrap();
    task
}

pub(super) fn counts(record: &Record) -> Counts {
    for attempt in &record.attempts {
        assert!(attempt.sent >= attempt.planned, "{attempt:?} left before its time");
        if let Outcome::Answered { at } = attempt.outcome {
            assert!(at >= attempt.sent, "{attempt:?} was answered before it left");
        }
    }
    Counts::of(&record.attempts)
}

pub(super) fn all(answered: u64) -> Counts {
    Counts { sent: answered, answered, ..Counts::default() }
}

pub(super) async fn each_probe_is_answered(address: IpAddr, with_icmp: bool) {
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
        for attempt in record.attempts.iter().filter(|_| !matches!(record.kind, Kind::Icmp | Kind::Udp)) {
            let flow = |flow: &&ProbeFlow| {
                (flow.local_port, Some(flow.remote.port())) == (attempt.local_port, record.port)
            };
            assert!(flows.iter().any(|f| flow(&f)), "{:?} has an unregistered {attempt:?}", record.kind);
        }
    }
    assert_eq!(records[1].http_errors, Some(0));
    let stream = records[3].stream.clone().unwrap();
    assert_eq!((stream.connections, stream.resets), (1, 0));
    assert_eq!((stream.bytes_sent, stream.bytes_acked), (123 * 1024, 123 * 1024));
}

/// A port that nobody listens on: bound, and kept from others by the socket that is returned.
pub(super) fn closed_tcp_port(address: IpAddr) -> (u16, socket2::Socket) {
    let at = SocketAddr::new(address, 0);
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None).unwrap();
    socket.bind(&at.into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap().port(), socket)
}

/// Answers each connection with `answer` as it is, and closes it.
pub(super) async fn canned(answer: &'static str) -> u16 {
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

pub(super) fn in_namespace_with(rule: &'static str, test: impl Future<Output = ()> + Send + 'static) {
    in_namespace(move || {
        nft(rule);
        runtime().block_on(test);
    });
}

/// Prepares the probes of a run that has no others.
pub(super) fn ready(specs: Vec<Spec>, registry: Arc<dyn FlowRegistry>) -> Result<Prepared, PrepareError> {
    let patience = patience(&specs.iter().collect::<Vec<_>>())?;
    prepare(specs, 0, patience, registry)
}

pub(super) fn refusal(spec: Spec) -> String {
    match ready(vec![spec], Arc::new(Book::default())) {
        Ok(_) => panic!("it must be refused"),
        Err(error) => error.to_string(),
    }
}
