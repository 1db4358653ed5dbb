//! The lab's own promises: it is there quickly, each fault kills exactly the packets that the kernel counts, undoing
//! it heals the network, and nothing of it survives its process.
//!
//! Needs root, iproute2, nftables, iptables, ethtool and ping. Without them a test says "skipped: …"; with
//! NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "common/skip.rs"]
mod skip;
#[path = "common/wait.rs"]
mod wait;

use netbreak_user::counters::SocketKind;
use netbreak_user::lab::{Effect, FAULTS, Family, Fault, Lab, Role, SERVER_V4, SERVER_V6, find};
use netbreak_user::probe::Kind;
use netbreak_user::report::Cause;
use netbreak_user::watch::{Watcher, What};
use netbreak_user::{counters, netns};
use skip::skipped;
use wait::wait_until;

/// Packets of one burst.
const BURST: u64 = 20;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a burst of one kind and says how many packets were not answered.
fn lost(lab: &Lab, family: Family, kind: Kind, arguments: &[&str]) -> u64 {
    let port = || arguments.iter().find_map(|argument| argument.parse().ok());
    match kind {
        Kind::Icmp if arguments.contains(&"--dont-fragment") => {
            ping(lab, family, &["-s", "1400", "-M", "do"])
        }
        Kind::Icmp => ping(lab, family, &[]),
        Kind::Udp if arguments.contains(&"--dont-fragment") => udp(lab, family, None, 1400),
        Kind::Udp => udp(lab, family, port(), 10),
        _ => tcp(lab, family, port()),
    }
}

fn server(family: Family) -> IpAddr {
    if family == Family::V4 { SERVER_V4.into() } else { SERVER_V6.into() }
}

fn any(family: Family) -> SocketAddr {
    let address: IpAddr =
        if family == Family::V4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    (address, 0).into()
}

fn ping(lab: &Lab, family: Family, more: &[&str]) -> u64 {
    let count = BURST.to_string();
    let server = server(family).to_string();
    let mut argv = vec!["ping", "-n", "-q", "-c", &count, "-i", "0.002", "-W", "0.3"];
    argv.extend(more);
    argv.push(&server);
    let output = lab.namespace(Role::Client).command(&argv).unwrap().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains(" packets transmitted") && !output.status.success() {
        // It does not even begin without a route.
        return BURST;
    }
    let number = |before: &str| -> u64 {
        let words = text.split(before).next().unwrap_or_default();
        words
            .split_whitespace()
            .last()
            .and_then(|w| w.parse().ok())
            .unwrap_or_else(|| panic!("ping said: {text}"))
    };
    assert_eq!(number(" packets transmitted"), BURST, "{text}");
    BURST - number(" received")
}

/// To an echo of our own, or to `port` where nobody answers. Linux sends what fits the link with DF set.
fn udp(lab: &Lab, family: Family, port: Option<u16>, size: usize) -> u64 {
    let bind = |role| lab.namespace(role).run(|| UdpSocket::bind(any(family)).unwrap()).unwrap();
    let (client, echo) = (bind(Role::Client), bind(Role::Server));
    for socket in [&client, &echo] {
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    }
    let port = port.unwrap_or_else(|| echo.local_addr().unwrap().port());
    for _ in 0..BURST {
        // A refused or forbidden datagram is an error here, and not answered either.
        let _ = client.send_to(&vec![7; size], (server(family), port));
    }
    let mut buffer = [0; 2048];
    let arrived: Vec<SocketAddr> =
        (0..BURST).map_while(|_| echo.recv_from(&mut buffer).ok()).map(|(_, from)| from).collect();
    for from in &arrived {
        let _ = echo.send_to(&vec![7; size], from);
    }
    let answered = arrived.iter().take_while(|_| client.recv(&mut buffer).is_ok()).count();
    BURST - answered as u64
}

/// One connect, to a listener of our own or to `port`. A SYN that dies is sent again, so more packets than this may be
/// counted. Nothing of the connection is on its way any more when this returns, or the next fault would count it: a busy
/// machine delivers late what nobody waits for.
fn tcp(lab: &Lab, family: Family, port: Option<u16>) -> u64 {
    let listener = lab.namespace(Role::Server).run(|| TcpListener::bind(any(family)).unwrap()).unwrap();
    let own = listener.local_addr().unwrap().port();
    let address = SocketAddr::from((server(family), port.unwrap_or(own)));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let Ok(client) = lab.namespace(Role::Client).run(connect).unwrap() else { return 1 };
    if port.is_none() {
        // The last packet of the handshake has arrived then.
        vanish(listener.accept().unwrap().0);
    }
    vanish(client);
    0
}

/// Ends one side of a connection without a packet (`tcp_disconnect` in net/ipv4/tcp.c).
fn vanish(stream: TcpStream) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open and the value is an integer of the size that is said.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Breaks, counts, heals.
fn prove(lab: &mut Lab, fault: &Fault) {
    let name = fault.name;
    lab.apply(fault).unwrap();
    let mut counted = lab.read_truth(fault).unwrap();
    assert!(counted.is_none_or(|n| n == 0), "{name}: {counted:?} died before anything was sent");
    // A connection that loses some packets sends them again, after the fault.
    let kinds: &[Kind] = match fault.effect {
        Effect::KillsSome => &[Kind::Icmp, Kind::Udp],
        _ => &[Kind::Icmp, Kind::Udp, Kind::Tcp],
    };
    let hit = |family: &Family| kinds.iter().map(|kind| (*family, *kind)).collect::<Vec<_>>();
    for (family, kind) in fault.families.iter().flat_map(hit).filter(|(_, kind)| fault.probes.contains(kind))
    {
        let lost = lost(lab, family, kind, fault.arguments);
        let now = lab.read_truth(fault).unwrap();
        let died = now.map(|n| n - counted.unwrap_or(0));
        counted = now;
        let seen = format!("{name} {} {}: {lost} lost, {died:?} counted", family.name(), kind.name());
        println!("{seen}");
        let in_queue = fault.expected.is_some_and(|expected| expected.cause == Cause::Queue);
        match (fault.effect, kind) {
            (Effect::Spares, _) => assert_eq!((lost, died), (0, None), "{seen}"),
            // A queue is no grave: what waits in it is late.
            (Effect::KillsSome, _) if in_queue => assert!(died.is_some_and(|n| 0 < n), "{seen}"),
            (Effect::KillsSome, _) => assert!(died == Some(lost) && 0 < lost, "{seen}"),
            // A lost SYN, or SYN-ACK, is sent again.
            (Effect::KillsAll | Effect::Refuses, Kind::Tcp) => {
                assert!(lost == 1 && died.is_none_or(|n| n >= 1), "{seen}");
            }
            _ => assert!(lost == BURST && died.is_none_or(|n| n == BURST), "{seen}"),
        }
    }
    lab.undo(fault).unwrap();
    assert_eq!(lab.read_truth(fault).unwrap(), counted, "{name}: the count outlives the undo");
    for family in Family::ALL {
        wait_until(PATIENCE, &format!("{name} is healed for {}", family.name()), || {
            ping(lab, *family, &[]) == 0
        });
        assert_eq!((udp(lab, *family, None, 1400), tcp(lab, *family, None)), (0, 0), "{name} is not healed");
    }
    assert_eq!(lab.read_truth(fault).unwrap(), counted, "{name}: died after the undo");
}

/// A quarter of the faults: the four tests run side by side.
fn prove_quarter(part: usize) {
    let faults: Vec<&Fault> = FAULTS.iter().copied().skip(part).step_by(4).collect();
    let mut programs: Vec<&str> = faults.iter().flat_map(|f| f.needs.programs()).copied().collect();
    programs.push("ping");
    if skipped(&programs) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    faults.into_iter().for_each(|fault| prove(&mut lab, fault));
}

#[test]
fn faults_kill_what_is_counted_first_quarter() {
    prove_quarter(0);
}

#[test]
fn faults_kill_what_is_counted_second_quarter() {
    prove_quarter(1);
}

#[test]
fn faults_kill_what_is_counted_third_quarter() {
    prove_quarter(2);
}

#[test]
fn faults_kill_what_is_counted_last_quarter() {
    prove_quarter(3);
}

#[test]
fn a_new_lab_is_whole_and_apart() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let start = Instant::now();
    let lab = Lab::new().unwrap();
    println!("a lab takes {:?}", start.elapsed());
    assert_eq!(
        (ping(&lab, Family::V4, &[]), udp(&lab, Family::V4, None, 10), tcp(&lab, Family::V4, None)),
        (0, 0, 0)
    );

    let inodes: HashSet<u32> = lab.names().into_iter().map(|(inode, _)| inode).collect();
    assert_eq!(inodes.len(), 3);
    assert!(!inodes.contains(&netns::current().unwrap()));
    let router = lab.namespace(Role::Router);
    let names: Vec<String> = router.devices().unwrap().into_iter().map(|(_, name)| name).collect();
    assert!(names.contains(&"r0".to_owned()) && names.contains(&"r1".to_owned()), "{names:?}");

    // Another program finds it by its path, by its process, and in the list, under its name.
    let resolve = |spec: &str| netns::Namespace::resolve(spec).unwrap().inode();
    assert_eq!(resolve(router.path().to_str().unwrap()), router.inode());
    assert_eq!(resolve(&format!("pid:{}", router.pid())), router.inode());
    let name = format!("pid {} (router)", router.pid());
    wait_until(PATIENCE, "the holder has its name", || {
        netns::list().iter().any(|n| n.inode == router.inode() && n.name == name)
    });
    drop(lab);
    wait_until(PATIENCE, "the namespaces are gone", || {
        !netns::list().iter().any(|n| inodes.contains(&n.inode))
    });
}

#[test]
fn a_command_that_fails_says_what_it_said() {
    if skipped(&["ip", "nft", "ping"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    let said = format!("{:#}", lab.ip(Role::Router, "link set nothing up").unwrap_err());
    assert!(said.contains("`ip link set nothing up` in the router failed"), "{said}");
    assert!(said.contains("Cannot find device"), "{said}");
    let said = format!("{:#}", lab.exec(Role::Client, &["no-such-program"]).unwrap_err());
    assert!(said.contains("cannot start `no-such-program` in the client"), "{said}");
    // A fault twice: the second try fails, says its name, and what it did is undone.
    let fault = find("route-missing").unwrap();
    lab.apply(fault).unwrap();
    let said = format!("{:#}", lab.apply(fault).unwrap_err());
    assert!(said.contains("`route-missing`"), "{said}");
    assert_eq!(ping(&lab, Family::V4, &[]), 0);
    assert!(lab.undo(find("nft-forward").unwrap()).is_err());
}

#[test]
fn a_program_ends_with_its_guard() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let mut guard = lab.spawn(Role::Server, &["sleep", "1000"]).unwrap();
    assert!(guard.ended().unwrap().is_none());
    let process = format!("/proc/{}", guard.pid());
    assert!(std::fs::exists(&process).unwrap());
    drop(guard);
    assert!(!std::fs::exists(&process).unwrap());
}

#[test]
fn nothing_survives_a_panic() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let pids = Role::ALL.map(|role| lab.namespace(role).pid());
    let panicked = std::thread::spawn(move || {
        let _lab = lab;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(pids.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()));
}

/// Not a test of its own: what [`nothing_survives_a_kill`] kills.
#[test]
#[ignore = "waits to be killed"]
fn holds_a_lab() {
    let lab = Lab::new().unwrap();
    println!("\nlab {}", lab.names().map(|(inode, _)| inode.to_string()).join(" "));
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn nothing_survives_a_kill() {
    if skipped(&["ip"]) {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_lab", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|l| l.unwrap().strip_prefix("lab ").map(str::to_owned)).unwrap();
    let inodes: HashSet<u32> = line.split(' ').map(|n| n.parse().unwrap()).collect();
    let alive = || netns::list().iter().filter(|n| inodes.contains(&n.inode)).count();
    assert_eq!(alive(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(PATIENCE, "the namespaces of a killed process are gone", || alive() == 0);
}

#[test]
fn counters_come_from_the_namespace_they_are_said_to_be_of() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let namespaces = Role::ALL.map(|role| netns::Namespace::open(lab.namespace(role).path()).unwrap());
    let before = counters::take(&namespaces);
    assert_eq!(ping(&lab, Family::V4, &[]), 0);
    let start = Instant::now();
    let after = counters::take(&namespaces);
    println!("the counters of three namespaces take {:?}", start.elapsed());
    let since = after.since(&before);
    assert_eq!(since.failed, Vec::<String>::new());
    let get = |role: Role, name: &str| since.namespaces[&lab.namespace(role).inode()].get(name);
    assert_eq!(get(Role::Client, "Icmp.OutEchos"), Some(BURST));
    assert_eq!(get(Role::Client, "Icmp.InEchoReps"), Some(BURST));
    assert_eq!(get(Role::Router, "Ip.ForwDatagrams"), Some(2 * BURST));
    assert_eq!(get(Role::Router, "Icmp.OutEchos"), Some(0));
    assert_eq!(get(Role::Server, "Icmp.InEchos"), Some(BURST));
    let device = since.namespaces[&lab.namespace(Role::Router).inode()].devices["r1"];
    assert!(device.tx_packets >= BURST && device.tx_dropped == 0, "{device:?}");
}

#[test]
fn changes_of_links_are_heard_in_their_namespace() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let mut router = Watcher::open(lab.namespace(Role::Router)).unwrap();
    let mut client = Watcher::open(lab.namespace(Role::Client)).unwrap();
    assert_eq!(router.drain(1).unwrap(), [], "what was there is no change");
    lab.ip(Role::Router, "link set r1 down").unwrap();
    lab.ip(Role::Router, "link set r1 up").unwrap();
    lab.ip(Role::Router, "address add 10.9.9.9/32 dev r1").unwrap();
    lab.ip(Role::Router, "link delete r1").unwrap();
    let mut heard = Vec::new();
    wait_until(PATIENCE, "the removal is heard", || {
        heard.extend(router.drain(2).unwrap());
        heard.last().is_some_and(|e| e.detail == "removed" && e.what == What::Link)
    });
    assert!(
        heard.iter().all(|e| e.device == "r1" && e.netns == lab.namespace(Role::Router).inode()),
        "{heard:?}"
    );
    let details: Vec<&str> = heard.iter().map(|e| e.detail.as_str()).collect();
    let order = ["down", "up", "10.9.9.9/32 added", "removed"].map(|d| details.iter().position(|x| *x == d));
    assert!(order.is_sorted() && order[0].is_some(), "{details:?}");
    assert_eq!((client.drain(3).unwrap(), router.lost()), (vec![], 0));
}

#[test]
fn changes_of_routes_and_neighbours_are_heard() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let mut watcher = Watcher::open(lab.namespace(Role::Client)).unwrap();
    let mut at = 1;
    // Does something, and gives what was heard until something about `what` ends in `last`.
    let mut heard = |doing: &dyn Fn(), what: What, last: &str| {
        let mut told = Vec::new();
        at += 1;
        doing();
        wait_until(PATIENCE, last, || {
            told.extend(watcher.drain(at).unwrap().into_iter().map(|e| (e.what, e.device, e.detail)));
            told.iter().any(|(of, _, detail)| *of == what && detail.ends_with(last))
        });
        // The kernel gives a device its link-local address when it likes.
        told.retain(|(_, _, detail)| !detail.starts_with("fe80:"));
        let words = told.iter().map(|(what, device, detail)| format!("{} {device} {detail}", what.name()));
        words.collect::<Vec<_>>()
    };
    let ip = |arguments| move |lab: &Lab| lab.ip(Role::Client, arguments).unwrap();
    for (arguments, what, expected) in [
        ("route del default", What::Route, "route c0 default via 10.0.1.1 removed"),
        ("route add default via 10.0.1.1", What::Route, "route c0 default via 10.0.1.1 added"),
        (
            "route replace default via 10.0.1.9",
            What::Route,
            "route c0 default via 10.0.1.9 replaced what was there",
        ),
        (
            "route add blackhole 10.7.0.0/16 table 1000",
            What::Route,
            "route  blackhole 10.7.0.0/16 in table 1000 added",
        ),
        ("route del 10.0.1.0/24 dev c0", What::Route, "route c0 10.0.1.0/24 removed"),
        ("route add 10.0.1.0/24 dev c0", What::Route, "route c0 10.0.1.0/24 added"),
        ("-6 route del default", What::Route, "route c0 default via fd00:1::1 removed"),
        ("neighbour del 10.0.1.1 dev c0", What::Neighbour, "neighbour c0 10.0.1.1 removed"),
        // The route to the address's own subnet comes and goes with it.
        ("address add 10.8.0.1/24 dev c0", What::Address, "address c0 10.8.0.1/24 added"),
        ("address del 10.8.0.1/24 dev c0", What::Address, "address c0 10.8.0.1/24 removed"),
    ] {
        let last = expected.splitn(3, ' ').last().unwrap();
        let told = heard(&|| ip(arguments)(&lab), what, last);
        assert_eq!(told, [expected], "{arguments}");
    }
    // A next hop that nobody has: it fails after three questions, once, however often it is asked for.
    let ping = |address| {
        lab.namespace(Role::Client)
            .command(&["ping", "-c", "1", "-W", "5", address])
            .unwrap()
            .output()
            .unwrap();
    };
    let told = heard(&|| ping("10.0.1.77"), What::Neighbour, "failed");
    assert_eq!(told, ["neighbour c0 10.0.1.77 failed"]);
    lab.ip(Role::Router, "address add 10.0.1.77/24 dev r0").unwrap();
    let told = heard(&|| ping("10.0.1.77"), What::Neighbour, "again");
    assert_eq!(told, ["neighbour c0 10.0.1.77 answered again"]);
    assert_eq!((watcher.lost(), watcher.unreadable()), (0, 0));
}

#[test]
fn what_queues_and_sockets_drop_is_counted_where_it_was() {
    if skipped(&["ip", "tc", "ping", "nft"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    let server = |snapshots: &counters::Snapshots, lab: &Lab, role: Role| {
        snapshots.namespaces[&lab.namespace(role).inode()].clone()
    };
    let take = |lab: &Lab| {
        counters::take(&Role::ALL.map(|role| netns::Namespace::open(lab.namespace(role).path()).unwrap()))
    };
    // A packet socket that nobody reads.
    let protocol = i32::from((libc::ETH_P_ALL as u16).to_be());
    let packets = lab.namespace(Role::Router).run(|| {
        let socket =
            socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, Some(protocol.into())).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket
    });
    let before = take(&lab);
    assert_eq!(before.failed, Vec::<String>::new());
    for (fault, kind) in [("udp-buffer", Kind::Udp), ("accept-queue", Kind::Tcp), ("tbf", Kind::Icmp)] {
        let fault = find(fault).unwrap();
        lab.apply(fault).unwrap();
        lost(&lab, Family::V4, kind, fault.arguments);
        if fault.name == "tbf" {
            let drops = lab.read_truth(fault).unwrap();
            let counted = server(&take(&lab).since(&before), &lab, Role::Router).qdiscs.unwrap();
            let tbf: Vec<_> = counted.values().filter(|qdisc| qdisc.drops > 0).collect();
            assert_eq!(
                tbf.iter().map(|q| (q.device.as_str(), q.kind.as_str())).collect::<Vec<_>>(),
                [("r1", "tbf")]
            );
            assert!(
                tbf[0].overlimits > 0 && Some(tbf[0].drops) == drops && drops > Some(0),
                "{tbf:?} {drops:?}"
            );
        } else {
            let since = server(&take(&lab).since(&before), &lab, Role::Server);
            let (of, port, counter) = match kind {
                Kind::Udp => (SocketKind::Udp, 9999, "Udp.RcvbufErrors"),
                _ => (SocketKind::TcpListener, 9998, "TcpExt.ListenDrops"),
            };
            let dropped: Vec<_> = since.sockets[&of].iter().map(|s| (s.port, Some(s.drops))).collect();
            assert_eq!(dropped, [(port, since.get(counter))], "{since:?}");
            assert!(since.get(counter) > Some(0));
        }
        lab.undo(fault).unwrap();
    }
    let since = take(&lab).since(&before);
    let router = server(&since, &lab, Role::Router);
    let dropped = &router.sockets[&SocketKind::Packet];
    assert!(dropped.drops() > BURST && dropped.iter().count() == 1, "{dropped:?}");
    let client = server(&since, &lab, Role::Client);
    assert!(client.sockets.values().all(|sockets| sockets.drops() == 0), "{client:?}");
    assert!(client.qdiscs.unwrap().values().all(|qdisc| qdisc.drops == 0));
    // nft's `ct` loads connection tracking for that namespace, where it is not built in.
    assert!(client.counters.get("Conntrack.drop").is_none_or(|drops| drops == 0));
    drop(packets);
}
