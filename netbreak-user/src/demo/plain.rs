//! The lab of plain namespaces: client, router, server.

use anyhow::{Context, Result, bail};

use super::{Breakable, Scene, TCP, UDP, list, play, served::Server};
use crate::{
    clock::{MILLISECOND, Nanos},
    lab::{FAULTS, Fault, Lab, Role, SERVER_V4, find},
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::Kind,
    report::VerdictWord,
    run::Visited,
    serve,
    stdout::write_stdout,
};

const DEFAULT_FAULT: &str = "nft-forward";

const HTTP: u16 = 80;
const STREAM: u16 = 5201;

/// How often each of them visits.
const INTERVAL: Nanos = 10 * MILLISECOND;

const PROBES: &[(Kind, Option<u16>)] = &[
    (Kind::Icmp, None),
    (Kind::Tcp, Some(TCP)),
    (Kind::Http, Some(HTTP)),
    (Kind::Udp, Some(UDP)),
    (Kind::Stream, Some(STREAM)),
];

struct Broken {
    lab: Lab,
    fault: &'static Fault,
}

impl Breakable for Broken {
    fn apply(&mut self) -> Result<()> {
        self.lab.apply(self.fault)
    }

    fn undo(&mut self) -> Result<()> {
        self.lab.undo(self.fault)
    }
}

pub(super) fn run(options: &DemoOptions) -> Result<VerdictWord> {
    if options.list {
        write_stdout(&faults())?;
        return Ok(VerdictWord::Clean);
    }
    let name = options.fault.as_deref().unwrap_or(DEFAULT_FAULT);
    let Some(fault) = find(name).filter(|fault| fault.demo) else {
        bail!("--fault {name}: no such fault; `netbreak demo --list` shows them");
    };
    let files = Files::open(&options.output)?;
    let lab = Lab::new().context("cannot build the lab (`netbreak demo` needs root)")?;
    let mut broken = Broken { lab, fault };
    let lab = &broken.lab;
    let mut config = serve::Config::new(SERVER_V4.into());
    (config.tcp, config.http, config.udp, config.stream) = (vec![TCP], vec![HTTP], vec![UDP], vec![STREAM]);
    let _server = Server::start(lab.namespace(Role::Server), config)?;
    let scene = Scene {
        lab: "client – router – server",
        summary: fault.summary,
        client: Namespace::open(lab.namespace(Role::Client).path())?,
        names: lab.names().map(|(inode, name)| (inode, name.to_owned())).to_vec(),
        targets: vec![Visited::new("server", SERVER_V4)],
        probes: PROBES,
        interval: INTERVAL,
    };
    play(scene, &mut broken, options, files)
}

fn faults() -> String {
    let faults = FAULTS.iter().filter(|fault| fault.demo).map(|fault| (fault.name, fault.summary));
    list(&Vec::from_iter(faults), DEFAULT_FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fault_is_in_the_list() {
        assert!(faults().lines().any(|line| line.starts_with(DEFAULT_FAULT) && line.ends_with("(default)")));
    }
}
