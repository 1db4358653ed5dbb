//! What is run: one fault or several, and which probes while they are there.

use std::net::IpAddr;
use std::time::Duration;

use netbreak_user::lab::{Effect, FAULTS, Family, Fault, Role, Truth, find};
use netbreak_user::probe::Kind;
use netbreak_user::report::Leg;

use super::judge::{Score, judge};
use super::seen::Seen;
use crate::common::{Done, HTTP, STREAM, Served, TCP, UDP, V4, V6, Witness, wait_until};

/// Faults and a run.
pub struct Case {
    /// Of the table.
    pub name: String,
    /// Brought about in this order, undone in the other one.
    pub faults: Vec<&'static Fault>,
    /// What becomes of all probes then.
    pub effect: Effect,
    /// Is each packet that a fault counts one of its own attempts?
    pub exact: bool,
    /// How long the faults are there.
    pub when: When,
    /// Which probes.
    pub kinds: Vec<Kind>,
}

/// How long faults are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From before the first attempt to after the last.
    Throughout,
    /// They come and go during the run.
    ForAWhile,
    /// They come during the run, and stay.
    ToTheEnd,
}

/// Faults that are there together: what becomes of the probes, and whether each packet that a fault counts was an attempt.
const TOGETHER: &[(&[&str], Effect, bool)] = &[
    (&["nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["nft-forward-random", "iptables-legacy-random-reply"], Effect::KillsSome, true),
    (&["nft-forward-random", "nft-input"], Effect::KillsAll, true),
    (&["nft-forward-random", "tc-egress-reply"], Effect::KillsAll, true),
    (&["route-blackhole", "nft-limit-reply"], Effect::KillsAll, true),
    (&["nft-forward-random", "replier-no-route"], Effect::KillsAll, false),
    (&["nft-input", "replier-no-route"], Effect::KillsAll, true),
    (&["routing-rules", "replier-no-route"], Effect::KillsAll, false),
    (&["routing-rules", "nft-output-reply"], Effect::KillsAll, true),
    (&["routing-rules", "neighbour-reply"], Effect::KillsAll, false),
    (&["packet-sockets", "nft-forward-random", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["packet-sockets", "neighbour"], Effect::KillsAll, false),
    // The router's own copy does not pass the forward hook, so each request arrives, once or twice.
    (&["duplicates", "nft-forward-random"], Effect::Spares, false),
    // Lost when both answers die.
    (&["duplicates", "nft-forward-random-reply"], Effect::KillsSome, false),
    (&["duplicates", "nft-input"], Effect::KillsAll, false),
    (&["duplicates-reply", "nft-input-reply"], Effect::KillsAll, false),
    (&["masquerade", "nft-input"], Effect::KillsAll, true),
    (&["masquerade", "nft-output-reply"], Effect::KillsAll, true),
    (&["masquerade", "nft-forward-random-reply"], Effect::KillsSome, true),
    (&["bridge", "nft-input"], Effect::KillsAll, false),
    (&["bridge", "packet-sockets", "nft-input-reply"], Effect::KillsAll, false),
];

/// All of them.
pub fn all() -> Vec<Case> {
    let single = FAULTS.iter().flat_map(|fault| Case::of(fault));
    single.chain(TOGETHER.iter().map(Case::together)).collect()
}

impl Case {
    fn of(fault: &'static Fault) -> Vec<Case> {
        // Half of a connection's packets die, and its sockets send them again after the run, when only the rule counts.
        let kinds = match fault.effect {
            Effect::KillsSome => &SINGLE[..],
            Effect::Spares => &[Kind::Icmp, Kind::Udp, Kind::Tcp, Kind::Http, Kind::Stream],
            Effect::KillsAll | Effect::Refuses => &[Kind::Icmp, Kind::Udp, Kind::Tcp, Kind::Http],
        };
        let case = |name: String, when, kinds: &[Kind]| Case {
            name,
            faults: vec![fault],
            effect: fault.effect,
            exact: fault.truth != Truth::Everything && kinds != [Kind::Stream],
            when,
            kinds: kinds.iter().copied().filter(|kind| fault.probes.contains(kind)).collect(),
        };
        let mut cases = vec![case(fault.name.to_owned(), When::Throughout, kinds)];
        // One of each sort is enough of what follows: those that the demo shows.
        let spares = fault.effect == Effect::Spares;
        let is_image = fault.expected.is_some_and(|expected| expected.leg == Leg::Reply);
        if (fault.demo && !is_image) || spares {
            // Single packets only, since a connection that it hits may live.
            cases.push(case(format!("{} for a while", fault.name), When::ForAWhile, &SINGLE));
        }
        // A stream's attempts are writes, whose segments are sent again and again: a short break makes them late.
        if fault.demo && fault.effect == Effect::KillsAll {
            cases.push(case(format!("{} stream", fault.name), When::ToTheEnd, &[Kind::Stream]));
        }
        cases.retain(|case| !case.kinds.is_empty());
        cases
    }

    fn together((names, effect, exact): &(&[&str], Effect, bool)) -> Case {
        let faults: Vec<&'static Fault> = names.iter().map(|name| find(name).unwrap()).collect();
        Case {
            name: names.join(" + "),
            faults,
            effect: *effect,
            exact: *exact,
            when: When::Throughout,
            kinds: SINGLE.to_vec(),
        }
    }

    /// Those that every fault hits.
    pub fn families(&self) -> Vec<Family> {
        let hit = |family: &Family| self.faults.iter().all(|fault| fault.families.contains(family));
        Family::ALL.iter().copied().filter(hit).collect()
    }

    /// Runs it in a lab of its own.
    pub fn run(&self) -> Score {
        let mut served = Served::new();
        // A SYN-ACK that dies is not sent again: then each packet that the fault killed was an attempt of ours.
        served.lab.namespace(Role::Server).sysctl("ipv4/tcp_synack_retries", "0").unwrap();
        let witness = Witness::new();
        let done = match self.when {
            When::Throughout => self.throughout(&mut served),
            When::ForAWhile | When::ToTheEnd => self.midway(&mut served),
        };
        let truths = self.faults.iter().map(|fault| served.lab.read_truth(fault).unwrap()).collect();
        judge(&Seen::new(self, &served, &done, truths, &witness))
    }

    fn throughout(&self, served: &mut Served) -> Done {
        self.apply(served);
        // Shorter than the first pause of TCP (1 s): no SYN is sent twice.
        // A neighbour is given up after about 400 ms, and only then do the packets die that waited for it.
        let reasons = || self.faults.iter().filter_map(|fault| fault.expected).flat_map(|e| e.reasons);
        let waits = reasons().any(|reason| *reason == "NEIGH_FAILED");
        let timeout = if waits { "650ms" } else { "300ms" };
        let done = self.start(served, &["--interval", "10ms", "--duration", "300ms", "--timeout", timeout]);
        let done = done.finish();
        self.undo(served);
        done
    }

    fn midway(&self, served: &mut Served) -> Done {
        let counter = match (self.kinds[0], self.families()[0]) {
            (Kind::Icmp, Family::V4) => "Icmp.OutEchos",
            (Kind::Icmp, Family::V6) => "Icmp6OutEchos",
            (Kind::Stream, _) => "Tcp.OutSegs",
            (_, Family::V4) => "Udp.OutDatagrams",
            (_, Family::V6) => "Udp6OutDatagrams",
        };
        let before = served.counter(Role::Client, counter);
        let run = self.start(served, &["--interval", "10ms", "--duration", "1s", "--timeout", "300ms"]);
        wait_until("probes leave", || served.counter(Role::Client, counter) >= before + 15);
        self.apply(served);
        if self.when == When::ToTheEnd {
            let done = run.finish();
            self.undo(served);
            return done;
        }
        // How long it is there. Not all faults let a counter of packets go on.
        std::thread::sleep(Duration::from_millis(350));
        self.undo(served);
        run.finish()
    }

    fn apply(&self, served: &mut Served) {
        self.faults.iter().for_each(|fault| served.lab.apply(fault).unwrap());
    }

    fn undo(&self, served: &mut Served) {
        self.faults.iter().rev().for_each(|fault| served.lab.undo(fault).unwrap());
    }

    fn start(&self, served: &Served, plan: &[&str]) -> crate::common::Run {
        let address = |family: Family| -> IpAddr { if family == Family::V4 { V4 } else { V6 } };
        let addresses: Vec<IpAddr> = self.families().into_iter().map(address).collect();
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(plan.iter().copied()).collect();
        served.start_all(&addresses, &arguments)
    }

    /// The probes, and what else the run must be told.
    fn arguments(&self) -> Vec<String> {
        let own = self.faults.iter().flat_map(|fault| fault.arguments);
        let mut arguments: Vec<String> = own.map(|argument| (*argument).to_owned()).collect();
        for kind in &self.kinds {
            let (option, port) = match kind {
                Kind::Icmp => ("--icmp", None),
                Kind::Udp => ("--udp", Some(UDP)),
                Kind::Tcp => ("--tcp", Some(TCP)),
                Kind::Http => ("--http", Some(HTTP)),
                Kind::Stream => ("--stream", Some(STREAM)),
            };
            if !arguments.iter().any(|argument| argument == option) {
                arguments.push(option.to_owned());
                arguments.extend(port.map(|port| port.to_string()));
            }
        }
        arguments
    }
}

/// Kinds whose attempts are single packets.
const SINGLE: [Kind; 2] = [Kind::Icmp, Kind::Udp];
