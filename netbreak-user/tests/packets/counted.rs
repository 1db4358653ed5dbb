//! The kernel's counters stand beside the deaths that they tell more of, and beside no others.

use netbreak_user::lab::find;
use netbreak_user::report::{Cause, Death};

use crate::common::{Served, V4, skipped};

/// A fault, what the run is told, and what its deaths must say. Empty: nothing of what was counted.
const CASES: &[(&str, &[&str], Cause, &[&str])] = &[
    (
        "accept-queue",
        &["--tcp", "9998"],
        Cause::Socket,
        &["; the listener on port 9998 overflowed: ListenOverflows grew by ", ", and it dropped "],
    ),
    (
        "syn-queue",
        &["--tcp", "9997"],
        Cause::Socket,
        &["; the listener on port 9997 dropped ", "its accept queue did not overflow"],
    ),
    ("udp-buffer", &["--udp", "9999"], Cause::Socket, &["; the UDP sockets on port 9999 dropped "]),
    ("udp-no-port", &["--udp", "9"], Cause::Socket, &[]),
    ("tbf", &["--icmp", "--size", "1000"], Cause::Queue, &["; the queue of r1 dropped "]),
    ("tc-egress", &["--icmp"], Cause::Tc, &["; the filters of r1 dropped "]),
    ("iptables-legacy-forward", &["--icmp"], Cause::Netfilter, &[]),
];

const SAID_OF_ALL: &str = " in the whole run, others' packets included";

fn prove((fault, arguments, cause, parts): &(&str, &[&str], Cause, &[&str])) {
    let mut served = Served::new();
    let fault = find(fault).unwrap();
    served.lab.apply(fault).unwrap();
    let options = ["--duration", "500ms", "--timeout", "300ms", "--interval", "20ms"];
    let done = served.start(V4, &[arguments, &options[..]].concat()).finish();
    let name = fault.name;
    let deaths: Vec<&Death> =
        done.report.targets.iter().flat_map(|target| &target.probes[0].deaths).collect();
    let is_it = |death: &&&Death| {
        let said = &death.explain;
        death.cause == *cause
            && parts.iter().all(|part| said.contains(part))
            && said.contains(SAID_OF_ALL) != parts.is_empty()
    };
    let attempts: u64 = deaths.iter().filter(is_it).map(|death| death.attempts).sum();
    let all: u64 = deaths.iter().map(|death| death.attempts).sum();
    assert!(all > 0 && 2 * attempts > all, "{name}: {attempts} of {all} say {parts:?}: {deaths:#?}");
}

#[test]
fn what_was_counted_is_told_with_the_deaths_that_it_concerns() {
    if skipped(&["ip", "tc", "nft", "iptables-legacy"]) {
        return;
    }
    CASES.iter().for_each(prove);
}
