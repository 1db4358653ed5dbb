//! What an event is: how it comes about, how it ends, and what it leaves.

use anyhow::{Result, anyhow};
use rustix::process::Signal;

use super::{Daemon, Kind, OvsLab, flows, topology};
use crate::clock::Nanos;

/// Something that happens to a node with Open vSwitch.
#[derive(Debug)]
pub struct Event {
    /// For `--fault`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// How often a probe of the demo shall visit, so that nothing but the event takes effect.
    pub pace: Nanos,
    /// Where it can happen.
    pub labs: &'static [Kind],
    /// How it comes about.
    pub apply: &'static [Action],
    /// How it ends, as it does on a node: nobody repairs what stays broken.
    pub undo: &'static [Action],
    /// What repairs the rest. Empty if the end leaves nothing broken.
    pub repair: &'static [Action],
}

/// One thing that is done to the lab.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// SIGTERM, and its end.
    Terminate(Daemon),
    /// SIGKILL, and its end.
    Kill(Daemon),
    /// `ovs-appctl exit` with these arguments, and its end.
    Exit(Daemon, &'static [&'static str]),
    /// It runs, and its control socket answers; ovn-controller has begun to fill the switch's tables anew.
    Start(Daemon),
    /// SIGSTOP.
    Stop(Daemon),
    /// SIGCONT.
    Continue(Daemon),
    /// `ip` on the node; arguments are separated by blanks.
    Ip(&'static str),
    /// `ovs-ofctl COMMAND br-int ARGUMENTS`, and its effect on packets.
    OpenFlow(&'static str, &'static [&'static str]),
    /// `ovn0` is up and has its address and its route, whatever it had before.
    ConfigureOvn0,
}

impl Action {
    pub(super) fn run(&self, lab: &mut OvsLab) -> Result<()> {
        match *self {
            Action::Terminate(daemon) => {
                lab.daemons.signal(daemon, Signal::TERM)?;
                lab.daemons.ended(daemon)
            }
            Action::Kill(daemon) => {
                lab.daemons.signal(daemon, Signal::KILL)?;
                lab.daemons.ended(daemon)
            }
            Action::Exit(daemon, arguments) => {
                let control = path(&lab.daemons.control(daemon)?)?;
                let argv = [&["ovs-appctl", "-t", &control, "exit"], arguments].concat();
                lab.node().exec(&argv, "")?;
                lab.daemons.ended(daemon)
            }
            Action::Start(Daemon::Controller) => {
                flows::mark(&lab.daemons, lab.node())?;
                topology::start(lab, Daemon::Controller)?;
                flows::wait_until_renewed(&lab.daemons, lab.node())
            }
            Action::Start(daemon) => topology::start(lab, daemon),
            Action::Stop(daemon) => lab.daemons.signal(daemon, Signal::STOP),
            Action::Continue(daemon) => lab.daemons.signal(daemon, Signal::CONT),
            Action::Ip(arguments) => {
                let argv: Vec<&str> = std::iter::once("ip").chain(arguments.split_whitespace()).collect();
                lab.node().exec(&argv, "").map(drop)
            }
            Action::OpenFlow(command, arguments) => {
                let bridge = format!("unix:{}", path(&lab.directory().join("br-int.mgmt"))?);
                let argv = [&["ovs-ofctl", command, &bridge], arguments].concat();
                lab.node().exec(&argv, "")?;
                // Flows of the datapath stay until they have been looked at; a look may be under way already.
                for _ in 0..2 {
                    lab.daemons.ask(lab.node(), Daemon::Vswitchd, &["revalidator/wait"])?;
                }
                Ok(())
            }
            Action::ConfigureOvn0 => topology::configure_ovn0(lab),
        }
    }
}

fn path(path: &std::path::Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| anyhow!("{} is not UTF-8", path.display()))
}
