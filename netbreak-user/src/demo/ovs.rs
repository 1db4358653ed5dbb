//! The labs with Open vSwitch, alone or under OVN: pod1 visits pod2 and `ovn0`, or the node visits both pods.

use std::net::IpAddr;

use anyhow::{Result, bail};

use super::{Breakable, Scene, TCP, UDP, list, play, served::Server};
use crate::{
    cli::DemoFrom,
    lab::ovs::{Event, Kind as LabKind, OvsLab, POD1, POD2, Place},
    netns::Namespace,
    options::{DemoOptions, Files},
    probe::Kind,
    report::VerdictWord,
    run::Visited,
    serve,
    stdout::write_stdout,
};

const DEFAULT_EVENT: &str = "vswitchd-term";

const PROBES: &[(Kind, Option<u16>)] = &[(Kind::Icmp, None), (Kind::Tcp, Some(TCP)), (Kind::Udp, Some(UDP))];

struct Broken {
    lab: OvsLab,
    event: &'static Event,
}

impl Breakable for Broken {
    fn apply(&mut self) -> Result<()> {
        self.lab.apply(self.event)
    }

    fn undo(&mut self) -> Result<()> {
        self.lab.undo(self.event)
    }
}

pub(super) fn run(options: &DemoOptions, kind: LabKind) -> Result<VerdictWord> {
    if options.list {
        write_stdout(&events(kind))?;
        return Ok(VerdictWord::Clean);
    }
    let name = options.fault.as_deref().unwrap_or(DEFAULT_EVENT);
    let Some(event) = kind.events().find(|event| event.name == name) else {
        let lab = kind.name();
        bail!("--fault {name}: no such fault of this lab; `netbreak demo --lab {lab} --list` shows them");
    };
    let files = Files::open(&options.output)?;
    let mut broken = Broken { lab: OvsLab::new(kind)?, event };
    let lab = &broken.lab;
    let (from, to) = match options.from {
        DemoFrom::Pod1 => (Place::Pod1, [("pod2", Place::Pod2, POD2), ("ovn0", Place::Node, kind.ovn0())]),
        DemoFrom::Node => (Place::Node, [("pod1", Place::Pod1, POD1), ("pod2", Place::Pod2, POD2)]),
    };
    let targets = to.map(|(name, place, address)| (name, place, IpAddr::from(address)));
    let serve = |(_, place, address)| {
        let mut config = serve::Config::new(address);
        (config.tcp, config.udp) = (vec![TCP], vec![UDP]);
        Server::start(lab.namespace(place), config)
    };
    let _servers = targets.into_iter().map(serve).collect::<Result<Vec<_>>>()?;
    let scene = Scene {
        lab: match kind {
            LabKind::Ovs => "pod1, pod2 and ovn0 on br-int (Open vSwitch, userspace datapath)",
            LabKind::Ovn => "pod1, pod2 and ovn0 on br-int (OVN, Open vSwitch's userspace datapath)",
        },
        summary: event.summary,
        client: Namespace::open(lab.namespace(from).path())?,
        names: lab.names().map(|(inode, name)| (inode, name.to_owned())).to_vec(),
        targets: targets.map(|(name, _, address)| Visited::new(name, address)).to_vec(),
        probes: PROBES,
        interval: event.pace,
    };
    play(scene, &mut broken, options, files)
}

fn events(kind: LabKind) -> String {
    list(&Vec::from_iter(kind.events().map(|event| (event.name, event.summary))), DEFAULT_EVENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_event_is_in_both_lists() {
        for kind in [LabKind::Ovs, LabKind::Ovn] {
            let list = events(kind);
            assert!(list.lines().any(|line| line.starts_with(DEFAULT_EVENT) && line.ends_with("(default)")));
        }
    }
}
