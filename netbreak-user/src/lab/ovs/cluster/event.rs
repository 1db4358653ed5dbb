//! What can happen to a cluster: on both nodes at the same time, step by step.

use std::time::Duration;

use super::plan::NodePlan;
use crate::lab::ovs::Daemon::{self, Config, Controller, Vswitchd};
use crate::lab::ovs::pod::MTU;

/// Something that happens to both nodes.
#[derive(Debug)]
pub struct Event {
    /// For `--fault`, and for names of files.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    pub(super) steps: &'static [Step],
}

/// One thing that is done to both nodes before the next one is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// It ends, and has ended.
    End(Daemon, Manner),
    /// It runs, and its control socket answers.
    Start(Daemon),
    /// Nothing is done for so long.
    Pause(Duration),
    /// ovn-controller has filled the OpenFlow tables of both nodes.
    Filled,
    /// Words for `ovs-vsctl --no-wait`.
    Configure(&'static str),
    /// What `ovs-save save-flows` keeps of `br-int`.
    SaveFlows,
    /// It is put back.
    RestoreFlows,
    /// Commands of `ip -batch`.
    Ip(fn(&NodePlan) -> String),
    /// The port of the tunnel to the other node is removed.
    RemoveTunnel,
    /// Every connection that the node's kernel tracks is forgotten.
    ForgetConnections,
    /// A value under `/proc/sys/net`.
    Sysctl(&'static str, &'static str),
}

/// How a daemon ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// `ovs-appctl exit`, as `ovs-ctl` asks it first.
    Asked,
    /// SIGTERM.
    Terminated,
    /// SIGKILL.
    Killed,
}

use Manner::{Asked, Killed, Terminated};
use Step::{
    Configure, End, Filled, ForgetConnections, Ip, Pause, RemoveTunnel, RestoreFlows, SaveFlows, Start,
    Sysctl,
};

/// How long a daemon is away.
const GAP: Step = Pause(Duration::from_secs(1));
/// `ovs-vswitchd` starts with the datapath's flows as they are, and leaves them so.
const HOLD: Step = Configure("set open_vswitch . other_config:flow-restore-wait=true");
/// It makes its own flows.
const GO_ON: Step = Configure("--if-exists remove open_vswitch . other_config flow-restore-wait=true");
/// How long ovn-controller waits after its connection to the switch before it clears the tables, in milliseconds.
const PATIENT: Step = Configure("set open_vswitch . external-ids:ovn-ofctl-wait-before-clear=8000");
const IMPATIENT: Step = Configure("remove open_vswitch . external-ids ovn-ofctl-wait-before-clear");

/// A segment outside the window that the kernel expects is no reason to call it invalid.
const LIBERAL: Step = Sysctl("netfilter/nf_conntrack_tcp_be_liberal", "1");
/// A connection whose SYN was not seen is invalid (`tcp_new`, net/netfilter/nf_conntrack_proto_tcp.c).
const STRICT: Step = Sysctl("netfilter/nf_conntrack_tcp_loose", "0");
const OFTEN_LIBERAL: [Step; 41] = {
    let mut steps = [ForgetConnections; 41];
    steps[0] = LIBERAL;
    steps
};

/// Every event, in the order of `netbreak demo --list`. The first one is what happens if nothing is named.
pub const EVENTS: &[Event] = &[
    Event {
        name: "reload",
        summary: "ovs-vswitchd and ovn-controller of both nodes end, and start again one after the other",
        steps: &[
            End(Controller, Terminated),
            End(Vswitchd, Terminated),
            GAP,
            Start(Vswitchd),
            GAP,
            Start(Controller),
            Filled,
        ],
    },
    Event {
        name: "reload-slow",
        summary: "the same, with eight seconds between ovs-vswitchd's start and ovn-controller's",
        steps: &[
            End(Controller, Terminated),
            End(Vswitchd, Terminated),
            GAP,
            Start(Vswitchd),
            Pause(Duration::from_secs(8)),
            Start(Controller),
            Filled,
        ],
    },
    Event {
        name: "reload-wait",
        summary: "a reload with flow-restore-wait from before ovs-vswitchd's start until ovn-controller has filled its tables",
        steps: &[
            End(Controller, Terminated),
            End(Vswitchd, Terminated),
            HOLD,
            GAP,
            Start(Vswitchd),
            GAP,
            Start(Controller),
            Filled,
            GO_ON,
        ],
    },
    Event {
        name: "switch-restart",
        summary: "ovs-vswitchd ends as asked, and starts again a second later",
        steps: &[End(Vswitchd, Asked), GAP, Start(Vswitchd), Filled],
    },
    Event {
        name: "switch-restart-saved",
        summary: "the same as `ovs-ctl restart --no-ovsdb-server` does it: flow-restore-wait until saved flows are back",
        steps: &[SaveFlows, End(Vswitchd, Asked), HOLD, GAP, Start(Vswitchd), RestoreFlows, GO_ON, Filled],
    },
    Event {
        name: "switch-restart-wait",
        summary: "the same with flow-restore-wait until ovn-controller has filled its tables",
        steps: &[End(Vswitchd, Asked), HOLD, GAP, Start(Vswitchd), Filled, GO_ON],
    },
    Event {
        name: "switch-restart-saved-patient",
        summary: "saved flows, and an ovn-controller that waits before it clears them (ovn-ofctl-wait-before-clear)",
        steps: &[
            PATIENT,
            SaveFlows,
            End(Vswitchd, Asked),
            HOLD,
            GAP,
            Start(Vswitchd),
            RestoreFlows,
            GO_ON,
            Filled,
            IMPATIENT,
        ],
    },
    Event {
        name: "switch-kill",
        summary: "ovs-vswitchd is killed, and starts again a second later",
        steps: &[End(Vswitchd, Killed), GAP, Start(Vswitchd), Filled],
    },
    Event {
        name: "controller-restart",
        summary: "ovn-controller ends, and starts again a second later",
        steps: &[End(Controller, Terminated), GAP, Start(Controller), Filled],
    },
    Event {
        name: "controller-restart-patient",
        summary: "the same, and it waits before it clears the tables (ovn-ofctl-wait-before-clear)",
        steps: &[PATIENT, End(Controller, Terminated), GAP, Start(Controller), Filled, IMPATIENT],
    },
    Event {
        name: "database-restart",
        summary: "ovsdb-server with the switch's configuration ends, and starts again a second later",
        steps: &[End(Config, Asked), GAP, Start(Config), Filled],
    },
    Event {
        name: "ovn0-address",
        summary: "ovn0 loses its address and its route, and gets them again at once",
        steps: &[Ip(readdress)],
    },
    Event { name: "ovn0-down", summary: "ovn0 is down for a second", steps: &[Ip(down), GAP, Ip(up)] },
    Event {
        name: "tunnel",
        summary: "the tunnel's device is removed, and ovn-controller makes it again",
        steps: &[RemoveTunnel, Filled],
    },
    Event {
        name: "conntrack",
        summary: "the kernel forgets all connections that it tracks",
        steps: &[ForgetConnections],
    },
    Event {
        name: "conntrack-liberal",
        summary: "the same with nf_conntrack_tcp_be_liberal",
        steps: &[LIBERAL, ForgetConnections],
    },
    Event {
        name: "conntrack-often",
        summary: "the kernel forgets all connections that it tracks, forty times",
        steps: &[ForgetConnections; 40],
    },
    Event {
        name: "conntrack-often-liberal",
        summary: "the same with nf_conntrack_tcp_be_liberal",
        steps: &OFTEN_LIBERAL,
    },
    Event {
        name: "conntrack-strict",
        summary: "the kernel forgets all connections that it tracks, and takes up none in the middle (nf_conntrack_tcp_loose=0)",
        steps: &[STRICT, ForgetConnections],
    },
    Event {
        name: "conntrack-strict-liberal",
        summary: "the same with nf_conntrack_tcp_be_liberal",
        steps: &[STRICT, LIBERAL, ForgetConnections],
    },
    Event {
        name: "ovn0-down-liberal",
        summary: "ovn0 is down for a second, with nf_conntrack_tcp_be_liberal",
        steps: &[LIBERAL, Ip(down), GAP, Ip(up)],
    },
];

/// The event of that name.
pub fn event(name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.name == name)
}

const ROUTE: &str = "route replace 10.16.0.0/16 via 100.64.0.1 dev ovn0";

fn readdress(node: &NodePlan) -> String {
    let address = node.ovn0;
    format!("address del {address}/16 dev ovn0\naddress add {address}/16 dev ovn0\n{ROUTE}\n")
}

fn down(_: &NodePlan) -> String {
    "link set ovn0 down\n".to_owned()
}

fn up(_: &NodePlan) -> String {
    format!("link set ovn0 mtu {MTU} up\n{ROUTE}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_name_of_its_own_and_ends_with_what_it_began_with() {
        for one in EVENTS {
            assert_eq!(EVENTS.iter().filter(|other| other.name == one.name).count(), 1, "{}", one.name);
            assert_eq!(event(one.name).unwrap().summary, one.summary);
            let ends = one.steps.iter().filter(|step| matches!(step, End(..))).count();
            let starts = one.steps.iter().filter(|step| matches!(step, Start(_))).count();
            assert_eq!(ends, starts, "{}", one.name);
            let configured = one.steps.iter().filter(|step| matches!(step, Configure(_))).count();
            assert!(configured % 2 == 0, "{}", one.name);
        }
    }
}
