//! Every fault of the lab: each probe packet that it killed is a death at its place, of its cause, and as many as the
//! kernel counted. Where this kernel hides some from all programs, no more are missing than a witness saw, and each of
//! them is an attempt without an explanation.

use std::sync::Mutex;

use netbreak_user::lab::{Expected, FAULTS, Fault, Need, Role, Truth};
use netbreak_user::probe::Kind;
use netbreak_user::report::{Death, Probe, Report};

use crate::common::{Done, HTTP, Served, TCP, UDP, V4, Witness, died, skipped, total, wait_until};

/// Labs at one time: a run mostly waits.
const WORKERS: usize = 4;

#[test]
fn every_fault_is_located_and_counted() {
    if skipped(&["ip", "tc", "nft", "iptables", "ethtool"]) {
        return;
    }
    assert!(FAULTS.iter().any(|fault| fault.needs == Need::Ethtool));
    let only = std::env::var("NETBREAK_FAULT").ok();
    let wanted = |fault: &&Fault| only.as_deref().is_none_or(|name| name == fault.name);
    let queue: Mutex<Vec<&Fault>> = Mutex::new(FAULTS.iter().copied().filter(wanted).collect());
    let work = || {
        let mut failed = Vec::new();
        loop {
            let Some(fault) = queue.lock().unwrap().pop() else { return failed };
            if std::panic::catch_unwind(|| prove(fault)).is_err() {
                failed.push(fault.name);
            } else {
                println!("{}: as expected", fault.name);
            }
        }
    };
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

fn prove(fault: &Fault) {
    let mut served = Served::new();
    // A SYN-ACK that dies is not sent again: then each packet that the fault killed was an attempt of ours.
    served.lab.namespace(Role::Server).sysctl("ipv4/tcp_synack_retries", "0").unwrap();
    throughout(&mut served, fault);
    for_a_while(&mut served, fault);
}

/// The fault is there from before the first attempt to after the last.
fn throughout(served: &mut Served, fault: &Fault) {
    // Half of a connection's packets die, and its sockets send them again after the run, when only the rule counts.
    let random = fault.name == "nft-forward-random";
    let kinds = [Kind::Icmp, Kind::Udp, Kind::Tcp, Kind::Http];
    let arguments = arguments(fault, if random { &kinds[..2] } else { &kinds });
    served.lab.apply(fault).unwrap();
    let witness = Witness::new();
    // Shorter than the first pause of TCP (1 s): no SYN is sent twice.
    // A neighbour is given up after about 400 ms, and only then do the packets die that waited for it.
    let waits = fault.expected.is_some_and(|expected| expected.reason == "NEIGH_FAILED");
    let plan =
        ["--interval", "5ms", "--duration", "300ms", "--timeout", if waits { "650ms" } else { "300ms" }];
    let done = served.start(V4, &with(&arguments, &plan)).finish();
    served.lab.undo(fault).unwrap();
    let truth = served.lab.read_truth(fault).unwrap();
    let seen = Seen::new(served, fault, &done, truth, &witness);
    let sent: u64 = seen.probes.iter().map(|probe| probe.sent).sum();
    assert!(sent > 0, "{seen}");
    match (fault.name, fault.expected) {
        ("nft-forward-random", Some(expected)) => {
            let missing = seen.missing(seen.total(expected), truth.unwrap());
            assert!(seen.probes.iter().all(|p| p.answered > 0 && p.lost > 0), "{seen}");
            assert_eq!(seen.unexplained(), missing, "{seen}");
            assert!(seen.probes.iter().all(|p| p.deaths.iter().all(|d| seen.is(d, expected))), "{seen}");
        }
        // A queue is no grave: what still waits in it at the end of the run is lost and not dead. It holds 200 bytes,
        // so never more than two or three packets; and it takes and drops what else the router has to say.
        ("tbf", Some(expected)) => {
            let missing = seen.missing(seen.total(expected), truth.unwrap());
            assert!(seen.probes.iter().all(|p| p.unexplained <= 3 + missing), "{seen}");
            assert!(seen.probes.iter().all(|p| p.deaths.iter().all(|d| seen.is(d, expected))), "{seen}");
            let dead = died(seen.probes, |_| true);
            assert!(dead <= truth.unwrap() && dead + 12 + missing >= sent, "{seen}");
        }
        // A RST is an answer of the path: refused, not dead. The packets that it answered are counted all the same.
        ("nft-reject-reset", Some(expected)) => {
            assert!(seen.probes.iter().all(|p| p.refused == p.sent), "{seen}");
            seen.missing(seen.total(expected), sent);
            assert_eq!(truth, Some(sent), "{seen}");
        }
        (_, Some(expected)) => {
            let missing = seen.missing(died(seen.probes, |death| seen.is(death, expected)), sent);
            assert!(seen.probes.iter().all(|p| p.answered == 0), "{seen}");
            assert_eq!(seen.unexplained(), missing, "{seen}");
            assert_eq!(truth.unwrap_or(sent), sent, "{seen}");
            let total = seen.total(expected);
            let traced = truth.map_or(total, |truth| truth - missing);
            if seen.is_alone(expected) {
                assert_eq!(total, traced, "{seen}");
            } else {
                assert!(total >= traced, "{seen}");
            }
        }
        // No packet dies, so nothing may be said to have died.
        (_, None) => {
            assert!(seen.probes.iter().all(|p| p.answered == 0 && p.deaths.is_empty()), "{seen}");
            assert!(seen.probes.iter().all(|p| p.unexplained == p.sent), "{seen}");
            assert_eq!(truth.unwrap_or(sent), sent, "{seen}");
        }
    }
    assert_eq!(done.status, i32::from(fault.name != "nft-reject-reset"), "{seen}");
}

/// The fault comes and goes during the run: single packets only, since a connection that it hits may live.
fn for_a_while(served: &mut Served, fault: &Fault) {
    let kinds: Vec<Kind> =
        [Kind::Icmp, Kind::Udp].into_iter().filter(|kind| fault.probes.contains(kind)).collect();
    // A port on which nobody answers is broken from the start.
    let names_a_port = fault.arguments.iter().any(|argument| matches!(*argument, "--udp" | "--tcp"));
    let (Some(first), false) = (kinds.first(), names_a_port) else { return };
    let counter = if *first == Kind::Icmp { "Icmp.OutEchos" } else { "Udp.OutDatagrams" };
    let before = served.counter(Role::Client, counter);
    let arguments = arguments(fault, &kinds);
    let plan = ["--interval", "5ms", "--duration", "1s", "--timeout", "300ms"];
    let witness = Witness::new();
    let run = served.start(V4, &with(&arguments, &plan));
    let sent = |n| wait_until("probes leave", || served.counter(Role::Client, counter) >= before + n);
    sent(30);
    served.lab.apply(fault).unwrap();
    let sent = |n| wait_until("probes leave", || served.counter(Role::Client, counter) >= before + n);
    sent(100);
    served.lab.undo(fault).unwrap();
    let done = run.finish();
    let truth = served.lab.read_truth(fault).unwrap();
    let seen = Seen::new(served, fault, &done, truth, &witness);
    assert!(seen.probes.iter().all(|p| p.answered > 0 && !p.outages.is_empty()), "{seen}");
    let Some(expected) = fault.expected else {
        assert!(seen.probes.iter().all(|p| p.deaths.is_empty() && p.unexplained > 0), "{seen}");
        return;
    };
    // A router that ceases to forward does so both ways: answers that were under way die there, too.
    let both_ways = fault.name == "forwarding-off";
    let is_it = |death: &Death| {
        seen.is(death, expected) || both_ways && death.reason.as_deref() == Some(expected.reason)
    };
    let dead = died(seen.probes, is_it);
    match fault.truth {
        // While one qdisc takes another's place the device has none that counts (`noop_enqueue` drops).
        Truth::Qdisc(..) => {
            let total = seen.total(expected);
            assert!(0 < dead && dead <= total && truth.unwrap() <= total + seen.unseen, "{seen}");
        }
        // Nobody counts. The neighbours of a link that comes and goes are asked again, and packets wait meanwhile.
        Truth::Everything => assert!(dead > 0, "{seen}"),
        _ => {
            let missing = seen.missing(dead, truth.unwrap());
            // A device that goes takes along the answers on their way through it; and the route that a strict
            // rp_filter checks is the one that answers take, from a moment before to a moment after. An answer that is
            // as long as its request does not fit into the smaller device on the other side (`is_skb_forwardable`).
            let others = died(seen.probes, |death| !is_it(death));
            assert!(others == 0 || matches!(fault.name, "link-down" | "rp-filter" | "mtu"), "{seen}");
            // A link that is back is used when its carrier is noticed (`linkwatch_event`), up to a second later.
            assert!(seen.unexplained() == missing || fault.name == "link-down", "{seen}");
        }
    }
    assert_eq!(done.status, 1, "{seen}");
}

/// The probes that a fault concerns, those of `kinds`, and what else the run must be told.
fn arguments(fault: &Fault, kinds: &[Kind]) -> Vec<String> {
    let mut arguments: Vec<String> = fault.arguments.iter().map(|a| (*a).to_owned()).collect();
    for kind in kinds.iter().filter(|kind| fault.probes.contains(kind)) {
        let (option, port) = match kind {
            Kind::Icmp => ("--icmp", None),
            Kind::Udp => ("--udp", Some(UDP)),
            Kind::Tcp => ("--tcp", Some(TCP)),
            _ => ("--http", Some(HTTP)),
        };
        if !fault.arguments.contains(&option) {
            arguments.push(option.to_owned());
            arguments.extend(port.map(|port| port.to_string()));
        }
    }
    arguments
}

/// What a run said, to be compared with what the fault does; and how it is shown when they differ.
struct Seen<'a> {
    served: &'a Served,
    fault: &'a Fault,
    report: &'a Report,
    probes: &'a [Probe],
    truth: Option<u64>,
    /// Drops of the expected reason on this machine that no program could see.
    unseen: u64,
}

impl<'a> Seen<'a> {
    fn new(
        served: &'a Served,
        fault: &'a Fault,
        done: &'a Done,
        truth: Option<u64>,
        witness: &Witness,
    ) -> Seen<'a> {
        let report = &done.report;
        let unseen = match fault.expected.map(|expected| expected.reason) {
            None => 0,
            Some("NEIGH_FAILED") => witness.drops("NEIGH_FAILED") + witness.drops("NEIGH_QUEUEFULL"),
            Some(reason) => witness.drops(reason),
        };
        Seen { served, fault, report, probes: &report.targets[0].probes, truth, unseen }
    }

    /// How many of `all` were not traced. No more than the witness saw.
    fn missing(&self, traced: u64, all: u64) -> u64 {
        assert!(traced <= all && all - traced <= self.unseen, "{traced} of {all}\n{self}");
        all - traced
    }

    /// Attempts without an explanation.
    fn unexplained(&self) -> u64 {
        self.probes.iter().map(|probe| probe.unexplained).sum()
    }

    /// Is it the death that the fault brings?
    fn is(&self, death: &Death, expected: Expected) -> bool {
        // What waits too long for its neighbour dies of one of two reasons: time, or too many waiting.
        let reason = death.reason.as_deref().unwrap_or_default();
        let is_reason =
            reason == expected.reason || (expected.reason == "NEIGH_FAILED" && reason == "NEIGH_QUEUEFULL");
        death.cause == expected.cause
            && death.leg == expected.leg
            && death.netns == Some(self.served.inode(expected.role))
            && (expected.device.is_none() || death.device.as_deref() == expected.device)
            && is_reason
    }

    /// Does the exact table tell the fault's drops from others at its place? Many things are freed for no reason given;
    /// only flows tell them apart, and a flood beside us may have taken all their room. The deaths are exact all the same.
    fn is_alone(&self, expected: Expected) -> bool {
        expected.reason != "NOT_SPECIFIED" || self.report.losses.map_full == 0
    }

    /// What the exact table says of the fault's place.
    fn total(&self, expected: Expected) -> u64 {
        let all = total(self.report, expected.reason, expected.device, self.served.inode(expected.role));
        // A young device is told of multicast groups that nobody joined: freed for no reason, too, and not the fault's.
        let multicast = self.report.drops.iter().filter(|row| {
            row.symbol.as_deref() == Some("ip6_mc_input")
                && row.reason.as_deref() == Some(expected.reason)
                && row.device.as_deref() == expected.device
                && row.netns == Some(self.served.inode(expected.role))
        });
        all - multicast.map(|row| row.packets).sum::<u64>()
    }
}

impl std::fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: {:?} by the kernel's count, {} that no program saw, expected {:?}",
            self.fault.name, self.truth, self.unseen, self.fault.expected
        )?;
        for probe in self.probes {
            let Probe { sent, answered, late, lost, timed_out, refused, unreachable, send_failed, .. } =
                probe;
            writeln!(
                f,
                "{}: {sent} sent, {answered} answered, {late} late, {lost} lost, {timed_out} timed out, {refused} \
                 refused, {unreachable} unreachable, {send_failed} failed, {} unexplained",
                probe.kind.name(),
                probe.unexplained
            )?;
            for death in &probe.deaths {
                writeln!(f, "  {death:?}")?;
            }
        }
        let ours = self.served.lab.names().map(|(inode, _)| inode);
        for row in self.report.drop_totals.iter().filter(|row| row.netns.is_some_and(|n| ours.contains(&n))) {
            writeln!(f, "  {row:?}")?;
        }
        write!(f, "  losses {:?}", self.report.losses)
    }
}

fn with<'a>(arguments: &'a [String], plan: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(plan.iter().copied()).collect()
}
