//! What is run: one fault or several, and which probes while they are there.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use netbreak_user::lab::{Effect, Family, Fault, Role, Service};
use netbreak_user::probe::Kind;

use super::foreign::Foreign;
use super::judge::{Score, judge};
use super::seen::Seen;
use crate::common::{Done, HTTP, PATIENCE, STREAM, Served, TCP, UDP, V4, V6, Witness, wait_until};

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
    /// What befalls others meanwhile, who have the same addresses and ports elsewhere on this node.
    pub foreign: Option<&'static Fault>,
}

/// How long faults are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From before the first attempt to after the last.
    Throughout,
    /// They come and go during the run.
    ForAWhile,
    /// The same, but what TCP sends again after them comes after the run.
    ForLong,
    /// They come during the run, and stay.
    ToTheEnd,
}

/// How fast attempts leave, and how long they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// On the processor itself.
    Native,
    /// On one that is emulated, some twenty times slower.
    Emulated,
}

impl Pace {
    /// Thirty attempts of a probe.
    fn plan(self) -> [&'static str; 4] {
        match self {
            Pace::Native => ["--interval", "10ms", "--duration", "300ms"],
            Pace::Emulated => ["--interval", "50ms", "--duration", "1500ms"],
        }
    }
}

impl Case {
    /// Those that every fault hits.
    pub fn families(&self) -> Vec<Family> {
        let hit = |family: &Family| self.faults.iter().all(|fault| fault.families.contains(family));
        Family::ALL.iter().copied().filter(hit).collect()
    }

    /// Runs it in a lab of its own.
    pub fn run(&self, pace: Pace) -> Score {
        let mut served = Served::new();
        // A SYN-ACK that dies is not sent again: then each packet that the fault killed was an attempt of ours.
        served.lab.namespace(Role::Server).sysctl("ipv4/tcp_synack_retries", "0").unwrap();
        let foreign = self.foreign.map(|fault| Foreign::beside(&served, fault));
        let witness = Witness::new();
        let done = match self.when {
            When::Throughout => self.throughout(&mut served, pace),
            When::ForAWhile | When::ForLong | When::ToTheEnd => self.midway(&mut served),
        };
        let truths = self.faults.iter().map(|fault| served.lab.read_truth(fault).unwrap()).collect();
        let foreign = foreign.map(Foreign::end);
        let score = judge(&Seen::new(self, &served, &done, truths, foreign, &witness));
        // Out of a guest nothing else comes.
        if let Some(out) = std::env::var_os("NETBREAK_OUT").filter(|_| !score.complaints.is_empty()) {
            let report = serde_json::to_string(&done.report).unwrap();
            std::fs::write(Path::new(&out).join(format!("{}.json", self.name)), report).unwrap();
        }
        score
    }

    fn throughout(&self, served: &mut Served, pace: Pace) -> Done {
        self.faults.iter().for_each(|fault| served.lab.apply(fault).unwrap());
        let plan = [&pace.plan()[..], &["--timeout", self.timeout(pace)]].concat();
        let done = self.start(served, &plan).finish();
        self.faults.iter().rev().for_each(|fault| served.lab.undo(fault).unwrap());
        done
    }

    /// Shorter than the first pause of TCP (1 s): no SYN is sent twice.
    fn timeout(&self, pace: Pace) -> &'static str {
        // A neighbour is given up after about 400 ms, and only then do the packets die that waited for it.
        let reasons = || self.faults.iter().filter_map(|fault| fault.expected).flat_map(|e| e.reasons);
        let waits = || reasons().any(|reason| *reason == "NEIGH_FAILED");
        match self.effect {
            // Nothing is to time out, however busy the machine is.
            Effect::Spares => "2s",
            _ if waits() || pace == Pace::Emulated => "650ms",
            _ => "300ms",
        }
    }

    /// Faults that come and go during the run. What they break is there before, if it is not all there is.
    fn midway(&self, served: &mut Served) -> Done {
        let counter = match (self.kinds[0], self.families()[0]) {
            (Kind::Icmp, Family::V4) => "Icmp.OutEchos",
            (Kind::Icmp, Family::V6) => "Icmp6OutEchos",
            (Kind::Stream, _) => "Tcp.OutSegs",
            (_, Family::V4) => "Udp.OutDatagrams",
            (_, Family::V6) => "Udp6OutDatagrams",
        };
        let (around, faults): (Vec<_>, Vec<_>) = self
            .faults
            .iter()
            .copied()
            .partition(|fault| fault.effect == Effect::Spares && self.faults.len() > 1);
        around.iter().for_each(|fault| served.lab.apply(fault).unwrap());
        let leave = |served: &Served, number| {
            let before = served.counter(Role::Client, counter);
            wait_until(PATIENCE, "probes leave", || served.counter(Role::Client, counter) >= before + number);
        };
        // Far longer than it takes: it is interrupted.
        let plan = ["--interval", "10ms", "--duration", "5m", "--timeout", self.timeout(Pace::Native)];
        let run = self.start(served, &plan);
        leave(served, 15);
        faults.iter().for_each(|fault| served.lab.apply(fault).unwrap());
        // How long it is there. Not all faults let a counter of packets go on.
        let long = self.when != When::ForAWhile;
        std::thread::sleep(Duration::from_millis(if long { 850 } else { 350 }));
        let undo =
            |served: &mut Served| faults.iter().rev().for_each(|fault| served.lab.undo(fault).unwrap());
        let done = if self.when == When::ToTheEnd {
            let done = run.interrupt();
            undo(served);
            done
        } else {
            undo(served);
            if self.when == When::ForAWhile {
                leave(served, 50);
            }
            run.interrupt()
        };
        around.iter().rev().for_each(|fault| served.lab.undo(fault).unwrap());
        done
    }

    /// Whom the probes visit if it is not the server itself.
    fn service(&self) -> Option<&'static Service> {
        self.faults.iter().find_map(|fault| fault.service)
    }

    fn start(&self, served: &Served, plan: &[&str]) -> crate::common::Run {
        let service = self.service();
        let address = |family: Family| match (family, service) {
            (Family::V4, None) => V4,
            (Family::V6, None) => V6,
            (Family::V4, Some(service)) => service.v4.into(),
            (Family::V6, Some(service)) => service.v6.into(),
        };
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
                Kind::Https => ("--https", Some(HTTP)),
                Kind::Stream => ("--stream", Some(STREAM)),
            };
            if !arguments.iter().any(|argument| argument == option) {
                arguments.push(option.to_owned());
                let visited = |port| self.service().map_or(Some(port), |service| service.port(port)).unwrap();
                arguments.extend(port.map(|port| visited(port).to_string()));
            }
        }
        arguments
    }
}
