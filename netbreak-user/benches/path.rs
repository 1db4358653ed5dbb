//! What following the packets of probes costs those of others: `cargo xtask bench path`, docs/benchmarks.md.

mod support;

use std::{
    net::UdpSocket,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netbreak_user::{
    kernel::{Accounting, Cost, Floor, Options, Room, Tracer},
    lab::{Lab, Role, SERVER_V4},
    report::Report,
};
use support::{median, row};

const ROUNDS: usize = 5;
/// Datagrams of one measurement.
const PACKETS: usize = 50_000;
/// Nanoseconds a hook, net of an empty program.
const TARGET: f64 = 50.0;
/// The hooks that each of them passes, twice.
const HOOKS: [&str; 4] = ["net_dev_queue", "net_dev_start_xmit", "netif_rx", "netif_receive_skb"];
const SINK: u16 = 9;
const UDP: u16 = 7003;
const NETBREAK: &str = env!("CARGO_BIN_EXE_netbreak");

fn main() -> Result<()> {
    let lab = Lab::new()?;
    let _sink = lab.namespace(Role::Server).run(|| UdpSocket::bind((SERVER_V4, SINK)))??;
    hooks(&lab)?;
    throughput(&lab)?;
    attempts(&lab)
}

/// What each hook costs a packet that is nobody's.
fn hooks(lab: &Lab) -> Result<()> {
    let (mut floors, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let _floors: Vec<Floor> = HOOKS.iter().map(|hook| Floor::attach(hook)).collect::<Result<_, _>>()?;
        floors.push(flood(lab)?);
        drop(_floors);
        let follow = Some(Room::for_plan(1, 1));
        let _tracer = Tracer::start(Options { follow, ..Options::default() })?;
        costs.push(flood(lab)?);
    }
    println!(
        "ns per hook for a packet of others; medians of {ROUNDS} interleaved rounds of {PACKETS} datagrams"
    );
    let (floor, cost) = (median(floors), median(costs));
    row("floor: empty program", [format!("{floor:.0}"), "(0)".to_owned()]);
    row("netbreak", [format!("{cost:.0}"), format!("({:.0})", cost - floor)]);
    row("  at most", [String::new(), format!("({TARGET:.0})")]);
    Ok(())
}

/// Nanoseconds of all our programs for each run of one.
fn flood(lab: &Lab) -> Result<f64> {
    let socket = lab.namespace(Role::Client).run(|| UdpSocket::bind(("0.0.0.0", 0)))??;
    let _accounting = Accounting::start()?;
    let before = Cost::of_process(std::process::id())?;
    for _ in 0..PACKETS {
        socket.send_to(&[0; 18], (SERVER_V4, SINK))?;
    }
    let after = Cost::of_process(std::process::id())?;
    ensure!(after.runs - before.runs >= (PACKETS * HOOKS.len()) as u64, "hooks were passed by");
    after.per_run_since(before).context("no run")
}

/// Bulk TCP of others, with and without a run beside it.
fn throughput(lab: &Lab) -> Result<()> {
    let _server = lab.namespace(Role::Server).spawn(&["iperf3", "--server"])?;
    let iperf = || -> Result<f64> {
        let argv = ["iperf3", "--json", "--time", "2", "--client", &SERVER_V4.to_string()].map(str::to_owned);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let output = lab.namespace(Role::Client).exec(&argv, "")?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        report["end"]["sum_received"]["bits_per_second"].as_f64().context("iperf3 says no rate")
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while iperf().is_err() {
        ensure!(Instant::now() < deadline, "iperf3 does not answer");
    }
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(iperf()?);
        let argv =
            [NETBREAK, "run", "10.0.2.2", "--icmp", "--interval", "100ms", "--quiet", "--duration", "1m"];
        let mut run = lab.namespace(Role::Client).command(&argv)?.stdout(Stdio::null()).spawn()?;
        while !is_attached(run.id())? {
            std::thread::sleep(Duration::from_millis(10));
        }
        let rate = iperf();
        run.kill()?;
        run.wait()?;
        beside.push(rate?);
    }
    let (alone, beside) = (median(alone), median(beside));
    println!("\niperf3 through the router, Gbit/s; medians of {ROUNDS} interleaved runs of 2 s");
    row("alone", [format!("{:.2}", alone / 1e9), "1.00".to_owned()]);
    row("beside netbreak", [format!("{:.2}", beside / 1e9), format!("{:.2}", beside / alone)]);
    row("  at least", [String::new(), "0.97".to_owned()]);
    Ok(())
}

/// Has the process attached every program?
fn is_attached(process: u32) -> Result<bool> {
    let mut programs = 0;
    for entry in std::fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        programs += usize::from(text.contains("link_type"));
    }
    Ok(programs >= 14)
}

/// Whether a fast probe is followed wholly.
fn attempts(lab: &Lab) -> Result<()> {
    let _serve =
        lab.namespace(Role::Server).spawn(&[NETBREAK, "serve", "--udp", "7003", "--bind", "10.0.2.2"])?;
    let udp = UDP.to_string();
    let argv =
        [NETBREAK, "run", "10.0.2.2", "--udp", &udp, "--interval", "100us", "--duration", "3s", "--path"];
    let argv = [&argv[..], &["--output", "json"]].concat();
    let output = lab.namespace(Role::Client).command(&argv)?.output()?;
    let report: Report = serde_json::from_slice(&output.stdout)?;
    let probe = &report.targets[0].probes[0];
    println!("\n10,000 datagrams a second for 3 s, all followed");
    row("sent, answered", [probe.sent.to_string(), probe.answered.to_string()]);
    row("forgotten by the ledger", [report.losses.ledger.to_string()]);
    row("events lost", [report.losses.ring_full.to_string()]);
    Ok(())
}
