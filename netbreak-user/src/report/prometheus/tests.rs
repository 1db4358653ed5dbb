//! Metrics against the reports that they are made of.

use super::*;
use crate::report::{Probe, fixtures};

/// The values of all series of a metric whose labels hold all of `words`.
fn values(text: &str, metric: &str, words: &[&str]) -> Vec<f64> {
    let series = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let is_it = name == metric && words.iter().all(|word| labels.contains(word));
        is_it.then(|| value.parse().unwrap())
    });
    series.collect()
}

fn sum(text: &str, metric: &str, words: &[&str]) -> f64 {
    values(text, metric, words).iter().sum()
}

fn of(reports: &[Report], most_series: usize) -> String {
    let mut metrics = Metrics::new("1.2.3", most_series);
    reports.iter().for_each(|report| metrics.add(report));
    metrics.render().unwrap()
}

/// A sum over probes of a run's reports, which may be of several runs.
fn total(reports: &[Report], number: impl Fn(&Probe) -> u64) -> f64 {
    reports.iter().flat_map(Report::probes).map(number).sum::<u64>() as f64
}

fn all() -> Vec<Report> {
    let reports = fixtures::all().into_iter().map(|(_, report)| report);
    // What comes again is added.
    reports.chain([fixtures::broken()]).collect()
}

type Number = fn(&Probe) -> u64;

const OUTCOMES: [(&str, Number); 8] = [
    ("answered", |probe| probe.answered),
    ("late", |probe| probe.late),
    ("lost", |probe| probe.lost),
    ("timed_out", |probe| probe.timed_out),
    ("refused", |probe| probe.refused),
    ("reset", |probe| probe.reset),
    ("unreachable", |probe| probe.unreachable),
    ("send_failed", |probe| probe.send_failed),
];

/// Every sum, whether or not there is room for all series.
#[test]
fn counters_are_the_sums_of_the_reports() {
    let reports = all();
    for most_series in [10_000, 7, 1] {
        let text = of(&reports, most_series);
        let is = |metric: &str, words: &[&str], expected: f64| {
            let found = sum(&text, metric, words);
            assert!((found - expected).abs() < 1e-6, "{metric} {words:?}: {found} is not {expected}\n{text}");
        };
        is("netbreak_attempts_total", &[], total(&reports, |probe| probe.sent));
        is("netbreak_deaths_total", &[], total(&reports, |p| p.deaths.iter().map(|d| d.attempts).sum()));
        is("netbreak_unexplained_total", &[], total(&reports, |probe| probe.unexplained));
        is("netbreak_duplicates_total", &[], total(&reports, |probe| probe.duplicate));
        is("netbreak_outages_total", &[], total(&reports, |probe| probe.outages.len() as u64));
        let lasted = |report: &Report| -> f64 {
            report.probes().flat_map(|probe| &probe.outages).map(|outage| outage.duration_s).sum()
        };
        is("netbreak_outage_seconds_total", &[], reports.iter().map(lasted).sum());
        let resent = total(&reports, |probe| probe.retransmits.map_or(0, |resent| resent.segments));
        is("netbreak_retransmitted_segments_total", &[], resent);
        let dropped = reports.iter().flat_map(|report| &report.drop_totals).map(|row| row.packets);
        is("netbreak_drops_total", &[], dropped.sum::<u64>() as f64);
        is("netbreak_windows_total", &[], reports.len() as f64);
    }
    let text = of(&reports, 10_000);
    for (outcome, number) in OUTCOMES {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(sum(&text, "netbreak_attempts_total", &[&label]), total(&reports, number), "{outcome}");
    }
    for (verdict, windows) in [("clean", 2.0), ("broken", 6.0), ("inconclusive", 1.0)] {
        assert_eq!(sum(&text, "netbreak_windows_total", &[verdict]), windows, "{verdict}");
    }
}

#[test]
fn a_death_has_its_place() {
    let text = of(&[fixtures::broken()], 10_000);
    let place = [
        "target=\"10.0.2.2\"",
        "probe=\"icmp\"",
        "leg=\"request\"",
        "cause=\"netfilter\"",
        "device=\"r0\"",
        "netns=\"4026532340\"",
        "stage=\"netfilter forward\"",
    ];
    assert_eq!(values(&text, "netbreak_deaths_total", &place), [180.0], "{text}");
}

/// Each metric has at most as many series as it may, and those for all others, which keep the labels with few values;
/// what is known goes on.
#[test]
fn series_are_bounded() {
    let mut metrics = Metrics::new("1.2.3", 50);
    let mut reports = Vec::new();
    for n in 0..100 {
        let mut report = fixtures::broken();
        report.targets[0].address = format!("10.0.0.{n}");
        report.drop_totals[0].device = Some(format!("veth{n}"));
        metrics.add(&report);
        reports.push(report);
    }
    let text = metrics.render().unwrap();
    for metric in ["attempts", "deaths", "unexplained", "outages", "outage_seconds", "drops"] {
        let name = format!("netbreak_{metric}_total");
        let others = values(&text, &name, &["=\"other\""]).len();
        assert_eq!(values(&text, &name, &[]).len(), 50 + others, "{name}");
        // At most each probe of the report with each outcome.
        assert!((1..=reports[0].probes().count() * 8).contains(&others), "{name}: {others}");
    }
    for (outcome, number) in OUTCOMES {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(sum(&text, "netbreak_attempts_total", &[&label]), total(&reports, number), "{outcome}");
    }
    let all_others = ["target=\"other\"", "address=\"other\"", "probe=\"icmp\"", "outcome=\"lost\""];
    assert_eq!(values(&text, "netbreak_attempts_total", &all_others).len(), 1, "{text}");
    assert_eq!(values(&text, "netbreak_drops_total", &["veth49\""]), [360.0]);
    assert_eq!(values(&text, "netbreak_drops_total", &["other"]), [50.0 * 360.0]);
    let other = "netbreak_drops_total{reason=\"NETFILTER_DROP\",device=\"other\",netns=\"other\"} 18000";
    assert!(text.contains(other), "{text}");
}

#[test]
fn what_was_not_measured_is_absent() {
    let text = of(&[fixtures::without_kernel()], 10_000);
    for metric in
        ["retransmitted_segments_total", "drops_total", "losses_total", "rtt_seconds", "rtt_max_seconds"]
    {
        assert_eq!(values(&text, &format!("netbreak_{metric}"), &[]).len(), 0, "{metric}: {text}");
    }
    // An echo has no port.
    let text = of(&[fixtures::interrupted()], 10_000);
    assert!(text.contains("probe=\"icmp\",outcome=\"answered\"} 123"), "{text}");
}

#[test]
fn gauges_are_of_the_last_report() {
    let text = of(&[fixtures::broken(), fixtures::without_kernel()], 10_000);
    assert_eq!(values(&text, "netbreak_rtt_seconds", &[]).len(), 0);
    assert_eq!(values(&text, "netbreak_books", &["balanced=\"no\""]), [0.0]);
    assert_eq!(values(&text, "netbreak_sensors", &["kfree_skb", "state=\"off\""]), [1.0]);
    assert_eq!(values(&text, "netbreak_sensors", &[]).len(), 1);
    let text = of(&[fixtures::without_kernel(), fixtures::broken()], 10_000);
    assert_eq!(values(&text, "netbreak_books", &["balanced=\"no\""]), [1.0]);
    assert_eq!(values(&text, "netbreak_books", &["balanced=\"unknown\""]), [1.0]);
    assert_eq!(values(&text, "netbreak_rtt_max_seconds", &["probe=\"tcp\""]), [0.998_123]);
    assert_eq!(values(&text, "netbreak_rtt_seconds", &["probe=\"icmp\"", "quantile=\"0.99\""]), [93.5e-6]);
    assert_eq!(values(&text, "netbreak_last_window_timestamp_seconds", &[]), [1_767_323_045.0]);
}

/// Every metric, under the name of its samples, stands in docs/agent.md.
#[test]
fn metrics_are_documented() {
    let text = of(&all(), 10_000);
    let documents = include_str!("../../../../docs/agent.md");
    let names =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next());
    let missing: std::collections::BTreeSet<_> =
        names.filter(|name| !documents.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/agent.md lacks {missing:?}");
}

#[test]
fn snapshot() {
    let mut metrics = Metrics::new("1.2.3", 10_000);
    metrics.add_resolve_failures("web.example", 0);
    metrics.add(&fixtures::merged());
    let text = metrics.render().unwrap();
    // Series come in no order.
    let comments: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    insta::assert_snapshot!(comments.join("\n"));
    for one in [
        "netbreak_build_info{version=\"1.2.3\"} 1",
        "netbreak_resolve_failures_total{target=\"web.example\"} 0",
    ] {
        assert!(text.contains(one), "{text}");
    }
}

/// What a probe loses in its first window is an increase.
#[test]
fn what_is_expected_is_there_with_nothing() {
    let mut metrics = Metrics::new("1.2.3", 10_000);
    metrics.expect("pods", "10.0.0.7", "tcp", Some(80));
    metrics.expect("pods", "10.0.0.7", "icmp", None);
    let text = metrics.render().unwrap();
    let attempts = values(&text, "netbreak_attempts_total", &["address=\"10.0.0.7\""]);
    assert_eq!(attempts, [0.0; 16]);
    let lost = "netbreak_attempts_total{target=\"pods\",address=\"10.0.0.7\",probe=\"tcp\",port=\"80\",outcome=\"lost\"} 0";
    assert!(text.contains(lost), "{text}");
}
