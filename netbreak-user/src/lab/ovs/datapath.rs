//! What carries the packets of a switch.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::clock::{self, SECOND};

/// One of Open vSwitch's datapaths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Datapath {
    /// `ovs-vswitchd` itself: its internal ports are TAP devices.
    Userspace,
    /// The kernel's module `openvswitch`: its internal ports are devices of their own kind.
    Kernel,
}

impl Datapath {
    /// The kernel's if this kernel has it, loaded or built in.
    pub fn of_this_kernel() -> Datapath {
        match Path::new("/sys/module/openvswitch").exists() {
            true => Datapath::Kernel,
            false => Datapath::Userspace,
        }
    }

    /// What Open vSwitch calls it: `datapath_type` of a bridge.
    pub fn name(self) -> &'static str {
        match self {
            Datapath::Userspace => "netdev",
            Datapath::Kernel => "system",
        }
    }
}

/// Waits until the machine has run for ten seconds: before, `ovs-vswitchd` of Open vSwitch 3.1 finds no processor
/// (`count_cpu_cores` of lib/ovs-thread.c) and starts no thread that answers the kernel's questions.
pub(super) fn wait_for_processors() {
    sleep(Duration::from_nanos((10 * SECOND).saturating_sub(clock::now())));
}
