//! A pod: its end of a veth pair, and its port on the node.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::Datapath;
use crate::lab::LabNamespace;

/// As small as a tunnel would leave it.
pub(super) const MTU: u32 = 1400;

/// Only what is sent on purpose shall be on the wire.
const QUIET: [(&str, &str); 2] =
    [("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1")];

/// A namespace without IPv6, and with a loopback device that is up.
pub(super) fn settle(namespace: &LabNamespace) -> Result<()> {
    namespace.sysctls(&QUIET)?;
    namespace.exec(&["ip", "link", "set", "lo", "up"], "").map(drop)
}

/// Connects `pod` by its `eth0` to the `port` of `node`. The userspace datapath does not complete TCP checksums that a pod
/// leaves to the device: so the pod's does not offer to.
pub(super) fn connect(
    node: &LabNamespace,
    port: &str,
    pod: &LabNamespace,
    address: Ipv4Addr,
    mac: &str,
    datapath: Datapath,
) -> Result<()> {
    let pair = format!(
        "link add {port} type veth peer name eth0 address {mac} netns {}\nlink set {port} up\n",
        pod.pid()
    );
    node.exec(&["ip", "-batch", "-"], &pair)?;
    if datapath == Datapath::Userspace {
        pod.exec(&["ethtool", "-K", "eth0", "tx", "off"], "")?;
    }
    let inside = format!(
        "link set eth0 mtu {MTU}\naddress add {address}/16 dev eth0\nlink set eth0 up\n\
         route add default via 10.16.0.1\n"
    );
    pod.exec(&["ip", "-batch", "-"], &inside).map(drop)
}
