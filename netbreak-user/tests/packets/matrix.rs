//! Several sources at once, one tracer: each row has its own dead, and each source's namespace its own books.

use std::io::Write as _;

use netbreak_user::lab::{Role, find};
use netbreak_user::report::{Cause, Report, SensorState, Target};

use crate::common::{Run, Served, Witness, assert_balanced, skipped};

/// Rows from the client and from the router to the server, with these probes, whose attempts have so long.
fn measure(served: &Served, probes: &str, timeout: &str) -> Report {
    let pid = |role| served.lab.namespace(role).pid();
    let file = format!(
        r#"
        duration = "300ms"
        timeout = "{timeout}"
        [source]
        client = {{ netns = "pid:{}" }}
        router = {{ netns = "pid:{}" }}
        [target]
        server = {{ address = "10.0.2.2" }}
        [probe]
        echo = {{ icmp = true }}
        datagram = {{ udp = 4000 }}
        connect = {{ tcp = 7000 }}
        [[row]]
        name = "over the router"
        from = "client"
        to = "server"
        probes = {probes}
        [[row]]
        name = "from the router"
        from = "router"
        to = "server"
        probes = {probes}
        "#,
        pid(Role::Client),
        pid(Role::Router),
    );
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    Run::matrix(&[written.path().to_str().unwrap()]).finish().report
}

fn row<'a>(report: &'a Report, name: &str) -> &'a Target {
    report.targets.iter().find(|target| target.row.as_ref().is_some_and(|row| row.name == name)).unwrap()
}

#[test]
fn each_row_has_its_own_dead() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    let witness = Witness::new();
    let fault = find("nft-forward").unwrap();
    served.lab.apply(fault).unwrap();
    let report = measure(&served, r#"["echo", "datagram"]"#, "2s");

    let (over, from) = (row(&report, "over the router"), row(&report, "from the router"));
    let dead: u64 = over.probes.iter().map(|probe| probe.lost).sum();
    assert_eq!((dead, served.lab.read_truth(fault).unwrap()), (60, Some(60)));
    for death in over.probes.iter().flat_map(|probe| &probe.deaths) {
        assert_eq!((death.cause, death.netns), (Cause::Netfilter, Some(served.inode(Role::Router))));
    }
    for probe in &from.probes {
        assert_eq!((probe.sent, probe.answered, probe.deaths.len()), (30, 30, 0), "{probe:#?}");
    }
    for (target, role) in [(over, Role::Client), (from, Role::Router)] {
        let netns = served.inode(role);
        assert_eq!(target.row.as_ref().map(|row| row.netns), Some(netns));
        let echoes = |book: &&netbreak_user::report::Book| book.name == "echo requests sent";
        let book = report.books.iter().filter(echoes).find(|book| book.netns == netns).unwrap();
        assert_eq!((book.traced, book.counted), (Some(30), Some(30)), "{book:#?}");
    }
    assert_balanced(&served, &report, &witness);
}

/// Two namespaces choose their ports on their own: a connection of the other one has the same, again and again.
#[test]
fn flows_of_two_sources_are_told_apart() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    // Each of the 30 stays open until the end of the run.
    for role in [Role::Client, Role::Router] {
        let first = *served.ports().start();
        let range = format!("{first} {}", first + 63);
        served.lab.namespace(role).sysctl("ipv4/ip_local_port_range", &range).unwrap();
    }
    let fault = find("nft-input").unwrap();
    served.lab.apply(fault).unwrap();
    // Before TCP sends a SYN again (1 s).
    let report = measure(&served, r#"["connect"]"#, "200ms");
    for name in ["over the router", "from the router"] {
        let probe = &row(&report, name).probes[0];
        assert_eq!((probe.sent, probe.timed_out, probe.unexplained), (30, 30, 0), "{probe:#?}");
        for death in &probe.deaths {
            assert_eq!((death.cause, death.netns), (Cause::Netfilter, Some(served.inode(Role::Server))));
        }
    }
    let sensor = report.run.sensors.iter().find(|sensor| sensor.name == "probe flows");
    assert!(sensor.is_none_or(|sensor| sensor.state == SensorState::On), "{sensor:?}");
}
