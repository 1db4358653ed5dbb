//! What the report of a demo says of each event: where the packets died, in which process, and what changed there.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use netbreak_user::lab::ovs::Kind;
use netbreak_user::report::{Cause, Death, Probe, Report, text};

/// Demos at one time: they mostly wait.
const WORKERS: usize = 3;

const LOST_IN_SWITCH: &[&str] = &[
    "received on p1h in node, never sent on: died in a packet socket or in ovs-vswitchd (pid ",
    ", not running from ",
];
const READ_BY_SWITCH: &str =
    "read from a packet socket on p1h in node, never sent on: died in ovs-vswitchd (pid ";

/// What a demo must say.
struct Case {
    /// Its arguments.
    line: &'static str,
    /// Which of its targets is meant.
    target: &'static str,
    /// Device and stage on the node where attempts die.
    place: (&'static str, &'static str),
    cause: Cause,
    /// Of all that died, so many at least, in percent.
    least: u64,
    /// All that the sentence must have.
    parts: &'static [&'static str],
    /// What must be among the changes: kind, device, and two parts of the detail.
    change: (&'static str, Option<&'static str>, &'static str, &'static str),
}

const CASES: &[Case] = &[
    // The longest first.
    Case {
        line: "ovn --fault vswitchd-term --from node --duration 15s",
        target: "pod2",
        place: ("ovn0", "neighbour"),
        cause: Cause::Neighbour,
        least: 50,
        parts: &[
            "; ovn0 lost its carrier at ",
            "; neighbour 100.64.0.1 of ovn0 failed at ",
            "; ovs-vswitchd (pid ",
            "), which holds ovn0 open, was not running from ",
        ],
        change: ("neighbour", Some("ovn0"), "100.64.0.1 failed", ", in node"),
    },
    Case {
        line: "ovs --fault vswitchd-kill --duration 4s",
        target: "pod2",
        place: ("p1h", "device receive"),
        cause: Cause::Unseen,
        least: 80,
        parts: LOST_IN_SWITCH,
        change: ("process", None, "ovs-vswitchd (pid ", ") started, in node"),
    },
    Case {
        line: "ovs --fault vswitchd-exit --duration 4s",
        target: "ovn0",
        place: ("p1h", "device receive"),
        cause: Cause::Unseen,
        least: 80,
        parts: &[LOST_IN_SWITCH[0], LOST_IN_SWITCH[1], "; ovn0 lost its carrier at "],
        change: ("link", Some("ovn0"), "carrier lost; after ", " s found, in node"),
    },
    Case {
        line: "ovn --fault vswitchd-term --duration 4s",
        target: "pod2",
        place: ("p1h", "packet socket"),
        cause: Cause::Unseen,
        least: 1,
        parts: &[
            READ_BY_SWITCH,
            "), which started at ",
            "; its OpenFlow tables are empty until ovn-controller (pid ",
            ") has filled them",
        ],
        change: ("process", None, "ovs-vswitchd (pid ", ") exited, in node"),
    },
    Case {
        line: "ovn --fault vswitchd-exit-cleanup --duration 4s",
        target: "ovn0",
        place: ("p1h", "packet socket"),
        cause: Cause::Link,
        least: 10,
        parts: &[READ_BY_SWITCH, "; ovn0 was removed at ", " s without its address 100.64.0.2/16"],
        change: ("address", Some("ovn0"), "100.64.0.2/16 removed", ", in node"),
    },
    Case {
        line: "ovs --fault vswitchd-exit-cleanup --duration 4s",
        target: "ovn0",
        place: ("p1h", "packet socket"),
        cause: Cause::Link,
        least: 10,
        parts: &[READ_BY_SWITCH, "; ovn0 was removed at ", " s without its address 10.16.0.1/16"],
        change: ("link", Some("ovn0"), "removed; after ", " re-created, down"),
    },
    Case {
        line: "ovn --fault flows-wiped --duration 4s",
        target: "pod2",
        place: ("p1h", "packet socket"),
        cause: Cause::Unseen,
        least: 80,
        parts: &[
            READ_BY_SWITCH,
            "): look at `ovs-ofctl dump-flows`",
            "; ovn-controller (pid ",
            "), which fills its OpenFlow tables, started at ",
        ],
        change: ("process", None, "ovn-controller (pid ", ") started, in node"),
    },
    Case {
        line: "ovs --fault ovn0-down --duration 4s",
        target: "ovn0",
        place: ("p1h", "packet socket"),
        cause: Cause::Link,
        least: 80,
        parts: &[READ_BY_SWITCH, "; ovn0 went down at ", " and up again at "],
        change: ("link", Some("ovn0"), "down; after ", " s up, in node"),
    },
    Case {
        line: "ovn --fault ovn0-address --duration 4s",
        target: "ovn0",
        place: ("ovn0", "routing"),
        cause: Cause::Route,
        least: 80,
        parts: &["; ovn0 lost its address 100.64.0.2/16 at ", " and got it back at "],
        change: ("address", Some("ovn0"), "100.64.0.2/16 removed; after ", " s added, in node"),
    },
    Case {
        line: "ovs --fault vswitchd-stop-full --duration 6s",
        target: "pod2",
        place: ("p1h", "device receive"),
        cause: Cause::Unseen,
        least: 80,
        parts: &[LOST_IN_SWITCH[0], ", stopped from ", "; packet sockets on p1h dropped "],
        change: ("process", None, "ovs-vswitchd (pid ", ") continued, in node"),
    },
];

fn demo(line: &str) -> Report {
    let output = Command::new(env!("CARGO_BIN_EXE_netbreak"))
        .args(["demo", "--json", "-", "--lab"])
        .args(line.split(' '))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    report.check().unwrap();
    report
}

fn probes<'a>(report: &'a Report, target: &str) -> &'a [Probe] {
    &report.targets.iter().find(|found| found.target == target).unwrap().probes
}

fn prove(case: &Case) {
    let report = demo(case.line);
    let probes = probes(&report, case.target);
    let deaths: Vec<&Death> = probes.iter().flat_map(|probe| &probe.deaths).collect();
    let (device, stage) = case.place;
    let is_it = |death: &&&Death| {
        (death.device.as_deref(), death.netns_name.as_deref()) == (Some(device), Some("node"))
            && (death.stage.as_deref(), death.cause) == (Some(stage), case.cause)
            && case.parts.iter().all(|part| death.explain.contains(part))
    };
    let count = |deaths: &mut dyn Iterator<Item = &&Death>| deaths.map(|death| death.attempts).sum::<u64>();
    let (all, said) = (count(&mut deaths.iter()), count(&mut deaths.iter().filter(is_it)));
    assert!(
        all > 0 && said * 100 >= all * case.least,
        "{}: {said} of {all} attempts to {} died at {:?} with {:?}: {deaths:#?}\n{:#?}",
        case.line,
        case.target,
        case.place,
        case.parts,
        report.changes
    );
    let (what, device, begins, ends) = case.change;
    assert!(
        report.changes.iter().any(|change| change.what == what
            && change.device.as_deref() == device
            && change.detail.starts_with(begins)
            && change.detail.contains(ends)),
        "{}: {:?} is not in {:#?}",
        case.line,
        case.change,
        report.changes
    );
}

#[test]
fn every_event_is_told_where_packets_died() {
    if super::cannot_run(Kind::Ovn) {
        return;
    }
    let queue = Mutex::new(CASES.iter());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().next() else { return };
                    prove(case);
                }
            });
        }
    });
}

/// Its sockets keep what comes: nothing is lost, and the text says who held it up.
#[test]
fn a_stopped_switch_makes_attempts_late() {
    if super::cannot_run(Kind::Ovs) {
        return;
    }
    let report = demo("ovs --fault vswitchd-stop --duration 6s");
    for probe in report.targets.iter().flat_map(|target| &target.probes) {
        assert!(probe.late > 0 && probe.needing_a_death() == 0, "{probe:#?}");
        let said = probe.late_explain.as_deref().unwrap();
        let expected = "received on p1h in node, not sent on in time: held up or died in a packet socket or in \
                        ovs-vswitchd (pid ";
        // Some may be late on the last bit of their way; most come first.
        let most = said.split_once(" of them: ").map_or(said, |(_, most)| most);
        assert!(most.starts_with(expected) && most.contains(", stopped from "), "{said}");
    }
    let page = text::Options { color: false, width: 100 };
    assert!(!text::render(&report, page).contains("SYNs were resent"), "nothing died");
}
