//! The cluster of two nodes: every row is answered, a reload breaks what the switches carry and nothing else, and nothing of it
//! survives.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use netbreak_user::lab::ovs::cluster::{
    Cluster, Place, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Visit,
};
use netbreak_user::lab::ovs::cluster_programs;
use netbreak_user::probe::Kind;
use netbreak_user::report::{Probe, Report};

use super::{PATIENCE, Traces, skipped, wait_until};

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

/// Starts visiting all rows, with these arguments of `netbreak run`.
fn visit(cluster: &Cluster, arguments: &dyn Fn(usize) -> Vec<String>) -> Vec<Visitor> {
    let mut groups: Vec<(Place, String, Vec<Row>)> = Vec::new();
    for row in ROWS {
        let probes = match row.visit {
            Visit::Icmp => "--icmp".to_owned(),
            Visit::Tcp { connect, stream } => format!("--tcp {connect} --stream {stream}"),
        };
        match groups.iter_mut().find(|(source, how, _)| (*source, how) == (row.source, &probes)) {
            Some((.., rows)) => rows.push(row),
            None => groups.push((row.source, probes, vec![row])),
        }
    }
    let start = |(index, (source, probes, rows)): (usize, (Place, String, Vec<Row>))| {
        let addresses = Vec::from_iter(rows.iter().map(|row| row.address.to_string())).join(" ");
        let line = format!("run {addresses} {probes} --quiet --json -");
        let arguments = arguments(index);
        let argv = words(&line).into_iter().chain(arguments.iter().map(String::as_str));
        Visitor { run: netbreak(cluster, source, &argv.collect::<Vec<_>>()), rows }
    };
    groups.into_iter().enumerate().map(start).collect()
}

impl Visitor {
    /// What came of each row: the report keeps every identity.
    fn finish(mut self) -> Vec<(Row, Vec<Probe>)> {
        let report: Report = serde_json::from_reader(self.run.0.stdout.take().unwrap()).unwrap();
        report.check().unwrap();
        let of_row = |row: Row| {
            let is_it = |address: &str| address == row.address.to_string();
            let target = report.targets.iter().find(|target| is_it(&target.address)).unwrap();
            (row, target.probes.clone())
        };
        self.rows.into_iter().map(of_row).collect()
    }
}

/// All rows in their order.
fn finish(visitors: Vec<Visitor>) -> Vec<(Row, Vec<Probe>)> {
    let rows = Vec::from_iter(visitors.into_iter().flat_map(Visitor::finish));
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), ROWS);
    rows
}

#[test]
fn every_row_of_a_cluster_is_answered() {
    if skipped(&cluster_programs()) {
        return;
    }
    let start = Instant::now();
    let cluster = Cluster::new().unwrap();
    println!("the cluster takes {:?}", start.elapsed());
    let servers = serve(&cluster);
    for (row, probes) in finish(visit(&cluster, &|_| vec!["--duration=2s".to_owned()])) {
        for probe in probes {
            assert!(
                probe.sent > 0 && probe.needing_a_death() == 0 && probe.reset == 0,
                "{row:?}: {probe:#?}"
            );
        }
    }
    drop(servers);
    let traces = Traces::new(cluster.names(), cluster.pids(), cluster.directories());
    // Of each node the configuration, the switch and its controller; two databases and ovn-northd.
    assert_eq!(traces.left().len(), 7 + 2 * 3 + 3 + 3, "{:?}", traces.left());
    drop(cluster);
    assert_eq!(traces.left(), Vec::<String>::new());
}

/// A trigger that begins by making the file `begun`, and ends when there is the file `over`.
fn wait_for(begun: &Path, over: &Path) -> String {
    format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), over.display())
}

#[test]
fn a_reload_breaks_what_the_switches_carry() {
    if skipped(&cluster_programs()) {
        return;
    }
    let mut cluster = Cluster::new().unwrap();
    let _servers = serve(&cluster);
    let files = tempfile::tempdir().unwrap();
    let (begun, over) = (|index| files.path().join(format!("{index}")), files.path().join("over"));
    let arguments = |index: usize| {
        let trigger = ["--trigger".to_owned(), wait_for(&begun(index), &over)];
        let times = ["--duration=60s", "--lead-in=500ms", "--quiet-for=1s"].map(str::to_owned);
        [&trigger[..], &times].concat()
    };
    let visitors = visit(&cluster, &arguments);
    wait_until(PATIENCE, "every run has begun", || (0..visitors.len()).all(|index| begun(index).exists()));
    let start = Instant::now();
    cluster.reload(Duration::from_secs(1), Duration::from_millis(500)).unwrap();
    println!("the reload takes {:?}", start.elapsed());
    File::create(&over).unwrap();
    for (row, probes) in finish(visitors) {
        for p in &probes {
            println!(
                "{} {:?} sent {} answered {} late {} reset {} deaths {:?} unexplained {} retr {:?} outages {}",
                row.title,
                p.kind,
                p.sent,
                p.answered,
                p.late,
                p.reset,
                p.deaths
                    .iter()
                    .map(|d| format!("{}x {} @{:?} {:?}", d.attempts, d.explain, d.device, d.stage))
                    .collect::<Vec<_>>(),
                p.unexplained,
                p.retransmits,
                p.outages.len()
            );
        }
    }
}
