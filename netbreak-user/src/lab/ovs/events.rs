//! The events that the labs know, in one table.

use super::Daemon::{Controller, Vswitchd};
use super::{Action, Event, Kind};
use crate::clock::{MILLISECOND, Nanos};

const BOTH: &[Kind] = &[Kind::Ovs, Kind::Ovn];

/// As often as a probe visits if nothing else is wanted.
const OFTEN: Nanos = 10 * MILLISECOND;

/// So seldom that the sockets of a switch that does not read keep all that six probes send in two seconds: about 250
/// packets each (`net.core.rmem_default`).
const SELDOM: Nanos = 100 * MILLISECOND;

/// What events have if they say nothing else.
const EVENT: Event =
    Event { name: "", summary: "", pace: OFTEN, labs: BOTH, apply: &[], undo: &[], repair: &[] };

/// ovs-vswitchd is there and does nothing.
const STOPPED: Event =
    Event { apply: &[Action::Stop(Vswitchd)], undo: &[Action::Continue(Vswitchd)], ..EVENT };

/// The switch ends, and runs again later.
const fn restart(name: &'static str, summary: &'static str, apply: &'static [Action]) -> Event {
    Event { name, summary, apply, undo: &[Action::Start(Vswitchd)], ..EVENT }
}

/// Every event, in the order of `netbreak demo --list`.
pub const EVENTS: &[Event] = &[
    restart("vswitchd-term", "ovs-vswitchd ends by SIGTERM", &[Action::Terminate(Vswitchd)]),
    restart("vswitchd-kill", "ovs-vswitchd ends by SIGKILL", &[Action::Kill(Vswitchd)]),
    restart("vswitchd-exit", "ovs-vswitchd ends by `ovs-appctl exit`", &[Action::Exit(Vswitchd, &[])]),
    Event {
        // It deletes its internal ports; those that it makes anew are down and have no address.
        repair: &[Action::ConfigureOvn0],
        ..restart(
            "vswitchd-exit-cleanup",
            "ovs-vswitchd ends by `ovs-appctl exit --cleanup`, and ovn0 goes with it",
            &[Action::Exit(Vswitchd, &["--cleanup"])],
        )
    },
    Event {
        name: "vswitchd-stop",
        summary: "ovs-vswitchd is stopped (SIGSTOP) and goes on later (SIGCONT); its sockets keep what comes",
        pace: SELDOM,
        ..STOPPED
    },
    Event {
        name: "vswitchd-stop-full",
        summary: "the same while more comes than its sockets keep",
        ..STOPPED
    },
    Event {
        name: "flows-wiped",
        summary: "the OpenFlow tables of br-int are emptied",
        labs: &[Kind::Ovs],
        apply: &[Action::OpenFlow("del-flows", &[])],
        undo: &[Action::OpenFlow("add-flow", &["priority=0,actions=NORMAL"])],
        ..EVENT
    },
    Event {
        name: "flows-wiped",
        summary: "the OpenFlow tables of br-int are emptied, until ovn-controller is restarted",
        labs: &[Kind::Ovn],
        apply: &[Action::OpenFlow("del-flows", &[])],
        // It takes what it has installed once for granted.
        undo: &[Action::Terminate(Controller), Action::Start(Controller)],
        ..EVENT
    },
    Event {
        name: "controller-term",
        summary: "ovn-controller ends by SIGTERM",
        labs: &[Kind::Ovn],
        apply: &[Action::Terminate(Controller)],
        undo: &[Action::Start(Controller)],
        ..EVENT
    },
    Event {
        name: "controller-exit",
        summary: "ovn-controller ends by `ovs-appctl exit`",
        labs: &[Kind::Ovn],
        apply: &[Action::Exit(Controller, &[])],
        undo: &[Action::Start(Controller)],
        ..EVENT
    },
    Event {
        name: "ovn0-down",
        summary: "ovn0 is down",
        apply: &[Action::Ip("link set ovn0 down")],
        // A route through a gateway goes with the link and does not come back by itself.
        undo: &[Action::ConfigureOvn0],
        ..EVENT
    },
    Event {
        name: "ovn0-address",
        summary: "ovn0 loses its address",
        apply: &[Action::Ip("address flush dev ovn0")],
        undo: &[Action::ConfigureOvn0],
        ..EVENT
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_lab_has_a_name_of_its_own() {
        for lab in BOTH {
            let mut names: Vec<&str> = lab.events().map(|event| event.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{lab:?}");
        }
        assert!(EVENTS.iter().all(|event| !event.labs.is_empty() && !event.undo.is_empty()));
    }
}
