//! How the steps of an event are done to a node.

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::event::{Manner, Step};
use super::node;
use super::plan::NodePlan;
use super::setup::Setup;
use crate::lab::LabNamespace;
use crate::lab::ovs::Daemon::{self, Vswitchd};
use crate::lab::ovs::{daemons::Daemons, flows};

/// Does what a step does to one node.
pub(super) fn act(
    step: Step,
    daemons: &mut Daemons,
    namespace: &LabNamespace,
    node: &NodePlan,
    setup: Setup,
) -> Result<()> {
    match step {
        Step::End(daemon, manner) => end(daemons, namespace, daemon, manner),
        Step::Start(Vswitchd) => node::restart(daemons, namespace, setup.datapath),
        Step::Start(daemon) => daemons.start(daemon, namespace),
        Step::Configure(words) => daemons.configure(namespace, &Vec::from_iter(words.split(' '))),
        Step::SaveFlows => flows::save(daemons, namespace),
        Step::RestoreFlows => flows::restore(daemons, namespace),
        Step::Ip(commands) => namespace.exec(&["ip", "-batch", "-"], &commands(node)).map(drop),
        Step::RemoveTunnel => remove_tunnel(daemons, namespace),
        Step::ForgetConnections => daemons.ask(namespace, Vswitchd, &["dpctl/flush-conntrack"]).map(drop),
        Step::Sysctl(key, value) => namespace.sysctl(key, value),
        // The whole cluster's business.
        Step::Pause(_) | Step::Filled => Ok(()),
    }
}

/// Ends a daemon, and waits until it has ended.
pub(super) fn end(
    daemons: &mut Daemons,
    namespace: &LabNamespace,
    daemon: Daemon,
    manner: Manner,
) -> Result<()> {
    match manner {
        Manner::Asked => daemons.ask(namespace, daemon, &["exit"]).map(drop)?,
        Manner::Terminated => daemons.signal(daemon, Signal::TERM)?,
        Manner::Killed => daemons.signal(daemon, Signal::KILL)?,
    }
    daemons.ended(daemon)
}

fn remove_tunnel(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    let found = daemons.read(namespace, &["--bare", "--columns=name", "find", "interface", "type=geneve"])?;
    let port = found.split_whitespace().next().context("the switch has no tunnel")?;
    daemons.vsctl(namespace, &["del-port", "br-int", port])
}
