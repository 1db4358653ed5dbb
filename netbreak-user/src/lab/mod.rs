//! A disposable network to break: client – router – server in namespaces of their own.
//!
//! Nothing has a name on the machine: each namespace lives in a process that waits for the end of our pipe, so it
//! vanishes with us, whatever ends us, and the veth pairs, routes, rules and queues in it vanish too.

mod fault;
mod faults;
mod geneve;
mod mirror;
mod namespace;
pub mod ovs;
mod sockets;
mod step;
mod topology;
mod truth;
mod xdp;

pub use fault::{Effect, Expected, Family, Fault, Need, Service, Truth};
pub use faults::{FAULTS, IN_GUESTS, INSIDE, find};
pub use namespace::{Guard, LabNamespace};
pub use step::{Step, XdpMode};
pub use topology::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::Output;

use anyhow::{Context, Result};

/// One of the lab's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the probes. Its device is `c0`.
    Client,
    /// Forwards between `r0` (client's side) and `r1` (server's side).
    Router,
    /// Answers them. Its device is `s0`.
    Server,
}

impl Role {
    /// In the order of a request's way.
    pub const ALL: [Role; 3] = [Role::Client, Role::Router, Role::Server];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Router => "router",
            Role::Server => "server",
        }
    }
}

/// Client, router and server, connected and ready. Dropping it removes everything.
pub struct Lab {
    namespaces: [LabNamespace; 3],
    /// What faults opened inside it: sockets, and links of programs.
    open: Vec<OwnedFd>,
    /// Datagrams of our own that a step of the current fault had refused.
    refused: u64,
    /// What the counters of each fault said before anything died of it, by its name.
    baselines: HashMap<&'static str, u64>,
}

impl Lab {
    /// Builds it, and returns when the server answers the client over IPv4 and IPv6. Takes less than 0.2 s.
    /// Needs root and iproute2; the error says which command failed and what it said.
    pub fn new() -> Result<Lab> {
        let [client, router, server] = Role::ALL.map(|role| LabNamespace::new(role.name()));
        let namespaces = [client?, router?, server?];
        let lab = Lab { namespaces, open: Vec::new(), refused: 0, baselines: HashMap::new() };
        topology::build(&lab).context("cannot build the lab")?;
        Ok(lab)
    }

    /// One of its namespaces.
    pub fn namespace(&self, role: Role) -> &LabNamespace {
        &self.namespaces[role as usize]
    }

    /// Inode numbers and names, for a report that shall call them so.
    pub fn names(&self) -> [(u32, &'static str); 3] {
        Role::ALL.map(|role| (self.namespace(role).inode(), role.name()))
    }

    /// Runs a command in a namespace, waits for it, and fails with its words if it does.
    pub fn exec(&self, role: Role, argv: &[&str]) -> Result<Output> {
        self.namespace(role).exec(argv, "")
    }

    /// Runs `ip` in a namespace; arguments are separated by blanks.
    pub fn ip(&self, role: Role, arguments: &str) -> Result<()> {
        self.words(role, "ip", arguments)
    }

    /// Runs `tc` in a namespace; arguments are separated by blanks.
    pub fn tc(&self, role: Role, arguments: &str) -> Result<()> {
        self.words(role, "tc", arguments)
    }

    /// Loads nftables rules in a namespace, all or none of them.
    pub fn nft(&self, role: Role, ruleset: &str) -> Result<()> {
        self.namespace(role).exec(&["nft", "-f", "-"], ruleset).map(drop)
    }

    /// Starts a program in a namespace; it is killed when the guard is dropped.
    pub fn spawn(&self, role: Role, argv: &[&str]) -> Result<Guard> {
        self.namespace(role).spawn(argv)
    }

    /// Brings a fault about. If a step fails the earlier ones are undone.
    pub fn apply(&mut self, fault: &Fault) -> Result<()> {
        let counted = match fault.truth {
            Truth::Snmp(role, names) => truth::snmp(self, role, names)?,
            _ => 0,
        };
        self.refused = 0;
        let outcome = fault.apply.iter().try_for_each(|step| step.run(self));
        if outcome.is_err() {
            // The reason is the step that failed; an undo that fails because its step never ran adds nothing.
            fault.undo.iter().for_each(|step| drop(step.run(self)));
        }
        self.baselines.insert(fault.name, counted + self.refused);
        outcome.with_context(|| format!("cannot bring about the fault `{}`", fault.name))
    }

    /// Takes a fault away again.
    pub fn undo(&mut self, fault: &Fault) -> Result<()> {
        let outcome = fault.undo.iter().try_for_each(|step| step.run(self));
        outcome.with_context(|| format!("cannot undo the fault `{}`", fault.name))
    }

    /// How many packets have died of `fault` since it was brought about, by the kernel's own count. `None` where the kernel
    /// has none: then it is every packet of the fault's leg that was sent meanwhile. Final once the fault is undone, and
    /// readable until the next one.
    pub fn read_truth(&self, fault: &Fault) -> Result<Option<u64>> {
        let baseline = self.baselines.get(fault.name).copied().unwrap_or(0);
        truth::read(self, fault.truth, baseline)
            .with_context(|| format!("cannot read the truth about `{}`", fault.name))
    }

    fn words(&self, role: Role, program: &str, arguments: &str) -> Result<()> {
        let argv: Vec<&str> = std::iter::once(program).chain(arguments.split_whitespace()).collect();
        self.exec(role, &argv).map(drop)
    }
}
