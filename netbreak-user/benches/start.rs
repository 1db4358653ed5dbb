//! From exec to the first probe, and where the time goes: `cargo xtask bench start`, docs/benchmarks.md.

mod support;

use std::{io::Read as _, process::Stdio, time::Duration};

use anyhow::{Context as _, Result};
use netbreak_user::{
    clock::{self, MILLISECOND, Nanos},
    kernel::{Options, Room, Tracer},
    lab::LabNamespace,
};
use socket2::{Domain, Protocol, Socket, Type};
use support::{median, row};

const ROUNDS: usize = 9;

fn main() -> Result<()> {
    let namespace = LabNamespace::new("bench")?;
    namespace.exec(&["ip", "link", "set", "lo", "up"], "")?;
    let mut totals = Vec::new();
    let mut steps: Vec<(&'static str, Vec<f64>)> = Vec::new();
    // As a run of one probe with the defaults.
    let follow = Some(Room::for_plan(1, 152));
    for _ in 0..ROUNDS {
        totals.push(milliseconds(first_echo(&namespace)?));
        let tracer = Tracer::start(Options { follow, ..Options::default() })?;
        for (index, (name, took)) in tracer.steps().iter().enumerate() {
            if steps.len() <= index {
                steps.push((name, Vec::new()));
            }
            steps[index].1.push(milliseconds(*took));
        }
    }
    println!("milliseconds, medians of {ROUNDS} runs");
    row("exec to first probe", [format!("{:.1}", median(totals))]);
    row("  at most", ["300.0".to_owned()]);
    for (name, took) in steps {
        row(&format!("  {name}"), [format!("{:.1}", median(took))]);
    }
    Ok(())
}

/// Runs the program, and tells how long it took until its first echo request arrived.
fn first_echo(namespace: &LabNamespace) -> Result<Nanos> {
    let mut echoes = namespace.run(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))??;
    echoes.set_read_timeout(Some(Duration::from_secs(20)))?;
    let program = env!("CARGO_BIN_EXE_netbreak");
    let mut command =
        namespace.command(&[program, "run", "127.0.0.1", "--icmp", "--duration", "50ms", "--quiet"])?;
    let start = clock::now();
    let mut child = command.stdout(Stdio::null()).spawn().context("cannot start netbreak")?;
    let heard = echoes.read(&mut [0; 128]).map(|_| clock::now());
    let ended = child.wait();
    let took = heard.context("netbreak sent no echo")? - start;
    anyhow::ensure!(ended?.success(), "netbreak's run was not clean");
    Ok(took)
}

fn milliseconds(nanos: Nanos) -> f64 {
    nanos as f64 / MILLISECOND as f64
}
