//! Open vSwitch and ovn-controller of one node.

use anyhow::{Context, Result};
use rustix::process::{Pid, setpriority_process};

use super::plan::NodePlan;
use super::setup::{PortType, Setup};
use crate::lab::LabNamespace;
use crate::lab::ovs::Daemon::{Config, Vswitchd};
use crate::lab::ovs::daemons::Daemons;
use crate::lab::ovs::databases::ovn_ids;
use crate::lab::ovs::pod::MTU;
use crate::lab::ovs::{Datapath, buffers};

/// Starts the switch of `node`, and makes its bridges and its addresses. `south` is the database of the logical flows.
pub(super) fn build(
    daemons: &mut Daemons,
    namespace: &LabNamespace,
    node: &NodePlan,
    (south, setup): (&str, Setup),
) -> Result<()> {
    daemons.create(Config, namespace)?;
    daemons.start(Config, namespace)?;
    daemons.start(Vswitchd, namespace)?;
    if setup.ovn0 == PortType::Veth {
        let pair = format!("link add ovn0 address {} type veth peer name {OVN0_PEER}\n", node.ovn0_mac);
        namespace.exec(&["ip", "-batch", "-"], &format!("{pair}link set {OVN0_PEER} up\n"))?;
    }
    let (ids, bridges) =
        (ovn_ids(node.place.name(), south, node.tunnel, setup.datapath), bridges(node, setup));
    let capabilities = if setup.datapath == Datapath::Userspace { CAPABILITIES } else { "" };
    let mut words = vec!["init"];
    words.extend(ids.iter().map(String::as_str));
    words.extend(capabilities.split_whitespace().chain(bridges.split_whitespace()));
    daemons.vsctl(namespace, &words)?;
    prepare(daemons, namespace, setup.datapath)?;
    let tunnel = tunnel_device(setup.datapath);
    namespace.exec(&["ip", "-batch", "-"], &addresses(node, tunnel)).map(drop)
}

/// The other end of an `ovn0` that is one end of a veth pair: the port of the switch.
const OVN0_PEER: &str = "ovn0h";

/// The device with the address at which tunnels end.
fn tunnel_device(datapath: Datapath) -> &'static str {
    match datapath {
        Datapath::Userspace => "br-phy",
        Datapath::Kernel => "eth1",
    }
}

/// `br-int` carries nothing until ovn-controller has told it what. `br-phy` learns: the userspace datapath sends and receives
/// tunnels itself. Its link address is not that of `eth1`, which it would have by default: else the node's own stack would take
/// tunnels that arrive there for its own.
fn bridges(node: &NodePlan, setup: Setup) -> String {
    let port = |name: &str, id: &str| {
        format!("-- add-port br-int {name} -- set interface {name} external-ids:iface-id={id} ")
    };
    let pods: String = node.pods.iter().map(|pod| port(pod.port, pod.place.name())).collect();
    let br_phy = match setup.datapath {
        Datapath::Userspace => format!(
            "-- add-br br-phy -- set bridge br-phy datapath_type=netdev other-config:hwaddr=\"{}\" \
             -- add-port br-phy eth1 ",
            node.phy_mac
        ),
        Datapath::Kernel => String::new(),
    };
    let ovn0 = match setup.ovn0 {
        PortType::Internal => {
            let internal = format!("-- set interface ovn0 type=internal mac=\"{}\"", node.ovn0_mac);
            port("ovn0", &logical_ovn0(node)) + &internal
        }
        PortType::Veth => port(OVN0_PEER, &logical_ovn0(node)),
    };
    let datapath = setup.datapath.name();
    format!(
        "{br_phy}-- add-br br-int -- set bridge br-int datapath_type={datapath} fail_mode=secure {pods}{ovn0}"
    )
}

/// The logical port of the node's `ovn0`, as kube-ovn calls it.
pub(super) fn logical_ovn0(node: &NodePlan) -> String {
    format!("node-{}", node.place.name())
}

fn addresses(node: &NodePlan, tunnel: &str) -> String {
    format!(
        "address add {}/24 dev {tunnel}\nlink set {tunnel} up\n\
         link set ovn0 mtu {MTU}\naddress add {}/16 dev ovn0\nlink set ovn0 up\n\
         route add 10.16.0.0/16 via 100.64.0.1 dev ovn0\n",
        node.tunnel, node.ovn0,
    )
}

/// Starts the switch again, with the bridges that it had. Its OpenFlow tables are empty.
pub(super) fn restart(daemons: &mut Daemons, namespace: &LabNamespace, datapath: Datapath) -> Result<()> {
    daemons.start(Vswitchd, namespace)?;
    if datapath == Datapath::Userspace {
        // It opens its ports and says what it can when it reads its configuration for the first time, which this waits for.
        forget_zero_snat(daemons, namespace)?;
    }
    prepare(daemons, namespace, datapath)
}

/// What a switch that carries the packets itself needs each time that it runs, to carry what the probes of all rows send.
fn prepare(daemons: &Daemons, namespace: &LabNamespace, datapath: Datapath) -> Result<()> {
    if datapath == Datapath::Kernel {
        return Ok(());
    }
    forget_zero_snat(daemons, namespace)?;
    let pid = daemons.pid(Vswitchd).context("ovs-vswitchd does not run")?;
    // As `ovs-ctl start` does. It may be refused to a root without CAP_SYS_NICE, and matters only on a busy machine.
    let _ = i32::try_from(pid).map(|pid| setpriority_process(Pid::from_raw(pid), URGENCY));
    buffers::enlarge(pid)
}

/// The niceness of ovs-vswitchd's main thread, which carries the packets.
const URGENCY: i32 = -10;

/// Makes a new row for what the datapath can.
const CAPABILITIES: &str = "\
-- --id=@datapath create Datapath capabilities:ct_zero_snat=false \
-- set Open_vSwitch . datapaths:netdev=@datapath";

/// Keeps ovn-controller from having connections translated that need no translation. The userspace datapath of Open vSwitch
/// 3.1 aborts on them sooner or later: such a connection is in its table twice under the same hash, and the wrong one may be
/// found (`conn_update_state` of lib/conntrack.c: "assertion conn->conn_type == CT_CONN_TYPE_DEFAULT failed"). ovs-vswitchd
/// writes what it can into the first row that it sees (`datapath_reconfigure` of vswitchd/bridge.c) and leaves later ones
/// alone.
fn forget_zero_snat(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    daemons.vsctl(namespace, &CAPABILITIES.split_whitespace().skip(1).collect::<Vec<_>>())
}
