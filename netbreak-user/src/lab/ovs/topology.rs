//! How the switch, the pods and the logical network of the lab are connected.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::daemons::database;
use super::databases::{Commands, NETWORK, ovn_ids};
use super::pod::{self, MTU};
use super::{Daemon, Kind, OvsLab, Place};
use crate::lab::topology::reach;

/// pod1's address.
pub const POD1: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 11);
/// pod2's address.
pub const POD2: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 12);

/// A port's packets reach the node's own stack as well, which shall not answer for ovn0 instead of the switch.
const NO_ANSWERS: (&str, &str) = ("ipv4/conf/all/arp_ignore", "1");

const OVN0_MAC: &str = "00:00:00:bb:00:01";

const POD1_MAC: &str = "00:00:00:cc:00:01";
const POD2_MAC: &str = "00:00:00:cc:00:02";

/// Connects everything and waits until pod1 hears pod2 and the node.
pub(super) fn build(lab: &mut OvsLab) -> Result<()> {
    for place in Place::ALL {
        pod::settle(lab.namespace(place))?;
    }
    lab.node().sysctls(&[NO_ANSWERS])?;
    pod::connect(lab.node(), "p1h", lab.namespace(Place::Pod1), POD1, POD1_MAC, lab.datapath)?;
    pod::connect(lab.node(), "p2h", lab.namespace(Place::Pod2), POD2, POD2_MAC, lab.datapath)?;
    create(lab, Daemon::Config)?;
    start(lab, Daemon::Config)?;
    start(lab, Daemon::Vswitchd)?;
    let mut switch = vec!["init"];
    let ids = ovn_ids("node", &database(lab.directory(), Daemon::South), Ipv4Addr::LOCALHOST, lab.datapath);
    if lab.kind == Kind::Ovn {
        switch.extend(ids.iter().map(String::as_str));
    }
    let datapath = format!("datapath_type={}", lab.datapath.name());
    switch.extend(["--", "add-br", "br-int", "--", "set", "bridge", "br-int", &datapath]);
    switch.extend(PORTS.split_whitespace());
    lab.daemons.vsctl(lab.node(), &switch)?;
    configure_ovn0(lab)?;
    if lab.kind == Kind::Ovn {
        program(lab)?;
    }
    let [pod1, node, pod2] = Place::ALL.map(|place| lab.namespace(place));
    reach((pod1, POD1.into()), (pod2, POD2.into()))?;
    reach((pod1, POD1.into()), (node, lab.kind.ovn0().into()))
}

/// Without a controller it is a learning switch: so it is under OVN, too, until ovn-controller makes it `secure`.
const PORTS: &str = "\
-- add-port br-int p1h -- set interface p1h external-ids:iface-id=pod1 \
-- add-port br-int p2h -- set interface p2h external-ids:iface-id=pod2 \
-- add-port br-int ovn0 -- set interface ovn0 type=internal mac=\"00:00:00:bb:00:01\" \
external-ids:iface-id=ovn0";

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
    create(lab, Daemon::North)?;
    create(lab, Daemon::South)?;
    for daemon in [Daemon::North, Daemon::South, Daemon::Northd] {
        start(lab, daemon)?;
    }
    let mut network = Commands::default();
    network.add_lines(NETWORK);
    network.add_port("ovn-default", "pod1", POD1_MAC, POD1);
    network.add_port("ovn-default", "pod2", POD2_MAC, POD2);
    network.add_port("join", "ovn0", OVN0_MAC, lab.kind.ovn0());
    // ovn-controller dies of a database without the row SB_Global, which ovn-northd writes (`pflow_output_get_debug` in
    // controller/ovn-controller.c): so the row is there first.
    let made = lab.daemons.nbctl(lab.node(), &network);
    lab.daemons.all_run()?;
    made?;
    start(lab, Daemon::Controller)?;
    let programmed = lab.daemons.sync(lab.node());
    lab.daemons.all_run()?;
    programmed
}

/// Starts it on the node, and returns when its control socket answers.
pub(super) fn start(lab: &mut OvsLab, daemon: Daemon) -> Result<()> {
    let OvsLab { daemons, namespaces, .. } = lab;
    daemons.start(daemon, &namespaces[super::Place::Node as usize])
}

fn create(lab: &OvsLab, server: Daemon) -> Result<()> {
    lab.daemons.create(server, lab.node())
}
