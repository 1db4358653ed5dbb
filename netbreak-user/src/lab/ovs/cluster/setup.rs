//! How a cluster is built.

use crate::lab::ovs::Datapath;

/// What may differ between clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// What carries the packets of both switches.
    pub datapath: Datapath,
    /// What `ovn0` is on both nodes.
    pub ovn0: PortType,
}

impl Setup {
    /// As kube-ovn has it, over this datapath.
    pub fn new(datapath: Datapath) -> Setup {
        Setup { datapath, ovn0: PortType::Internal }
    }
}

/// What kind of device `ovn0` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortType {
    /// An internal port of the switch, as kube-ovn makes it.
    Internal,
    /// One end of a veth pair; the other one is a port of the switch.
    Veth,
}

impl PortType {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            PortType::Internal => "internal",
            PortType::Veth => "veth",
        }
    }
}
