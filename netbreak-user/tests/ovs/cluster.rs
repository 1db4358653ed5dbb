//! The cluster of two nodes: every row is answered, and a reload breaks what the switches carry and nothing else.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netbreak_user::lab::ovs::cluster::{
    Cluster, Place, ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Visit,
};
use netbreak_user::lab::ovs::cluster_programs;
use netbreak_user::netns;
use netbreak_user::report::{Probe, Report};

use super::{PATIENCE, skipped, wait_until};

fn cannot_run() -> bool {
    skipped(&cluster_programs())
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `netbreak ARGUMENTS` in a place of the cluster; its standard output is a pipe.
fn netbreak(cluster: &Cluster, place: Place, arguments: &[String]) -> Process {
    let mut argv = vec![env!("CARGO_BIN_EXE_netbreak")];
    argv.extend(arguments.iter().map(String::as_str));
    let mut command = cluster.namespace(place).command(&argv).unwrap();
    Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
}

/// The servers of the cluster, when their ports are open.
fn serve(cluster: &Cluster) -> Vec<Process> {
    let serve = |(place, address): (Place, std::net::Ipv4Addr)| {
        let [tcp, stream] = [("--tcp", SERVER_CONNECT), ("--stream", SERVER_STREAM)]
            .map(|(option, [one, other])| format!("{option} {one} {option} {other}"));
        let line = format!("serve --bind {address} {tcp} {stream}");
        let mut server = netbreak(cluster, place, &words(&line));
        let lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.take(4).filter(Result::is_ok).count(), 4, "{line}");
        server
    };
    SERVERS.into_iter().map(serve).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The runs that visit all rows, for so many seconds: those of one source and of one kind of visit together.
fn visit(cluster: &Cluster, seconds: u32) -> Vec<(Process, Vec<Row>)> {
    let mut runs: Vec<(Place, String, Vec<Row>)> = Vec::new();
    for row in ROWS {
        let probes = match row.visit {
            Visit::Icmp => "--icmp".to_owned(),
            Visit::Tcp { connect, stream } => format!("--tcp {connect} --stream {stream}"),
        };
        match runs.iter_mut().find(|(source, line, _)| (*source, line) == (row.source, &probes)) {
            Some((.., rows)) => rows.push(row),
            None => runs.push((row.source, probes, vec![row])),
        }
    }
    let start = |(source, probes, rows): (Place, String, Vec<Row>)| {
        let addresses = Vec::from_iter(rows.iter().map(|row| row.address.to_string())).join(" ");
        let line = format!("run {addresses} {probes} --duration {seconds}s --quiet --json -");
        (netbreak(cluster, source, &words(&line)), rows)
    };
    runs.into_iter().map(start).collect()
}

/// What came of a run, which keeps every identity.
fn finish(mut run: Process) -> Report {
    let report: Report = serde_json::from_reader(run.0.stdout.take().unwrap()).unwrap();
    report.check().unwrap();
    report
}

#[test]
#[ignore = "waits"]
fn holds() {
    let cluster = Cluster::new().unwrap();
    let _servers = serve(&cluster);
    for p in Place::ALL {
        println!("{}={}", p.name(), cluster.namespace(p).pid());
    }
    println!("dirs {:?}", cluster.directories());
    std::thread::sleep(Duration::from_secs(300));
}

#[test]
fn every_row_of_a_cluster_is_answered() {
    if cannot_run() {
        return;
    }
    let start = Instant::now();
    let cluster = Cluster::new().unwrap();
    println!("the cluster takes {:?}", start.elapsed());
    let _servers = serve(&cluster);
    let runs = visit(&cluster, 2);
    std::thread::sleep(Duration::from_secs(5));
    for d in cluster.directories() {
        let o = Command::new("sh")
            .arg("-c")
            .arg(format!("ls -la {0}; tail -n 20 {0}/vswitchd.log", d.display()))
            .output()
            .unwrap();
        println!("{}", String::from_utf8_lossy(&o.stdout));
    }
    for (run, rows) in runs {
        let report = finish(run);
        for (row, target) in rows.iter().zip(&report.targets) {
            for p in &target.probes {
                println!(
                    "{} {:?} {} sent {} answered {} deaths {:?} unexplained {} retr {:?} outages {}",
                    row.title,
                    p.kind,
                    target.address,
                    p.sent,
                    p.answered,
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
        for b in &report.books {
            if b.balanced != Some(true) || b.counted.unwrap_or(0) > 0 {
                println!("{b:?}");
            }
        }
    }
}
