//! The cluster of two nodes: every row is answered, a reload breaks what the switches carry and nothing else, and nothing of it
//! survives.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use netbreak_user::lab::ovs::cluster::{
    Cluster, Place, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Setup, Visit, event,
};
use netbreak_user::lab::ovs::{Datapath, cluster_programs};
use netbreak_user::probe::Kind;
use netbreak_user::report::{Probe, Report};

use super::{PATIENCE, Traces, skipped, wait_until};

/// Held by a test while it has a cluster: two of them at one time would wait for each other's packets.
static ONE: Mutex<()> = Mutex::new(());

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `netbreak ARGUMENTS` in a place of the cluster; its standard output is a pipe.
fn netbreak(cluster: &Cluster, place: Place, arguments: &[&str]) -> Process {
    let argv = [&[env!("CARGO_BIN_EXE_netbreak")], arguments].concat();
    let mut command = cluster.namespace(place).command(&argv).unwrap();
    Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// The servers of the cluster, when their ports are open.
fn serve(cluster: &Cluster) -> Vec<Process> {
    let [tcp, stream] = [("--tcp", SERVER_CONNECT), ("--stream", SERVER_STREAM)]
        .map(|(option, [one, other])| format!("{option} {one} {option} {other}"));
    let serve = |(place, address): (Place, Ipv4Addr)| {
        let line = format!("serve --bind {address} {tcp} {stream}");
        let mut server = netbreak(cluster, place, &words(&line));
        let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.take(4).filter(Result::is_ok).count(), 4, "{line}");
        server
    };
    SERVERS.into_iter().map(serve).collect()
}

/// A run of `netbreak`: all rows of one source that are visited in one way.
struct Visitor {
    run: Process,
    rows: Vec<Row>,
}

/// Starts visiting all rows, with what `options` says of the run of that number.
fn visit(cluster: &Cluster, streams: bool, options: &dyn Fn(usize) -> Vec<String>) -> Vec<Visitor> {
    let mut groups: Vec<(Place, Vec<String>, Vec<Row>)> = Vec::new();
    for row in ROWS {
        let probes = match row.visit {
            Visit::Icmp => vec!["--icmp".to_owned()],
            Visit::Tcp { connect, stream } if streams => {
                vec![format!("--tcp={connect}"), format!("--stream={stream}")]
            }
            Visit::Tcp { connect, .. } => vec![format!("--tcp={connect}")],
        };
        match groups.iter_mut().find(|(source, how, _)| (*source, how) == (row.source, &probes)) {
            Some((.., rows)) => rows.push(row),
            None => groups.push((row.source, probes, vec![row])),
        }
    }
    let start = |(index, (source, mut probes, rows)): (usize, (Place, Vec<String>, Vec<Row>))| {
        // One tracer is enough for one machine.
        probes.extend((index > 0).then(|| "--no-kernel".to_owned()));
        let addresses = rows.iter().map(|row| row.address.to_string());
        let arguments: Vec<String> = addresses.chain(probes).chain(options(index)).collect();
        Visitor { run: run(cluster, source, &arguments), rows }
    };
    groups.into_iter().enumerate().map(start).collect()
}

/// Starts `netbreak run`.
fn run(cluster: &Cluster, source: Place, arguments: &[String]) -> Process {
    let argv = ["run", "--quiet", "--json", "-"].into_iter();
    netbreak(cluster, source, &argv.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>())
}

/// Its report, which keeps every identity.
fn report(mut run: Process) -> Report {
    let report: Report = serde_json::from_reader(run.0.stdout.take().unwrap()).unwrap();
    report.check().unwrap();
    report
}

/// Waits for all of them, and proves that each sent as many echoes as the kernel counted, and got as many answered. Returns
/// the rows in their order, with what came of their probes.
fn finish(visitors: Vec<Visitor>) -> Vec<(Row, Vec<Probe>)> {
    let mut found = Vec::new();
    for visitor in visitors {
        let report = report(visitor.run);
        let echoes = report.books.iter().filter(|book| book.name.starts_with("echo "));
        assert!(echoes.clone().all(|book| book.balanced == Some(true)), "{:#?}", report.books);
        let is_icmp = visitor.rows.iter().any(|row| row.visit == Visit::Icmp);
        assert!(!is_icmp || echoes.clone().any(|book| book.counted > Some(0)), "{:#?}", report.books);
        assert_eq!(report.targets.len(), visitor.rows.len());
        for (row, target) in visitor.rows.into_iter().zip(report.targets) {
            assert_eq!(target.address, row.address.to_string());
            found.push((row, target.probes));
        }
    }
    assert_eq!(found.iter().map(|(row, _)| *row).collect::<Vec<_>>(), ROWS);
    found
}

/// Fails unless every row is answered for two seconds, over and over. A stream may fall behind on a busy machine.
fn all_answer(cluster: &Cluster, is_meant: impl Fn(&Probe) -> bool) {
    for (row, probes) in finish(visit(cluster, true, &|_| vec!["--duration=2s".to_owned()])) {
        for probe in probes.iter().filter(|probe| is_meant(probe)) {
            let is_well = match &probe.stream {
                Some(stream) => stream.connections == 1 && stream.resets == 0 && probe.answered > 0,
                None => probe.sent > 0 && probe.needing_a_death() + probe.refused == 0,
            };
            assert!(is_well, "{row:?}: {probe:#?}");
            println!("{:?} {}: {} sent, {} late", probe.kind, row.title, probe.sent, probe.late);
        }
    }
}

#[test]
fn every_row_of_a_cluster_is_answered() {
    if skipped(&cluster_programs()) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let cluster = Cluster::new(Setup::new(Datapath::Userspace)).unwrap();
    println!("the cluster takes {:?}", start.elapsed());
    let servers = serve(&cluster);
    all_answer(&cluster, |_| true);
    drop(servers);
    let traces = Traces::new(cluster.names(), cluster.pids(), cluster.directories());
    // On each node the configuration, the switch and its controller; two more databases and ovn-northd.
    let processes = 2 * 3 + 3;
    assert_eq!(traces.left().len(), Place::ALL.len() + processes + 3, "{:?}", traces.left());
    drop(cluster);
    assert_eq!(traces.left(), Vec::<String>::new());
}

/// A trigger that makes the file `begun`, and ends when there is the file `over`.
fn wait_for(begun: &Path, over: &Path) -> String {
    format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), over.display())
}

#[test]
fn a_reload_breaks_what_the_switches_carry() {
    if skipped(&cluster_programs()) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cluster = Cluster::new(Setup::new(Datapath::Userspace)).unwrap();
    let _servers = serve(&cluster);
    let files = tempfile::tempdir().unwrap();
    let begun = |index: usize| files.path().join(index.to_string());
    let over = files.path().join("over");
    let options = |index: usize| {
        let trigger = ["--trigger".to_owned(), wait_for(&begun(index), &over)];
        let times = ["--duration=60s", "--lead-in=500ms", "--quiet-for=1s"].map(str::to_owned);
        [&trigger[..], &times].concat()
    };
    let visitors = visit(&cluster, false, &options);
    // What goes from the outside to a node's own address passes no switch.
    let node = ROWS[2].address.to_string();
    let control =
        [&[node, "--icmp".to_owned(), "--no-kernel".to_owned()][..], &options(visitors.len())].concat();
    let control = run(&cluster, Place::Outside, &control);
    wait_until(PATIENCE, "every run has begun", || (0..=visitors.len()).all(|index| begun(index).exists()));
    let start = Instant::now();
    cluster.happen(event("reload").unwrap()).unwrap();
    println!("the reload takes {:?}", start.elapsed());
    File::create(&over).unwrap();
    for (row, probes) in finish(visitors) {
        for probe in probes {
            // A SYN that is sent again may be answered late, but echoes are not sent again.
            let broken =
                if row.visit == Visit::Icmp { probe.needing_a_death() } else { probe.sent - probe.answered };
            assert!(broken > 0, "{row:?} did not notice the reload: {probe:#?}");
            let last = probe.outages.last().unwrap();
            println!(
                "{:?} {}: {broken} of {} not answered in time, until {:.3} s",
                probe.kind, row.title, probe.sent, last.end_s
            );
            assert!(last.end_s < 60.0, "{row:?} does not heal: {probe:#?}");
        }
    }
    let probe = &report(control).targets[0].probes[0];
    assert!(probe.sent > 0 && probe.needing_a_death() == 0, "{probe:#?}");
    // A switch that has started again is as good as it was. But a connect from the port of one that the break has left half open
    // may be invalid to its connection tracking.
    all_answer(&cluster, |probe| probe.kind != Kind::Tcp);
}

#[test]
fn the_demo_prints_the_tables_of_a_reload() {
    if skipped(&cluster_programs()) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let files = tempfile::tempdir().unwrap();
    let json = files.path().join("report.json");
    let netbreak = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_netbreak")).args(arguments).output().unwrap()
    };
    let demo = netbreak(&["demo", "--lab", "ovn-cluster", "--json", json.to_str().unwrap()]);
    assert_eq!(demo.status.code(), Some(1), "{}", String::from_utf8_lossy(&demo.stderr));
    let report = netbreak_user::report::json::parse(&std::fs::read_to_string(&json).unwrap()).unwrap();
    // Each row was broken and is well again at the end, and every dead echo has its place.
    let told: Vec<&str> = report.changes.iter().map(|change| change.detail.as_str()).collect();
    for words in ["`reload` on both nodes started", "`reload` on both nodes was done"] {
        assert!(told.contains(&words), "{told:#?}");
    }
    let probes = || report.targets.iter().flat_map(|target| &target.probes);
    assert!(report.is_matrix() && report.targets.len() == 9 && probes().count() == 15);
    for probe in probes() {
        assert!(!probe.outages.is_empty(), "{probe:#?}");
        assert_eq!(probe.unexplained, 0, "{probe:#?}");
        assert!(probe.outages.iter().all(|outage| outage.end_s < report.run.duration_s), "{probe:#?}");
    }
    let tables = netbreak(&["report", json.to_str().unwrap(), "--output", "markdown"]);
    let tables = String::from_utf8(tables.stdout).unwrap();
    let rows = |from: &str, to: &str| {
        let part = tables.split_once(from).unwrap().1.split_once(to).unwrap().0;
        part.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| row ")).count()
    };
    assert_eq!((rows("### ICMP", "### TCP"), rows("### TCP", "books balance")), (7, 4), "{tables}");
}
