//! Counters are the sums of the reports, and what died is what the kernel counted.

use netbreak_user::lab::{Role, find};
use netbreak_user::report::{Probe, Report, VerdictWord};

use crate::agent::Agent;
use crate::common::{Served, UDP, Witness, skipped};
use crate::metrics::Metrics;

/// Metrics and reports of the same windows.
fn scrape(agent: &Agent) -> (Metrics, Vec<Report>) {
    loop {
        let before = agent.metrics();
        let reports = agent.reports();
        let windows = |metrics: &Metrics| metrics.sum("netbreak_windows_total", &[]);
        if windows(&before) == windows(&agent.metrics()) {
            return (before, reports);
        }
    }
}

#[test]
fn what_is_scraped_is_what_died() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut served = Served::new();
    let witness = Witness::new();
    let fault = find("nft-forward-random").unwrap();
    served.lab.apply(fault).unwrap();
    let udp = UDP.to_string();
    let arguments =
        ["10.0.2.2", "--icmp", "--udp", &udp, "--interval", "20ms", "--window", "2s", "--timeout", "2s"];
    let agent = Agent::start(&served, Role::Client, &arguments);
    assert_eq!(agent.get("/healthz"), "ok\n");
    agent.wait_for("broken", 2.0);

    // So far all windows are broken, and kept.
    let (metrics, reports) = scrape(&agent);
    let sum =
        |number: fn(&Probe) -> u64| reports.iter().flat_map(Report::probes).map(number).sum::<u64>() as f64;
    assert!(reports.len() >= 2 && reports.iter().all(|report| report.verdict == VerdictWord::Broken));
    let attempts = |outcome: &str| metrics.sum("netbreak_attempts_total", &[outcome]);
    assert_eq!(attempts(""), sum(|probe| probe.sent));
    assert_eq!(attempts("outcome=\"answered\""), sum(|probe| probe.answered));
    assert_eq!(attempts("outcome=\"lost\""), sum(|probe| probe.lost));
    assert_eq!(metrics.sum("netbreak_unexplained_total", &[]), sum(|probe| probe.unexplained));
    let died = |probe: &Probe| probe.deaths.iter().map(|death| death.attempts).sum();
    assert_eq!(metrics.sum("netbreak_deaths_total", &[]), sum(died));
    assert_eq!(metrics.sum("netbreak_outages_total", &[]), sum(|probe| probe.outages.len() as u64));
    let dropped = reports.iter().flat_map(|report| &report.drop_totals).map(|row| row.packets).sum::<u64>();
    assert_eq!(metrics.sum("netbreak_drops_total", &[]), dropped as f64);

    // Until the fault is gone, and one window later.
    served.lab.undo(fault).unwrap();
    let clean = agent.metrics().sum("netbreak_windows_total", &["clean"]);
    agent.wait_for("clean", clean + 1.0);
    let metrics = agent.metrics();
    let truth = served.lab.read_truth(fault).unwrap().unwrap() as f64;
    assert_eq!(metrics.sum("netbreak_attempts_total", &["outcome=\"lost\""]), truth);
    let netns = format!("netns=\"{}\"", served.inode(Role::Router));
    let place =
        ["leg=\"request\"", "cause=\"netfilter\"", "device=\"r0\"", &netns, "stage=\"netfilter forward\""];
    let died = metrics.sum("netbreak_deaths_total", &place);
    let unseen = witness.drops("NETFILTER_DROP") as f64;
    assert!(died <= truth && truth - died <= unseen, "{died} of {truth}, {unseen} unseen:\n{}", metrics.0);

    // A line for each window that was not clean.
    let broken = metrics.sum("netbreak_windows_total", &["broken"]);
    agent.terminate();
    let (status, said) = agent.wait();
    assert_eq!(status, Some(0), "{said:?}");
    let count = |words: &str| said.iter().filter(|line| line.contains(words)).count() as f64;
    // On a busy machine the last window may have had a late answer.
    assert!((broken..=broken + 1.0).contains(&count(": broken, ")), "{said:#?}");
    assert!(count("died of netfilter at r0") >= 2.0, "{said:#?}");
}
