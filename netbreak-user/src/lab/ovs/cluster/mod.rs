//! A cluster of two nodes with real OVN to break: kube-ovn's network without Kubernetes.
//!
//! ```text
//! pod1 eth0 – p1h ┐                                                    ┌ p3h – eth0 pod3
//! pod2 eth0 – p2h ┼ br-int – br-phy – eth1 ══ Geneve ══ eth1 – br-phy – br-int
//!            ovn0 ┘                                                    └ ovn0
//!           node1 eth0 ──────────── br0 of the underlay ──────────── eth0 node2
//!                                     └ eth0 outside
//! ```
//! What pods send to nodes and to the world outside leaves the logical router by a node's `ovn0`. Each node has a switch and an
//! ovn-controller of its own; the databases and `ovn-northd` are node1's. All daemons are real, and end with us. Over the kernel's
//! datapath there is no `br-phy`: tunnels end at `eth1` itself.

mod act;
mod central;
mod event;
mod node;
mod plan;
mod ready;
mod rows;
mod setup;
mod underlay;

pub use event::{EVENTS, Event, event};
pub use plan::Place;
pub use rows::{ROWS, Row, SERVER_CONNECT, SERVER_STREAM, SERVERS, Visit};
pub use setup::{PortType, Setup};

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};

use super::daemons::{Daemons, database};
use super::{Daemon, needs};
use crate::lab::LabNamespace;
use event::Step;
use plan::{NODES, NodePlan};

/// Two nodes, three pods and a host outside, connected and ready. Dropping it removes everything.
pub struct Cluster {
    setup: Setup,
    // Dropped in this order: the switches before their devices.
    nodes: [Daemons; 2],
    central: Daemons,
    namespaces: [LabNamespace; 7],
}

/// What is done to each node.
type Work<'a> = &'a (dyn Fn(&mut Daemons, &LabNamespace, &NodePlan) -> Result<()> + Sync);

impl Cluster {
    /// Builds it, and returns when every row is answered. Takes about two seconds over the userspace datapath.
    ///
    /// # Errors
    /// When a program is missing (with the packages to install), without root, or with the step that failed and what it
    /// said.
    pub fn new(setup: Setup) -> Result<Cluster> {
        needs::check_cluster()?;
        Cluster::build(setup).context("cannot build the cluster of two nodes with OVN (which needs root)")
    }

    fn build(setup: Setup) -> Result<Cluster> {
        let namespaces = Place::ALL.map(|place| LabNamespace::new(place.name()));
        let [pod1, pod2, node1, node2, pod3, underlay, outside] = namespaces;
        let namespaces = [pod1?, pod2?, node1?, node2?, pod3?, underlay?, outside?];
        let nodes = [Daemons::new()?, Daemons::new()?];
        let mut cluster = Cluster { setup, nodes, central: Daemons::new()?, namespaces };
        underlay::build(&cluster)?;
        cluster.start_daemons()?;
        cluster.sync()?;
        ready::wait(&cluster)?;
        Ok(cluster)
    }

    fn start_daemons(&mut self) -> Result<()> {
        let south = database(self.central.directory(), Daemon::South);
        let Cluster { setup, nodes, central, namespaces } = self;
        let node1 = &namespaces[Place::Node1 as usize];
        thread::scope(|scope| {
            let central = scope.spawn(|| central::build(central, node1));
            on_each(nodes, namespaces, &|daemons, namespace, plan| {
                node::build(daemons, namespace, plan, (&south, *setup))
            })?;
            joined(central.join())
        })?;
        self.start_controllers()
    }

    /// One of its namespaces.
    pub fn namespace(&self, place: Place) -> &LabNamespace {
        &self.namespaces[place as usize]
    }

    /// Inode numbers and names, for a report that shall call them so.
    pub fn names(&self) -> [(u32, &'static str); 7] {
        Place::ALL.map(|place| (self.namespace(place).inode(), place.name()))
    }

    /// Where the sockets, databases and logs of the daemons are: those of node1, of node2, and of the logical network.
    pub fn directories(&self) -> [&Path; 3] {
        [&self.nodes[0], &self.nodes[1], &self.central].map(Daemons::directory)
    }

    /// The process numbers of all daemons that run.
    pub fn pids(&self) -> Vec<u32> {
        let all = [&self.nodes[0], &self.nodes[1], &self.central];
        all.into_iter().flat_map(Daemons::pids).collect()
    }

    /// Lets an event happen to both nodes, and returns when its last step is done.
    ///
    /// # Errors
    /// With the step that failed.
    pub fn happen(&mut self, event: &Event) -> Result<()> {
        event
            .steps
            .iter()
            .try_for_each(|step| self.step(*step))
            .with_context(|| format!("cannot bring about `{}`", event.name))
    }

    fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Pause(time) => thread::sleep(time),
            Step::Filled => self.sync()?,
            _ => {
                let setup = self.setup;
                on_each(&mut self.nodes, &self.namespaces, &|daemons, namespace, plan| {
                    act::act(step, daemons, namespace, plan, setup)
                })?;
            }
        }
        Ok(())
    }

    fn start_controllers(&mut self) -> Result<()> {
        on_each(&mut self.nodes, &self.namespaces, &|daemons, namespace, _| {
            daemons.start(Daemon::Controller, namespace)
        })
    }

    /// Returns when the logical network is in both switches.
    fn sync(&mut self) -> Result<()> {
        let synced = self.central.sync(&self.namespaces[Place::Node1 as usize]);
        self.nodes.iter_mut().chain([&mut self.central]).try_for_each(Daemons::all_run)?;
        synced
    }
}

/// Does `work` on both nodes at the same time.
fn on_each(nodes: &mut [Daemons; 2], namespaces: &[LabNamespace; 7], work: Work<'_>) -> Result<()> {
    thread::scope(|scope| {
        let started = nodes.iter_mut().zip(&NODES).map(|(daemons, plan)| {
            scope.spawn(move || work(daemons, &namespaces[plan.place as usize], plan))
        });
        // All of them, before the first is waited for.
        let started = Vec::from_iter(started);
        let outcomes = Vec::from_iter(started.into_iter().map(|thread| joined(thread.join())));
        outcomes.into_iter().collect()
    })
}

fn joined(outcome: thread::Result<Result<()>>) -> Result<()> {
    outcome.unwrap_or_else(|_| bail!("a thread that works on a node panicked"))
}
