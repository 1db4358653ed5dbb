//! A node with Open vSwitch to break: two pods and `ovn0` on a bridge, alone or under OVN; by default over the userspace datapath.
//!
//! ```text
//! pod1 eth0 – p1h ┐
//!                 ├ br-int (ovs-vswitchd) – ovn0 of the node
//! pod2 eth0 – p2h ┘
//! ```
//! The daemons are real, have a run directory of their own, and end with us, whatever ends us.

mod buffers;
pub mod cluster;
mod daemons;
mod databases;
mod datapath;
mod directory;
mod event;
mod events;
mod flows;
mod needs;
mod parent;
mod pod;
mod topology;

pub use daemons::Daemon;
pub use datapath::Datapath;
pub use event::{Action, Event};
pub use events::EVENTS;
pub use needs::{cluster_programs, programs};
pub use topology::{POD1, POD2};

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result};

use super::LabNamespace;
use daemons::Daemons;

/// Who programs the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody: it is a learning switch, and `ovn0` is in the pods' subnet.
    Ovs,
    /// OVN: a logical switch of the pods, a router, and a join network with `ovn0`, as in kube-ovn.
    Ovn,
}

impl Kind {
    /// For `--lab`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ovs => "ovs",
            Kind::Ovn => "ovn",
        }
    }

    /// The address of `ovn0`.
    pub fn ovn0(self) -> Ipv4Addr {
        match self {
            Kind::Ovs => Ipv4Addr::new(10, 16, 0, 1),
            Kind::Ovn => Ipv4Addr::new(100, 64, 0, 2),
        }
    }

    /// What can happen in this lab, in the order of `netbreak demo --list`.
    pub fn events(self) -> impl Iterator<Item = &'static Event> {
        EVENTS.iter().filter(move |event| event.labs.contains(&self))
    }
}

/// One of the lab's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Sends the probes. Its device is `eth0`.
    Pod1,
    /// Has the switch with the ports `p1h` and `p2h`, the daemons, and `ovn0`.
    Node,
    /// Answers them. Its device is `eth0`.
    Pod2,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 3] = [Place::Pod1, Place::Node, Place::Pod2];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Place::Pod1 => "pod1",
            Place::Node => "node",
            Place::Pod2 => "pod2",
        }
    }
}

/// Two pods and a node with Open vSwitch, connected and ready. Dropping it removes everything.
pub struct OvsLab {
    kind: Kind,
    datapath: Datapath,
    // Dropped in this order: the switch before its devices.
    daemons: Daemons,
    namespaces: [LabNamespace; 3],
}

impl OvsLab {
    /// Builds it over the userspace datapath, and returns when pod1 hears pod2 and `ovn0`. Takes a quarter of a second,
    /// with OVN a second or two.
    ///
    /// # Errors
    /// As [`OvsLab::over`].
    pub fn new(kind: Kind) -> Result<OvsLab> {
        OvsLab::over(kind, Datapath::Userspace)
    }

    /// The same over a datapath of choice.
    ///
    /// # Errors
    /// When a program is missing (with the packages to install), without root, or with the step that failed and what it
    /// said.
    pub fn over(kind: Kind, datapath: Datapath) -> Result<OvsLab> {
        needs::check(kind)?;
        OvsLab::build(kind, datapath)
            .with_context(|| format!("cannot build the lab `{}` (which needs root)", kind.name()))
    }

    fn build(kind: Kind, datapath: Datapath) -> Result<OvsLab> {
        let [pod1, node, pod2] = Place::ALL.map(|place| LabNamespace::new(place.name()));
        let mut lab = OvsLab { kind, datapath, daemons: Daemons::new()?, namespaces: [pod1?, node?, pod2?] };
        topology::build(&mut lab)?;
        Ok(lab)
    }

    /// Who programs its switch.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// One of its namespaces.
    pub fn namespace(&self, place: Place) -> &LabNamespace {
        &self.namespaces[place as usize]
    }

    /// Inode numbers and names, for a report that shall call them so.
    pub fn names(&self) -> [(u32, &'static str); 3] {
        Place::ALL.map(|place| (self.namespace(place).inode(), place.name()))
    }

    /// Where the sockets, databases and logs of its daemons are.
    pub fn directory(&self) -> &Path {
        self.daemons.directory()
    }

    /// The process number of a daemon; `None` if it does not run, by an event or because this lab has none.
    pub fn pid(&self, daemon: Daemon) -> Option<u32> {
        self.daemons.pid(daemon)
    }

    /// Lets an event happen. If a step fails the earlier ones are undone.
    ///
    /// # Errors
    /// With the step that failed.
    pub fn apply(&mut self, event: &Event) -> Result<()> {
        let outcome = self.act(event.apply);
        if outcome.is_err() {
            // The reason is the step that failed; an undo that fails because its step never ran adds nothing.
            event.undo.iter().for_each(|action| drop(action.run(self)));
        }
        outcome.with_context(|| format!("cannot bring about `{}`", event.name))
    }

    /// Ends it: what stopped runs again. What the event itself leaves broken stays so until [`OvsLab::repair`].
    ///
    /// # Errors
    /// With the step that failed.
    pub fn undo(&mut self, event: &Event) -> Result<()> {
        self.act(event.undo).with_context(|| format!("cannot undo `{}`", event.name))
    }

    /// Repairs what the event left broken after its end.
    ///
    /// # Errors
    /// With the step that failed.
    pub fn repair(&mut self, event: &Event) -> Result<()> {
        self.act(event.repair).with_context(|| format!("cannot repair what `{}` left", event.name))
    }

    fn act(&mut self, actions: &[Action]) -> Result<()> {
        actions.iter().try_for_each(|action| action.run(self))
    }

    fn node(&self) -> &LabNamespace {
        self.namespace(Place::Node)
    }
}
