//! Attempts per second and CPU per attempt of each probe: `cargo xtask bench probe`, docs/benchmarks.md.

mod support;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netbreak_user::lab::LabNamespace;
use procfs::process::Process;
use serde_json::Value;
use support::{median, row};

const ROUNDS: usize = 3;

const NETBREAK: &str = env!("CARGO_BIN_EXE_netbreak");

/// Arguments of each probe. The plan asks for more attempts than one thread can make of the dearer ones.
const PROBES: [(&str, &[&str]); 5] = [
    ("icmp", &["--icmp", "--interval", "50us"]),
    ("udp", &["--udp", "7003", "--interval", "50us"]),
    ("tcp", &["--tcp", "7001", "--interval", "100us"]),
    ("http", &["--http", "7002", "--interval", "200us"]),
    ("stream", &["--stream", "7004"]),
];

fn main() -> Result<()> {
    let namespace = LabNamespace::new("bench")?;
    namespace.exec(&["ip", "link", "set", "lo", "up"], "")?;
    let _serve = namespace.spawn(&[
        NETBREAK, "serve", "--tcp", "7001", "--http", "7002", "--udp", "7003", "--stream", "7004",
    ])?;
    listening(&namespace)?;
    println!("medians of {ROUNDS} runs of 2 s, over loopback, without the kernel side");
    row("", ["attempts/s", "answered", "CPU µs/attempt"].map(str::to_owned));
    for (name, arguments) in PROBES {
        print(&format!("netbreak {name}"), || netbreak(&namespace, arguments))?;
    }
    let echoes = |attempts: f64, argv: &[&str]| -> Result<Figures> {
        let (seconds, cpu, _) = timed(&namespace, argv)?;
        Ok(Figures { attempts, answered: f64::NAN, seconds, cpu })
    };
    print("ping -f", || echoes(40_000.0, &["ping", "-f", "-q", "-c", "40000", "127.0.0.1"]))?;
    // fping paces each target, so 1024 of them, 20 echoes to each.
    let fping = ["fping", "-q", "-c", "20", "-i", "0", "-p", "20", "-g", "127.0.0.1", "127.0.4.0"];
    print("fping, 1024 targets", || echoes(1024.0 * 20.0, &fping))
}

/// What one run came to.
struct Figures {
    attempts: f64,
    /// NaN for other tools: they are believed.
    answered: f64,
    seconds: f64,
    /// Seconds, user and system.
    cpu: f64,
}

fn netbreak(namespace: &LabNamespace, arguments: &[&str]) -> Result<Figures> {
    let run = ["run", "127.0.0.1", "--duration", "2s", "--no-kernel", "--output", "json", "--quiet"];
    let (took, cpu, output) = timed(namespace, &[&[NETBREAK], &run[..], arguments].concat())?;
    let report: Value = serde_json::from_slice(&output).context("netbreak wrote no report")?;
    let probe = &report["targets"][0]["probes"][0];
    let count = |field: &str| probe[field].as_f64().with_context(|| format!("the report has no {field}"));
    // A run that cannot keep up with its plan lasts longer.
    let seconds = report["run"]["duration_s"].as_f64().unwrap_or(took);
    Ok(Figures { attempts: count("sent")?, answered: count("answered")?, seconds, cpu })
}

fn print(name: &str, run: impl Fn() -> Result<Figures>) -> Result<()> {
    let runs = (0..ROUNDS).map(|_| run()).collect::<Result<Vec<_>>>()?;
    let middle = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure).collect());
    let rate = middle(|run| run.attempts / run.seconds);
    let answered = middle(|run| run.answered / run.attempts * 100.0);
    let cpu = middle(|run| run.cpu / run.attempts * 1e6);
    let answered = if answered.is_nan() { "–".to_owned() } else { format!("{answered:.2} %") };
    row(name, [format!("{rate:.0}"), answered, format!("{cpu:.1}")]);
    Ok(())
}

/// Runs a command to its end: its seconds, its CPU seconds (user and system), and what it wrote.
fn timed(namespace: &LabNamespace, argv: &[&str]) -> Result<(f64, f64, Vec<u8>)> {
    let before = children()?;
    let start = Instant::now();
    let output = namespace.command(argv)?.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", argv[0]))?;
    Ok((start.elapsed().as_secs_f64(), children()? - before, output.stdout))
}

/// CPU seconds of all children that have ended, to the tick (10 ms).
fn children() -> Result<f64> {
    let stat = Process::myself()?.stat()?;
    Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
}

/// Waits until `serve` accepts connections.
fn listening(namespace: &LabNamespace) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while namespace.run(|| std::net::TcpStream::connect("127.0.0.1:7004").is_err())? {
        ensure!(Instant::now() < deadline, "netbreak serve does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
