//! What a counted drop costs, beside bpftrace with the same keys: `cargo xtask bench drop`, docs/benchmarks.md.

mod support;

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netbreak_user::{
    kernel::{Accounting, Cost, Floor, Options, Tracer},
    lab::LabNamespace,
};
use support::{median, row};

const ROUNDS: usize = 5;
/// Datagrams of one measurement.
const PACKETS: usize = 100_000;
const FLOWS: [usize; 3] = [1, 1_000, 10_000];
/// Of the bpftrace figure, net.
const TARGETS: [f64; 3] = [0.25, 0.4, 0.5];
const FIRST_PORT: u16 = 10_000;

const RULES: &str = "\
table inet bench {
  chain input {
    type filter hook input priority 0
    udp dport 10000-29999 drop
  }
}
";

/// The keys of netbreak's own map. From the tracepoint's file, as bpftrace's users write it, with BTF for the rest.
const SCRIPT: &str = r#"
tracepoint:skb:kfree_skb {
  $skb = (struct sk_buff *)args->skbaddr;
  $ip = (struct iphdr *)($skb->head + $skb->network_header);
  $udp = (struct udphdr *)($skb->head + $skb->network_header + 20);
  @[$ip->saddr, $ip->daddr, $udp->source, $udp->dest, $ip->protocol, args->reason, args->location,
    $skb->dev->ifindex, $skb->dev->nd_net.net->ns.inum] = count();
}"#;

/// tracefs, where it is not mounted already, is mounted for this process alone. It dies with the thread that started it.
const MOUNTED_BPFTRACE: &str =
    "[ -e /sys/kernel/tracing/events ] || mount -t tracefs none /sys/kernel/tracing || exit 1
exec setpriv --pdeathsig KILL bpftrace -e \"$1\"";

#[derive(Clone, Copy, PartialEq)]
enum Subject {
    Nothing,
    Floor,
    Parse,
    Whole,
    Bpftrace,
}

const SUBJECTS: [(Subject, &str); 5] = [
    (Subject::Nothing, "alone"),
    (Subject::Floor, "floor: empty program"),
    (Subject::Parse, "netbreak, parsing only"),
    (Subject::Whole, "netbreak"),
    (Subject::Bpftrace, "bpftrace, same keys"),
];

/// What is attached; dropping it detaches it.
enum Attached {
    Nothing,
    Floor { _programs: Floor },
    Netbreak { _tracer: Box<Tracer> },
    Bpftrace(Child),
}

impl Attached {
    fn cost(&self) -> Result<Cost> {
        let process = match self {
            Attached::Bpftrace(child) => child.id(),
            _ => std::process::id(),
        };
        Ok(Cost::of_process(process)?)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Attached::Bpftrace(child) = self {
            // Both fail only if it is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Figures of one round: gross nanoseconds by number of flows, and packets per second without the accounting.
struct Round {
    nanos: [f64; 3],
    rate: f64,
}

fn main() -> Result<()> {
    let namespace = LabNamespace::new("bench")?;
    namespace.exec(&["ip", "link", "set", "lo", "up"], "")?;
    namespace.exec(&["nft", "-f", "-"], RULES)?;
    let mut rounds: Vec<Vec<Round>> = SUBJECTS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (index, (subject, _)) in SUBJECTS.iter().enumerate() {
            rounds[index].push(namespace.run(|| measure(*subject))??);
        }
    }
    print(&rounds);
    Ok(())
}

fn measure(subject: Subject) -> Result<Round> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let attached = attach(subject, &socket)?;
    let mut nanos = [f64::NAN; 3];
    if subject != Subject::Nothing {
        let _accounting = Accounting::start()?;
        for (flows, nanos) in FLOWS.into_iter().zip(&mut nanos) {
            // Every flow has its entry before the measurement.
            flood(&socket, flows, flows)?;
            let before = attached.cost()?;
            flood(&socket, flows, PACKETS)?;
            let after = attached.cost()?;
            let runs = after.runs - before.runs;
            ensure!(runs >= PACKETS as u64, "only {runs} of {PACKETS} drops were seen");
            *nanos = after.per_run_since(before).context("no run")?;
        }
    }
    let start = Instant::now();
    flood(&socket, FLOWS[2], PACKETS)?;
    Ok(Round { nanos, rate: PACKETS as f64 / start.elapsed().as_secs_f64() })
}

fn attach(subject: Subject, socket: &UdpSocket) -> Result<Attached> {
    let tracer = |parse_only| -> Result<Attached> {
        let tracer = Tracer::start(Options { parse_only, ..Options::default() })?;
        Ok(Attached::Netbreak { _tracer: Box::new(tracer) })
    };
    match subject {
        Subject::Nothing => Ok(Attached::Nothing),
        Subject::Floor => Ok(Attached::Floor { _programs: Floor::attach("kfree_skb")? }),
        Subject::Parse => tracer(true),
        Subject::Whole => tracer(false),
        Subject::Bpftrace => bpftrace(socket),
    }
}

/// Starts bpftrace and waits until it sees drops.
fn bpftrace(socket: &UdpSocket) -> Result<Attached> {
    let child = Command::new("unshare")
        .args(["--mount", "sh", "-c", MOUNTED_BPFTRACE, "sh"])
        .arg(SCRIPT)
        .env("BPFTRACE_MAP_KEYS_MAX", "16384")
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start bpftrace")?;
    let mut attached = Attached::Bpftrace(child);
    let _accounting = Accounting::start()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while attached.cost()?.runs == 0 {
        if let Attached::Bpftrace(child) = &mut attached {
            let ended = child.try_wait()?;
            ensure!(
                ended.is_none(),
                "bpftrace ended: {}",
                ended.map(|status| status.to_string()).unwrap_or_default()
            );
        }
        ensure!(Instant::now() < deadline, "bpftrace did not attach within a minute");
        flood(socket, 1, 1)?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(attached)
}

/// Sends `packets` datagrams round `flows` ports. They die in `send` itself: loopback delivers on the sender's CPU.
fn flood(socket: &UdpSocket, flows: usize, packets: usize) -> Result<()> {
    let ports = (FIRST_PORT..).take(flows).cycle();
    for port in ports.take(packets) {
        socket.send_to(&[0; 18], SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    }
    Ok(())
}

fn print(rounds: &[Vec<Round>]) {
    let nanos = |subject: usize, flows: usize| {
        median(rounds[subject].iter().map(|round| round.nanos[flows]).collect())
    };
    let net = |subject, flows| nanos(subject, flows) - nanos(1, flows);
    println!(
        "ns per drop: gross (net of the floor); medians of {ROUNDS} interleaved rounds of {PACKETS} packets"
    );
    row("", FLOWS.map(|flows| format!("{flows} flows")));
    for (subject, (_, name)) in SUBJECTS.iter().enumerate().skip(1) {
        row(
            name,
            [0, 1, 2].map(|flows| format!("{:.0} ({:.0})", nanos(subject, flows), net(subject, flows))),
        );
    }
    row("netbreak / bpftrace, net", [0, 1, 2].map(|flows| format!("{:.2}", net(3, flows) / net(4, flows))));
    row("  at most", TARGETS.map(|target| format!("{target:.2}")));
    println!();
    println!("packets/s, flood of {} flows from one thread, without the accounting", FLOWS[2]);
    let rate = |subject: usize| median(rounds[subject].iter().map(|round| round.rate).collect());
    for subject in [0, 3, 4] {
        row(
            SUBJECTS[subject].1,
            [format!("{:.0}", rate(subject)), format!("{:.2}", rate(subject) / rate(0))],
        );
    }
}
