//! Ports of Open vSwitch's kernel datapath.

use super::Names;

/// What the devices that the datapath makes are (`internal_dev_link_ops`, net/openvswitch/vport-internal_dev.c): its own
/// (`ovs-system`), one for each bridge, and those that are added as internal ports, such as `ovn0`.
const KIND: &str = "openvswitch";

/// How a device is a port of the kernel datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Another device, of which the datapath takes everything that comes in (`netdev_frame_hook`): a veth, a tunnel, hardware.
    Taken,
    /// An internal port: what the host sends into it comes to the datapath, what the datapath sends there the host receives.
    Internal,
}

/// How a device is a port; `None` if it is none, or not known.
pub fn port(names: &dyn Names, netns: u32, ifindex: u32) -> Option<Port> {
    let device = names.device(netns, ifindex)?;
    let is_made = |kind: Option<&str>| kind == Some(KIND);
    if is_made(device.kind.as_deref()) {
        return Some(Port::Internal);
    }
    // `netdev_master_upper_dev_link` in `ovs_netdev_link`.
    let master = names.device(netns, device.master?)?;
    is_made(master.kind.as_deref()).then_some(Port::Taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        verdict::tests::build::{ROUTER, names},
        watch::Device,
    };

    fn table() -> super::super::tests::build::Table {
        let device = |name: &str, kind: &str, master| Device {
            name: name.to_owned(),
            kind: Some(kind.to_owned()),
            master,
        };
        let mut names = names();
        names.devices = [
            ((ROUTER, 4), device("ovs-system", KIND, None)),
            ((ROUTER, 5), device("ovn0", KIND, None)),
            ((ROUTER, 6), device("p1h", "veth", Some(4))),
            ((ROUTER, 7), device("other", "veth", Some(8))),
            ((ROUTER, 8), device("br0", "bridge", None)),
        ]
        .into();
        names
    }

    #[test]
    fn ports_are_known_by_their_kind_or_their_master() {
        let names = table();
        let found = [5, 6, 7, 8, 9].map(|ifindex| port(&names, ROUTER, ifindex));
        assert_eq!(found, [Some(Port::Internal), Some(Port::Taken), None, None, None]);
    }
}
