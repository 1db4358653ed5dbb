//! What became of attempts.

use prometheus_client::registry::Registry;

use super::series::{Counters, Gauges, Seconds};
use crate::report::{Death, Leg, Probe, Report, Target};

/// Whose attempts.
const PROBE: &[&str] = &["target", "address", "probe", "port"];

/// And what became of them.
const OUTCOME: &[&str] = &["target", "address", "probe", "port", "outcome"];

/// And where they died of what.
const DEATH: &[&str] = &["target", "address", "probe", "port", "leg", "cause", "device", "netns", "stage"];

/// The metrics of all probes.
pub(super) struct Probes {
    attempts: Counters,
    duplicates: Counters,
    deaths: Counters,
    unexplained: Counters,
    outages: Counters,
    outage_seconds: Seconds,
    retransmitted: Counters,
    rtt: Gauges,
    rtt_max: Gauges,
}

impl Probes {
    pub(super) fn new(to: &mut Registry, most: usize) -> Self {
        let counters = |to: &mut Registry, name, labels, help| Counters::new(to, (name, help), labels, most);
        Probes {
            attempts: counters(to, "attempts", OUTCOME, "Attempts, by what became of them"),
            duplicates: counters(to, "duplicates", PROBE, "Answers that came again"),
            deaths: counters(
                to,
                "deaths",
                DEATH,
                "Attempts that were lost, by where and of what their packets died",
            ),
            unexplained: counters(to, "unexplained", PROBE, "Attempts that were lost, and nothing explains"),
            outages: counters(
                to,
                "outages",
                PROBE,
                "Outages: runs of attempts not answered in time, cut at windows' ends",
            ),
            outage_seconds: Seconds::new(to, ("outage", "How long outages lasted"), PROBE, most),
            retransmitted: counters(
                to,
                "retransmitted_segments",
                PROBE,
                "Segments of the probes' connections sent again",
            ),
            rtt: Gauges::seconds(
                to,
                ("rtt", "Round-trip times of the last window, of what was answered in time"),
            ),
            rtt_max: Gauges::seconds(to, ("rtt_max", "The longest round-trip time of the last window")),
        }
    }

    pub(super) fn add(&mut self, report: &Report) {
        self.rtt.clear();
        self.rtt_max.clear();
        for target in &report.targets {
            for probe in &target.probes {
                self.add_probe(target, probe);
            }
        }
    }

    pub(super) fn expect(&mut self, target: &str, address: &str, kind: &str, port: Option<u16>) {
        let port = port.map(|port| port.to_string());
        let whose = [Some(target), Some(address), Some(kind), port.as_deref()];
        for outcome in OUTCOMES {
            self.attempts.add(&[&whose[..], &[Some(outcome)]].concat(), 0);
        }
        self.outages.add(&whose, 0);
        self.unexplained.add(&whose, 0);
    }

    fn add_probe(&mut self, target: &Target, probe: &Probe) {
        let port = probe.port.map(|port| port.to_string());
        let whose = [Some(&*target.target), Some(&*target.address), Some(probe.kind.name()), port.as_deref()];
        for (outcome, attempts) in OUTCOMES.into_iter().zip(outcomes(probe)) {
            self.attempts.add(&[&whose[..], &[Some(outcome)]].concat(), attempts);
        }
        self.duplicates.add(&whose, probe.duplicate);
        probe.deaths.iter().for_each(|death| self.add_death(&whose, death));
        self.unexplained.add(&whose, probe.unexplained);
        self.outages.add(&whose, probe.outages.len() as u64);
        self.outage_seconds.add(&whose, probe.outages.iter().map(|outage| outage.duration_s).sum());
        if let Some(resent) = probe.retransmits {
            self.retransmitted.add(&whose, resent.segments);
        }
        if let Some(rtt) = probe.rtt_us {
            let labels: Vec<_> = PROBE.iter().copied().zip(whose).collect();
            for (quantile, micros) in [("0.5", rtt.p50), ("0.9", rtt.p90), ("0.99", rtt.p99)] {
                self.rtt.set(&[&labels[..], &[("quantile", Some(quantile))]].concat(), micros / 1e6);
            }
            self.rtt_max.set(&labels, rtt.max / 1e6);
        }
    }

    fn add_death(&mut self, whose: &[Option<&str>], death: &Death) {
        let leg = match death.leg {
            Leg::Request => "request",
            Leg::Reply => "reply",
            Leg::Unknown => "unknown",
        };
        let netns = death.netns.map(|netns| netns.to_string());
        let place = [
            Some(leg),
            Some(death.cause.name()),
            death.device.as_deref(),
            netns.as_deref(),
            death.stage.as_deref(),
        ];
        self.deaths.add(&[whose, &place].concat(), death.attempts);
    }
}

/// Each attempt has one of them.
const OUTCOMES: [&str; 8] =
    ["answered", "late", "lost", "timed_out", "refused", "reset", "unreachable", "send_failed"];

/// How many attempts have each, in that order.
fn outcomes(probe: &Probe) -> [u64; 8] {
    let Probe { answered, late, lost, timed_out, refused, reset, unreachable, send_failed, .. } = *probe;
    [answered, late, lost, timed_out, refused, reset, unreachable, send_failed]
}
