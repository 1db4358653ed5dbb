//! What happens beside the probes: netbreak itself is stopped, the machine's network is changed.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use netbreak_user::lab::{Lab, Role};
use rustix::process::Signal;

use crate::support::{
    PATIENCE, Running, from_client, probe, report, sensor, serve, skipped, text, wait_for, wait_for_echoes,
};

#[test]
fn who_was_stopped_says_so_and_blames_nobody() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let arguments = "--icmp --tcp 7000 --stream 5201 --duration 3s --timeout 300ms --json -";
    let running = Running::new(&from_client(&lab, arguments));
    wait_for_echoes(&lab, 30);
    running.stop();
    // The fault itself: five time-outs.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let output = running.output();
    let report = report(&output);
    for kind in ["icmp", "tcp"] {
        let probe = probe(&report, kind);
        let delay = |name: &str| probe["schedule_delay_us"][name].as_f64().unwrap();
        assert!(delay("max") >= 1.4e6 && delay("p50") < delay("max"), "{probe:#}");
        assert_eq!((&probe["sent"], &probe["lost"]), (&300.into(), &0.into()), "{probe:#}");
        let causes = probe["deaths"].as_array().unwrap().iter().map(|death| &death["cause"]);
        assert!(causes.into_iter().all(|cause| cause == "starved"), "{probe:#}");
    }
    assert!(probe(&report, "stream").get("schedule_delay_us").is_none());
}

#[test]
fn what_came_while_it_slept_through_the_end_is_late() {
    // Each probe chooses by itself what it looks at first.
    let echoes: Vec<_> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let servers: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let udp = echoes.iter().map(|echo| format!("--udp {}", echo.local_addr().unwrap().port()));
    let http = servers.iter().map(|server| format!("--http {}", server.local_addr().unwrap().port()));
    let ports = udp.chain(http).collect::<Vec<_>>().join(" ");
    let once = "--duration 10ms --interval 10ms --timeout 5s --no-kernel --json -";
    let running = Running::new(&format!("run 127.0.0.1 {ports} {once}"));
    let mut buffer = [0; 2048];
    let mut requests = Vec::new();
    for echo in &echoes {
        echo.set_read_timeout(Some(PATIENCE)).unwrap();
        let (length, from) = echo.recv_from(&mut buffer).unwrap();
        requests.push((echo, buffer[..length].to_vec(), from));
    }
    let mut connections = Vec::new();
    for server in &servers {
        let (mut connection, _) = server.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(connection.read(&mut buffer).unwrap() > 0);
        connections.push(connection);
    }
    running.stop();
    for (echo, request, from) in requests {
        echo.send_to(&request, from).unwrap();
    }
    for connection in &mut connections {
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    }
    // The fault itself: past the only time-out, and past the grace of 3 s in which what comes is told as late.
    std::thread::sleep(Duration::from_millis(8500));
    running.signal(Signal::CONT);
    let report = report(&running.output());
    let probes = report["targets"][0]["probes"].as_array().unwrap();
    let late: Vec<_> = probes.iter().map(|probe| &probe["late"]).collect();
    assert_eq!(late, [1; 16], "{report:#}");
}

#[test]
fn changes_of_the_network_are_told() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let ip = |arguments| lab.ip(Role::Client, arguments).unwrap();
    let make_link = || ip("link add extra type veth peer name other");
    make_link();
    ip("route add 10.9.0.0/16 via 10.0.1.1");
    ip("address add 10.0.1.99/32 dev c0");
    let running = Running::new(&from_client(&lab, "--icmp --timeout 5s --duration 5m --json -"));
    wait_for_echoes(&lab, 20);
    ip("route del 10.9.0.0/16");
    ip("route add 10.9.0.0/16 via 10.0.1.1");
    ip("address del 10.0.1.99/32 dev c0");
    ip("address add 10.0.1.99/32 dev c0");
    let removed = Instant::now();
    ip("link del extra");
    // How long it is away.
    std::thread::sleep(Duration::from_millis(1500));
    make_link();
    let most = removed.elapsed().as_secs_f64();
    ip("neighbour replace 10.0.1.55 lladdr 02:00:00:00:00:55 dev c0 nud permanent");
    ip("neighbour del 10.0.1.55 dev c0");
    running.signal(Signal::INT);
    let output = running.output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = report(&output);
    for sensor_ in ["changes", "counters"] {
        assert_eq!(sensor(&report, sensor_)["state"], "on", "{report:#}");
    }
    let changes = report["changes"].as_array().unwrap();
    let link = changes.iter().find(|change| change["device"] == "extra").unwrap();
    let detail = link["detail"].as_str().unwrap();
    let away: f64 =
        detail.strip_prefix("removed; after ").unwrap().split(' ').next().unwrap().parse().unwrap();
    // Each time is when netbreak heard of it.
    assert!((1.2..most + 0.3).contains(&away), "{detail}, and it was at most {most}");
    for (what, device, begin, end) in [
        ("route", "c0", "10.9.0.0/16 via 10.0.1.1 removed; ", "10.9.0.0/16 via 10.0.1.1 added, in "),
        ("address", "c0", "10.0.1.99/32 removed; ", " added, in "),
        ("link", "extra", "removed; ", " instead of "),
        ("neighbour", "c0", "10.0.1.55 removed, in ", ""),
    ] {
        let is_it = |change: &&serde_json::Value| {
            let detail = change["detail"].as_str().unwrap();
            change["what"] == what
                && change["device"] == device
                && detail.starts_with(begin)
                && detail.contains(end)
        };
        assert_eq!(changes.iter().filter(is_it).count(), 1, "{what}: {changes:#?}");
    }
}

#[test]
fn a_route_that_goes_away_keeps_the_books() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let running = Running::new(&from_client(
        &lab,
        "--icmp --udp 4000 --tcp 7000 --duration 5m --timeout 200ms --json -",
    ));
    wait_for_echoes(&lab, 30);
    lab.ip(Role::Client, "route del default").unwrap();
    wait_for(&lab, "Ip.OutNoRoutes", 30);
    running.signal(Signal::INT);
    let report = report(&running.output());
    let books = report["books"].as_array().unwrap();
    let no_route = books.iter().find(|book| book["counter"] == "Ip.OutNoRoutes").unwrap();
    assert_eq!(no_route["balanced"], true, "{no_route:#}");
    for kind in ["icmp", "udp", "tcp"] {
        assert!(probe(&report, kind)["send_failed"].as_u64() > Some(0), "{kind}");
    }
}
