//! Connections per second beside ab and wrk, and whether connects leave on time: `cargo xtask bench connect`,
//! docs/benchmarks.md.

mod support;

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netbreak_user::lab::LabNamespace;
use serde_json::Value;
use support::{median, row};

const ROUNDS: usize = 5;
/// Seconds of one measurement.
const SECONDS: &str = "2";
const CONCURRENCY: [&str; 3] = ["1", "100", "1000"];
/// How many connections a second of ab and of wrk netbreak is to make.
const TARGETS: [f64; 2] = [1.3, 1.0];

const NETBREAK: &str = env!("CARGO_BIN_EXE_netbreak");

/// One worker, so that the client has the other CPU of two; what is served takes no file.
const NGINX: &str =
    "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 16384; }
http { access_log off; server { listen 80 backlog=65535; location / { return 200 \"netbreak\\n\"; } } }";

fn main() -> Result<()> {
    let namespace = LabNamespace::new("bench")?;
    namespace.exec(&["ip", "link", "set", "lo", "up"], "")?;
    // Where a port of TIME_WAIT is met is a matter of luck: with more ports, of less.
    namespace.sysctls(&[("core/somaxconn", "65535"), ("ipv4/ip_local_port_range", "1024 65535")])?;
    let directory = tempfile::tempdir()?;
    let configuration = directory.path().join("nginx.conf");
    fs::write(&configuration, NGINX)?;
    let (prefix, configuration) = (path(directory.path())?, path(&configuration)?);
    let _nginx = namespace.spawn(&["nginx", "-e", "stderr", "-p", prefix, "-c", configuration])?;
    listening(&namespace)?;
    // First: the ports that ab and wrk leave in TIME_WAIT go by thousands at a time (their timers share slots of a wheel,
    // kernel/time/timer.c), which takes a softirq ten milliseconds.
    on_time(&namespace)?;
    connections(&namespace)
}

/// A tool and how it is asked for connections per second at a concurrency.
type Tool = (&'static str, fn(&LabNamespace, &str) -> Result<f64>);

const TOOLS: [Tool; 4] = [
    ("netbreak", |namespace, width| netbreak(namespace, &["--connections", width, "--no-kernel"])),
    ("ab", ab),
    ("wrk -t1, Connection: close", wrk),
    ("netbreak, kernel side on", |namespace, width| netbreak(namespace, &["--connections", width])),
];

fn connections(namespace: &LabNamespace) -> Result<()> {
    let mut rates = vec![vec![Vec::new(); CONCURRENCY.len()]; TOOLS.len()];
    for _ in 0..ROUNDS {
        for (column, width) in CONCURRENCY.iter().enumerate() {
            for ((_, tool), rates) in TOOLS.iter().zip(&mut rates) {
                rates[column].push(tool(namespace, width)?);
            }
        }
    }
    println!("connections/s to one worker of nginx; medians of {ROUNDS} interleaved rounds of {SECONDS} s");
    row("in flight", CONCURRENCY.map(str::to_owned));
    let rates: Vec<Vec<f64>> = rates.into_iter().map(|row| row.into_iter().map(median).collect()).collect();
    for ((name, _), rates) in TOOLS.iter().zip(&rates) {
        row(name, rates.iter().map(|rate| format!("{rate:.0}")));
    }
    for (other, target) in [1, 2].into_iter().zip(TARGETS) {
        let ratios = rates[0].iter().zip(&rates[other]).map(|(ours, theirs)| format!("{:.2}", ours / theirs));
        row(&format!("  × {}, at least {target}", TOOLS[other].0), ratios);
    }
    Ok(())
}

/// How late attempts leave when 5,000 are due each second.
fn on_time(namespace: &LabNamespace) -> Result<()> {
    println!("µs from the plan to the send at 5,000 connects/s; medians of {ROUNDS} runs of {SECONDS} s");
    row("", ["p50", "p99", "max", "answered"].map(str::to_owned));
    let floors: Vec<[f64; 3]> = (0..ROUNDS).map(|_| floor()).collect();
    let floor = [0, 1, 2].map(|field| median(floors.iter().map(|floor| floor[field]).collect()));
    row("floor: sleeps and computes", floor.map(|delay| format!("{delay:.0}")));
    for (name, arguments) in [
        ("tcp", &["--tcp", "80", "--rate", "5000", "--no-kernel"][..]),
        ("http", &["--http", "80/", "--rate", "5000", "--no-kernel"]),
        ("tcp, kernel side on", &["--tcp", "80", "--rate", "5000"]),
        ("http, kernel side on", &["--http", "80/", "--rate", "5000"]),
    ] {
        let runs = (0..ROUNDS).map(|_| run(namespace, arguments)).collect::<Result<Vec<_>>>()?;
        let middle = |field: &str| {
            median(runs.iter().filter_map(|run| probe(run)["schedule_delay_us"][field].as_f64()).collect())
        };
        let answered = runs.iter().map(|run| {
            let count = |field: &str| probe(run)[field].as_f64().unwrap_or(f64::NAN);
            count("answered") / count("sent") * 100.0
        });
        let delays = ["p50", "p99", "max"].map(|field| format!("{:.0}", middle(field)));
        row(name, delays.into_iter().chain([format!("{:.2} %", median(answered.collect()))]));
    }
    row("  at most", [String::new(), "1000".to_owned()]);
    Ok(())
}

/// How late a thread is, in µs (p50, p99, max), that sleeps until an attempt would be due, then computes for as long as one
/// takes, while another thread does the same for its server: what this machine allows.
fn floor() -> [f64; 3] {
    const PACE: Duration = Duration::from_micros(200);
    const ATTEMPT: Duration = Duration::from_micros(90);
    let turns = || {
        let start = Instant::now();
        let turns = (0..10_000).map(|turn| {
            let due = start + PACE * turn;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let late = due.elapsed();
            let begun = Instant::now();
            while begun.elapsed() < ATTEMPT {
                std::hint::spin_loop();
            }
            late.as_secs_f64() * 1e6
        });
        let mut turns: Vec<f64> = turns.collect();
        turns.sort_by(f64::total_cmp);
        [turns[turns.len() / 2], turns[turns.len() * 99 / 100], turns[turns.len() - 1]]
    };
    std::thread::scope(|scope| {
        scope.spawn(turns);
        turns()
    })
}

fn netbreak(namespace: &LabNamespace, arguments: &[&str]) -> Result<f64> {
    let report = run(namespace, &[&["--http", "80/"], arguments].concat())?;
    let answered = probe(&report)["answered"].as_f64().context("the report has no answered")?;
    Ok(answered / report["run"]["duration_s"].as_f64().context("the report has no duration")?)
}

/// The report of a run.
fn run(namespace: &LabNamespace, arguments: &[&str]) -> Result<Value> {
    let duration = format!("{SECONDS}s");
    let run = [NETBREAK, "run", "127.0.0.1", "--duration", &duration, "--output", "json", "--quiet"];
    serde_json::from_str(&said(namespace, &[&run[..], arguments].concat())?)
        .context("netbreak wrote no report")
}

fn probe(report: &Value) -> &Value {
    &report["targets"][0]["probes"][0]
}

/// It speaks HTTP/1.0 and so closes each connection.
fn ab(namespace: &LabNamespace, width: &str) -> Result<f64> {
    let argv = ["ab", "-q", "-r", "-c", width, "-t", SECONDS, "-n", "10000000", "http://127.0.0.1/"];
    figure(&said(namespace, &argv)?, "Requests per second:")
}

/// With one thread, as netbreak and ab have.
fn wrk(namespace: &LabNamespace, width: &str) -> Result<f64> {
    let argv = ["wrk", "-t1", "-c", width, "-d", SECONDS, "-H", "Connection: close", "http://127.0.0.1/"];
    figure(&said(namespace, &argv)?, "Requests/sec:")
}

/// The number behind `label`.
fn figure(output: &str, label: &str) -> Result<f64> {
    let rest = output.lines().find_map(|line| line.trim().strip_prefix(label));
    let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no {label:?} in:\n{output}"))
}

/// Runs a command to its end; what it wrote.
fn said(namespace: &LabNamespace, argv: &[&str]) -> Result<String> {
    let output = namespace.command(argv)?.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", argv[0]))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.stdout.is_empty(), "{} failed: {error}", argv[0]);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Waits until nginx accepts connections.
fn listening(namespace: &LabNamespace) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while namespace.run(|| std::net::TcpStream::connect("127.0.0.1:80").is_err())? {
        ensure!(Instant::now() < deadline, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
