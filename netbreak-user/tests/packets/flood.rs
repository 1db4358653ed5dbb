//! Somebody else's flood: totals stay exact, memory stays small, and no run disturbs another.

use std::net::{Ipv4Addr, UdpSocket};

use netbreak_user::lab::{Effect, Family, Fault, Lab, Need, Role, SERVER_V4, Step, Truth};
use netbreak_user::probe::Kind;
use netbreak_user::report::Report;

use crate::common::{Done, PATIENCE, Served, V4, Witness, assert_balanced, died, skipped, total, wait_until};

/// What the netbreak process may hold at most, debug build or not.
const MEMORY_KIB: i64 = 64 * 1024;

/// Drops datagrams to high ports; those of probes go to lower ones.
const fn drops(truth: Role, rules: &'static [Step]) -> Fault {
    Fault {
        name: "flood",
        summary: "",
        needs: Need::Nftables,
        demo: false,
        probes: &[Kind::Udp],
        families: &[Family::V4],
        effect: Effect::Spares,
        arguments: &[],
        service: None,
        apply: rules,
        undo: &[],
        expected: None,
        truth: Truth::Nft(truth, "inet", "netbreak"),
        mirrors: false,
    }
}

static IN_FORWARD: Fault = drops(
    Role::Router,
    &[Step::Nft(
        Role::Router,
        "table inet netbreak {\n counter died { }\n chain flood {\n type filter hook forward priority 0;\n\
         udp dport 5000-65000 counter name died drop\n }\n}\n",
    )],
);

static IN_OUTPUT: Fault = drops(
    Role::Client,
    &[Step::Nft(
        Role::Client,
        "table inet netbreak {\n counter died { }\n chain flood {\n type filter hook output priority 0;\n\
         udp dport 5000-65000 counter name died drop\n }\n}\n",
    )],
);

/// Sends `count` datagrams from the client to `ports` ports of the server, as fast as it goes.
fn flood(lab: &Lab, count: u32, ports: u16) {
    let send = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for number in 0..count {
            let port = 5000 + (number % u32::from(ports)) as u16;
            // EPERM of the output hook: that is where it dies.
            let _ = socket.send_to(b"flood", (SERVER_V4, port));
        }
    };
    lab.namespace(Role::Client).run(send).unwrap();
}

/// A run around `work`: from the first echo on, until its end.
fn around(served: &Served, work: impl FnOnce()) -> Done {
    let run = served.start(V4, &["--icmp", "--interval", "10ms", "--duration", "5m"]);
    wait_until(PATIENCE, "echoes leave", || served.counter(Role::Client, "Icmp.OutEchos") > 0);
    work();
    run.interrupt()
}

/// Fails unless `seen` of `truth` drops were traced: all but those, at most, for which the kernel ran no program on
/// the machine, as the witness saw, or skipped it.
fn assert_traced(seen: u64, truth: u64, witness: &Witness, report: &Report) {
    let losses = &report.losses;
    let unseen = witness.drops("NETFILTER_DROP") + losses.missed;
    assert!(seen <= truth && truth - seen <= unseen, "{seen} of {truth}, {unseen} unseen, {losses:?}");
}

/// Packets of the flows of this reason in this namespace.
fn in_flows(report: &Report, reason: &str, netns: u32) -> u64 {
    let rows = report.drops.iter().filter(|row| row.reason.as_deref() == Some(reason));
    rows.filter(|row| row.netns == Some(netns)).map(|row| row.packets).sum()
}

#[test]
fn a_million_datagrams_to_ten_thousand_ports_are_counted_exactly() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(&IN_FORWARD).unwrap();
    let witness = Witness::new();
    let done = around(&served, || flood(&served.lab, 1_000_000, 10_000));
    let truth = served.lab.read_truth(&IN_FORWARD).unwrap().unwrap();
    let router = served.inode(Role::Router);
    // A backlog may have been full before the rule: the rule's own count is the truth.
    assert!(truth > 100_000, "only {truth} reached the rule");
    let seen = total(&done.report, "NETFILTER_DROP", Some("r0"), router);
    assert_traced(seen, truth, &witness, &done.report);
    assert!((1..MEMORY_KIB).contains(&done.memory_kib), "{} KiB", done.memory_kib);
}

#[test]
fn more_flows_than_the_map_holds_are_still_counted_exactly() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    served.lab.apply(&IN_OUTPUT).unwrap();
    let witness = Witness::new();
    let done = around(&served, || flood(&served.lab, 1_000_000, 60_000));
    let truth = served.lab.read_truth(&IN_OUTPUT).unwrap().unwrap();
    let client = served.inode(Role::Client);
    assert_eq!(truth, 1_000_000);
    let seen = total(&done.report, "NETFILTER_DROP", None, client);
    assert_traced(seen, truth, &witness, &done.report);
    // Σ flows + map_full = Σ totals over the whole machine is checked for every report; here it must matter.
    let overflow = seen - in_flows(&done.report, "NETFILTER_DROP", client);
    assert!(overflow > 0 && done.report.losses.map_full >= overflow, "{:?}", done.report.losses);
    assert!((1..MEMORY_KIB).contains(&done.memory_kib), "{} KiB", done.memory_kib);
}

#[test]
fn a_flood_and_another_netbreak_elsewhere_change_nothing() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let (mut ours, mut theirs) = (Served::new(), Served::new());
    let fault = netbreak_user::lab::find("nft-forward-random").unwrap();
    ours.lab.apply(fault).unwrap();
    theirs.lab.apply(&IN_OUTPUT).unwrap();
    let witness = Witness::new();
    let mut done = None;
    let other = around(&theirs, || {
        std::thread::scope(|scope| {
            scope.spawn(|| flood(&theirs.lab, 500_000, 60_000));
            let plan =
                ["--icmp", "--udp", "4000", "--interval", "5ms", "--duration", "2s", "--timeout", "500ms"];
            done = Some(ours.start(V4, &plan).finish());
        });
    });
    let done = done.unwrap();
    let truth = ours.lab.read_truth(fault).unwrap().unwrap();
    let probes = &done.report.targets[0].probes;
    let router = ours.inode(Role::Router);
    let seen = total(&done.report, "NETFILTER_DROP", Some("r0"), router);
    assert_traced(seen, truth, &witness, &done.report);
    assert_eq!(died(probes, |death| death.netns == Some(router)), seen, "{probes:#?}");
    let unexplained: u64 = probes.iter().map(|probe| probe.unexplained).sum();
    assert_eq!(unexplained, truth - seen, "{probes:#?}");
    assert!(probes.iter().all(|p| p.lost > 0 && p.answered > 0), "{probes:#?}");
    assert_balanced(&ours, &done.report, &witness);
    // The other run was disturbed as little: all its echoes were answered, and its flood is its own.
    let flooded = theirs.lab.read_truth(&IN_OUTPUT).unwrap().unwrap();
    let seen = total(&other.report, "NETFILTER_DROP", None, theirs.inode(Role::Client));
    assert_traced(seen, flooded, &witness, &other.report);
    assert!(other.report.targets[0].probes.iter().all(|p| p.deaths.is_empty() && p.unexplained == 0));
}
