//! Open vSwitch's kernel datapath without OVN: what becomes of packets that it drops, and that it cannot ask about.

use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use netbreak_user::clock::{MILLISECOND, SECOND};
use netbreak_user::kernel;
use netbreak_user::lab::ovs::{Datapath, Event, Kind as LabKind, OvsLab, POD1, POD2, Place};
use netbreak_user::netns::Namespace;
use netbreak_user::probe::{Kind, Spec};
use netbreak_user::progress::Progress;
use netbreak_user::report::{self, Book, Cause, Death, Probe, Report};
use netbreak_user::run::{Break, End, Plan, Source, Visited, Work, follow, measure};

use crate::out;

/// How long each break lasts.
const BROKEN: Duration = Duration::from_secs(2);

fn event(name: &str) -> &'static Event {
    LabKind::Ovs.events().find(|event| event.name == name).unwrap()
}

/// Visits pod2 and `ovn0` from pod1 while `happen` happens; the report comes out of the guest as `name`.
fn watch(name: &str, happen: impl FnOnce(&mut OvsLab) -> Result<()> + Send + 'static) -> Report {
    let lab = OvsLab::over(LabKind::Ovs, Datapath::Kernel).unwrap();
    let targets: [(&str, IpAddr); 2] = [("pod2", POD2.into()), ("ovn0", lab.kind().ovn0().into())];
    let spec = |(index, (_, address)): (usize, &(&str, IpAddr))| Spec {
        duration: 60 * SECOND,
        interval: 50 * MILLISECOND,
        ..Spec::new(index, Kind::Icmp, *address, None, 1)
    };
    let specs: Vec<Spec> = targets.iter().enumerate().map(spec).collect();
    let room = follow(&specs);
    let netns = Arc::new(Namespace::open(lab.namespace(Place::Pod1).path()).unwrap());
    let names = lab.names().map(|(inode, name)| (inode, name.to_owned())).to_vec();
    let lab = Arc::new(Mutex::new(lab));
    let shared = Arc::clone(&lab);
    let work =
        Work::Own { name: name.to_owned(), work: Box::new(move || happen(&mut shared.lock().unwrap())) };
    let measured = measure(Plan {
        targets: targets.map(|(name, address)| Visited::new(name, address)).to_vec(),
        sources: vec![Source { netns, specs }],
        tracer: Some(kernel::Options { follow: Some(room), ..Default::default() }),
        path: true,
        trigger: Some(Break { work, lead_in: 2 * SECOND, quiet_for: 2 * SECOND }),
        progress: Progress::new(false),
        netns_names: names,
        give_up_privileges: false,
        started: Box::new(|_| ()),
        end: End::Signals,
    });
    let report = measured.unwrap().report;
    fs::write(out().join(format!("{name}.json")), report::json::render(&report).unwrap()).unwrap();
    println!("{}", report::text::render(&report, report::text::Options { color: false, width: 100 }));
    report.check().unwrap();
    report
}

/// The event, for a while.
fn for_a_while(lab: &mut OvsLab, event: &Event) -> Result<()> {
    lab.apply(event)?;
    sleep(BROKEN);
    lab.undo(event)
}

fn probe<'a>(report: &'a Report, target: &str) -> &'a Probe {
    &report.targets.iter().find(|found| found.target == target).unwrap().probes[0]
}

fn attempts(deaths: &[Death], is_meant: impl Fn(&Death) -> bool) -> u64 {
    deaths.iter().filter(|death| is_meant(death)).map(|death| death.attempts).sum()
}

/// At least nineteen of twenty of a probe's deaths, of which there are some, are so.
fn most<'a>(probe: &Probe, deaths: impl IntoIterator<Item = &'a Death>, is_so: impl Fn(&Death) -> bool) {
    let deaths: Vec<Death> = deaths.into_iter().cloned().collect();
    let (all, so) = (attempts(&deaths, |_| true), attempts(&deaths, is_so));
    assert!(all >= 10 && probe.unexplained == 0 && so * 20 >= all * 19, "{so} of {all}: {:#?}", probe.deaths);
}

fn book<'a>(report: &'a Report, counter: &str) -> &'a Book {
    report.books.iter().find(|book| book.counter == counter).unwrap()
}

/// Linux 6.6 and later give a reason for what a flow drops.
fn has_reasons(report: &Report) -> bool {
    let mut numbers = report.run.kernel.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

#[test]
fn no_handler() {
    let report = watch("no_handler", |lab| {
        let restart = event("vswitchd-term");
        lab.apply(restart)?;
        lab.namespace(Place::Node).exec(&["ovs-dpctl", "del-flows"], "")?;
        sleep(BROKEN);
        lab.undo(restart)
    });
    let mut failed = 0;
    for target in ["pod2", "ovn0"] {
        let probe = probe(&report, target);
        let has_errno = |death: &Death| {
            let reason = death.reason.as_deref();
            death.cause == Cause::OvsUpcall
                && matches!(reason, Some("ENOTCONN" | "ECONNREFUSED"))
                && death.device.as_deref() == Some("p1h")
                && death.explain.contains("ovs-vswitchd (pid ")
                && death.explain.contains(" was not running from ")
        };
        // When it is back its tables are empty at first.
        let back = report
            .changes
            .iter()
            .find(|change| change.detail.contains("ovs-vswitchd") && change.detail.contains("started"));
        let back = back.expect("ovs-vswitchd was started again").at_s;
        most(probe, probe.deaths.iter().filter(|death| death.first_s < back), has_errno);
        failed += attempts(&probe.deaths, |death| death.cause == Cause::OvsUpcall);
    }
    // Others asked too: neighbours, for one.
    let lost = book(&report, "Openvswitch.lost");
    assert_eq!(lost.balanced, Some(true), "{lost:#?}");
    assert!(lost.counted >= Some(failed), "{failed} died, {lost:#?}");
}

#[test]
fn empty_tables() {
    let report = watch("empty_tables", |lab| for_a_while(lab, event("flows-wiped")));
    let has_reasons = has_reasons(&report);
    let by_reason = |death: &Death| death.reason.as_deref() == Some("OVS_DROP_LAST_ACTION");
    for target in ["pod2", "ovn0"] {
        let probe = probe(&report, target);
        // On a slow machine it lasts so long that neighbours fail as well.
        let in_switch = probe.deaths.iter().filter(|death| death.cause != Cause::Neighbour);
        most(probe, in_switch, |death| {
            death.cause == Cause::OvsFlow && death.device.as_deref() == Some("p1h")
        });
    }
    // What the datapath dropped of our flows is what died there.
    let pod1 = Some(POD1.to_string());
    let dropped: u64 = report
        .drops
        .iter()
        .filter(|row| row.reason.as_deref() == Some("OVS_DROP_LAST_ACTION"))
        .filter(|row| row.flow.proto == "icmp" && (row.flow.src == pod1 || row.flow.dst == pod1))
        .map(|row| row.packets)
        .sum();
    let died: u64 =
        ["pod2", "ovn0"].map(|name| attempts(&probe(&report, name).deaths, by_reason)).iter().sum();
    assert_eq!(dropped, died);
    // Of one of them perhaps none: ovs-vswitchd makes no new flow as long as it knows the one that was wiped
    // (`try_ukey_replace`, ofproto/ofproto-dpif-upcall.c), and is asked of each packet.
    assert_eq!(died > 0, has_reasons);
}

#[test]
fn ovn0_down() {
    let report = watch("ovn0_down", |lab| for_a_while(lab, event("ovn0-down")));
    let (pod2, ovn0) = (probe(&report, "pod2"), probe(&report, "ovn0"));
    assert_eq!(pod2.deaths, [], "only what goes through ovn0 is concerned");
    most(ovn0, &ovn0.deaths, |death| death.cause == Cause::Link && death.device.as_deref() == Some("ovn0"));
}
