//! How the switch, the pods and the logical network of the lab are connected.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::daemons::database;
use super::{Daemon, Kind, OvsLab, Place};
use crate::lab::topology::reach;

/// pod1's address.
pub const POD1: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 11);
/// pod2's address.
pub const POD2: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 12);

/// Only what is sent on purpose shall be on the wire.
const QUIET: [(&str, &str); 2] =
    [("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1")];

/// A port's packets reach the node's own stack as well, which shall not answer for ovn0 instead of the switch.
const NO_ANSWERS: (&str, &str) = ("ipv4/conf/all/arp_ignore", "1");

/// As small as a tunnel would leave it.
const MTU: u32 = 1400;

const OVN0_MAC: &str = "00:00:00:bb:00:01";

/// OVN's network, as kube-ovn makes it: a command a line. The pods' subnet, the join network and the router between.
const NETWORK: &str = "\
lr-add ovn-cluster
ls-add ovn-default
ls-add join
lrp-add ovn-cluster ovn-cluster-ovn-default 00:00:00:aa:00:01 10.16.0.1/16
lsp-add ovn-default ovn-default-ovn-cluster
lsp-set-type ovn-default-ovn-cluster router
lsp-set-addresses ovn-default-ovn-cluster router
lsp-set-options ovn-default-ovn-cluster router-port=ovn-cluster-ovn-default
lrp-add ovn-cluster ovn-cluster-join 00:00:00:aa:00:02 100.64.0.1/16
lsp-add join join-ovn-cluster
lsp-set-type join-ovn-cluster router
lsp-set-addresses join-ovn-cluster router
lsp-set-options join-ovn-cluster router-port=ovn-cluster-join
lsp-add join ovn0
lsp-add ovn-default pod1
lsp-add ovn-default pod2
";

/// Logical port, link address and address.
const PORTS: [(&str, &str, Option<Ipv4Addr>); 3] = [
    ("pod1", "00:00:00:cc:00:01", Some(POD1)),
    ("pod2", "00:00:00:cc:00:02", Some(POD2)),
    // Its address is the lab's.
    ("ovn0", OVN0_MAC, None),
];

/// Connects everything and waits until pod1 hears pod2 and the node.
pub(super) fn build(lab: &mut OvsLab) -> Result<()> {
    for place in Place::ALL {
        lab.namespace(place).sysctls(&QUIET)?;
        lab.namespace(place).exec(&["ip", "link", "set", "lo", "up"], "")?;
    }
    lab.node().sysctls(&[NO_ANSWERS])?;
    pod(lab, Place::Pod1, "p1h", POD1, PORTS[0].1)?;
    pod(lab, Place::Pod2, "p2h", POD2, PORTS[1].1)?;
    create(lab, Daemon::Config, "/usr/share/openvswitch/vswitch.ovsschema")?;
    start(lab, Daemon::Config)?;
    start(lab, Daemon::Vswitchd)?;
    let mut switch = vec!["init"];
    let remote = format!("external-ids:ovn-remote={}", database(lab.directory(), Daemon::South));
    if lab.kind == Kind::Ovn {
        switch.extend(OVN_IDS.split_whitespace());
        switch.push(&remote);
    }
    switch.extend(BRIDGE.split_whitespace());
    vsctl(lab, &switch)?;
    configure_ovn0(lab)?;
    if lab.kind == Kind::Ovn {
        program(lab)?;
    }
    let [pod1, node, pod2] = Place::ALL.map(|place| lab.namespace(place));
    reach((pod1, POD1.into()), (pod2, POD2.into()))?;
    reach((pod1, POD1.into()), (node, lab.kind.ovn0().into()))
}

/// What ovn-controller reads from the switch's configuration.
const OVN_IDS: &str = "\
-- set open . external-ids:system-id=node external-ids:hostname=node external-ids:ovn-encap-type=geneve \
external-ids:ovn-encap-ip=127.0.0.1 external-ids:ovn-bridge=br-int external-ids:ovn-bridge-datapath-type=netdev";

/// Without a controller it is a learning switch: so it is under OVN, too, until ovn-controller makes it `secure`.
const BRIDGE: &str = "\
-- add-br br-int -- set bridge br-int datapath_type=netdev \
-- add-port br-int p1h -- set interface p1h external-ids:iface-id=pod1 \
-- add-port br-int p2h -- set interface p2h external-ids:iface-id=pod2 \
-- add-port br-int ovn0 -- set interface ovn0 type=internal mac=\"00:00:00:bb:00:01\" \
external-ids:iface-id=ovn0";

/// A pod, and its port on the node. The userspace datapath does not complete TCP checksums that a pod leaves to the
/// device: so the pod's does not offer to.
fn pod(lab: &OvsLab, place: Place, port: &str, address: Ipv4Addr, mac: &str) -> Result<()> {
    let pod = lab.namespace(place);
    let pair = format!(
        "link add {port} type veth peer name eth0 address {mac} netns {}\nlink set {port} up\n",
        pod.pid()
    );
    lab.node().exec(&["ip", "-batch", "-"], &pair)?;
    pod.exec(&["ethtool", "-K", "eth0", "tx", "off"], "")?;
    let inside = format!(
        "link set eth0 mtu {MTU}\naddress add {address}/16 dev eth0\nlink set eth0 up\n\
         route add default via 10.16.0.1\n"
    );
    pod.exec(&["ip", "-batch", "-"], &inside).map(drop)
}

/// `ovn0` as it must be, whatever it was before.
pub(super) fn configure_ovn0(lab: &OvsLab) -> Result<()> {
    let mut commands = format!(
        "link set ovn0 mtu {MTU}\naddress replace {}/16 dev ovn0\nlink set ovn0 up\n",
        lab.kind.ovn0()
    );
    if lab.kind == Kind::Ovn {
        commands += "route replace 10.16.0.0/16 via 100.64.0.1 dev ovn0 src 100.64.0.2\n";
    }
    lab.node().exec(&["ip", "-batch", "-"], &commands).map(drop)
}

/// Starts OVN and returns when the flows of its network are in the switch.
fn program(lab: &mut OvsLab) -> Result<()> {
    create(lab, Daemon::North, "/usr/share/ovn/ovn-nb.ovsschema")?;
    create(lab, Daemon::South, "/usr/share/ovn/ovn-sb.ovsschema")?;
    for daemon in [Daemon::North, Daemon::South, Daemon::Northd] {
        start(lab, daemon)?;
    }
    let addresses =
        PORTS.map(|(_, mac, address)| format!("{mac} {}", address.unwrap_or_else(|| lab.kind.ovn0())));
    let mut network: Vec<&str> = NETWORK.lines().flat_map(|line| line.split(' ').chain(["--"])).collect();
    for ((port, ..), addresses) in PORTS.iter().zip(&addresses) {
        network.extend(["lsp-set-addresses", port, addresses, "--"]);
    }
    network.pop();
    // ovn-controller dies of a database without the row SB_Global, which ovn-northd writes (`pflow_output_get_debug` in
    // controller/ovn-controller.c): so the row is there first.
    let made = nbctl(lab, &[&["--wait=sb"], &network[..]].concat());
    lab.daemons.all_run()?;
    made?;
    start(lab, Daemon::Controller)?;
    let programmed = nbctl(lab, &["--wait=hv", "sync"]).context("OVN does not come up");
    lab.daemons.all_run()?;
    programmed
}

fn start(lab: &mut OvsLab, daemon: Daemon) -> Result<()> {
    super::Action::Start(daemon).run(lab)
}

fn create(lab: &OvsLab, server: Daemon, schema: &str) -> Result<()> {
    let file = lab.directory().join(format!("{}.db", server.stem())).display().to_string();
    lab.node().exec(&["ovsdb-tool", "create", &file, schema], "").map(drop)
}

/// Returns when ovs-vswitchd has done it.
fn vsctl(lab: &OvsLab, arguments: &[&str]) -> Result<()> {
    control(lab, "ovs-vsctl", Daemon::Config, arguments)
}

fn nbctl(lab: &OvsLab, arguments: &[&str]) -> Result<()> {
    control(lab, "ovn-nbctl", Daemon::North, arguments)
}

fn control(lab: &OvsLab, program: &str, server: Daemon, arguments: &[&str]) -> Result<()> {
    let database = format!("--db={}", database(lab.directory(), server));
    let argv = [&[program, &database, "--timeout=30"], arguments].concat();
    lab.node().exec(&argv, "").map(drop)
}
