//! The identities that every report keeps, whatever happened on the wire.

use std::collections::BTreeMap;

use super::{Book, Probe, Report, SCHEMA, TRIGGER, VerdictWord};
use crate::clock::Nanos;

impl Probe {
    /// Attempts not answered in time: what outages are made of. Refused is an answer of the path.
    pub fn unanswered(&self) -> u64 {
        self.late + self.needing_a_death() + self.reset
    }

    /// Attempts whose death is known or `unexplained`.
    pub fn needing_a_death(&self) -> u64 {
        self.lost + self.timed_out + self.unreachable + self.send_failed
    }

    fn check(&self) -> Result<(), String> {
        equal("sent = Σ outcomes", self.sent, self.answered + self.refused + self.unanswered())?;
        let dead: u64 = self.deaths.iter().map(|death| death.attempts).sum();
        equal(
            "Σ deaths + unexplained = lost + timed_out + unreachable + send_failed",
            dead + self.unexplained,
            self.needing_a_death(),
        )?;
        let in_outages: u64 = self.outages.iter().map(|outage| outage.attempts).sum();
        equal("Σ outages = attempts not answered in time", in_outages, self.unanswered())?;
        for outage in &self.outages {
            let duration = outage.end_s - outage.start_s;
            if duration < 0.0 || (duration - outage.duration_s).abs() > 1e-6 {
                return Err(format!("outage {outage:?}: duration_s is not end_s - start_s"));
            }
        }
        if self.outages.windows(2).any(|pair| pair[1].start_s < pair[0].end_s) {
            return Err("outages overlap or are out of order".into());
        }
        if let Some(death) = self.deaths.iter().find(|d| d.attempts == 0 || d.last_s < d.first_s) {
            return Err(format!("a death without attempts, or that ends before it starts: {death:?}"));
        }
        if let Some(timeline) = &self.timeline {
            timeline.check(self)?;
        }
        if let Some(attempts) = &self.attempts {
            attempts.check(self)?;
        }
        if let Some(delay) = self.schedule_delay_us
            && ![0.0, delay.p50, delay.p99, delay.max].is_sorted()
        {
            return Err(format!("{delay:?} is not ascending"));
        }
        match self.rtt_us {
            Some(rtt) if self.answered == 0 => Err(format!("{rtt:?}, and nothing was answered")),
            Some(rtt) if ![rtt.min, rtt.p50, rtt.p90, rtt.p99, rtt.max].is_sorted() => {
                Err(format!("{rtt:?} is not ascending"))
            }
            _ => Ok(()),
        }
    }
}

impl Book {
    fn check(&self) -> Result<(), String> {
        let equal = self.traced.zip(self.counted).map(|(traced, counted)| traced == counted);
        if self.balanced != equal {
            return Err(format!(
                "book {}: balanced is {:?}, and its sides say {equal:?}",
                self.name, self.balanced
            ));
        }
        match (self.balanced, &self.why) {
            (None, None) => Err(format!("book {} cannot hold and does not say why", self.name)),
            _ => Ok(()),
        }
    }
}

impl Report {
    /// Every probe of every target.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.targets.iter().flat_map(|target| &target.probes)
    }

    /// Was there a command that was to break what was measured?
    pub fn triggered(&self) -> bool {
        self.changes.iter().any(|change| change.what == TRIGGER)
    }

    /// Checks the identities: outcomes, deaths, outages, books, drops against their totals, and the verdict.
    ///
    /// # Errors
    /// The first identity that does not hold, with both sides.
    pub fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema is {:?}, not {SCHEMA:?}", self.schema));
        }
        check_duration("run.duration_s", self.run.duration_s)?;
        for target in &self.targets {
            for probe in &target.probes {
                let port = probe.port.map(|port| format!(" {port}")).unwrap_or_default();
                probe.check().map_err(|e| format!("{} {}{port}: {e}", target.target, probe.kind.name()))?;
            }
        }
        self.books.iter().try_for_each(Book::check)?;
        self.check_drops()?;
        self.check_verdict()
    }

    /// Σ flows + overflow = total, and per reason no more in flows than in total.
    fn check_drops(&self) -> Result<(), String> {
        let mut totals: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for row in &self.drop_totals {
            *totals.entry(row.reason.as_deref()).or_default() += row.packets;
        }
        let mut flows: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for row in &self.drops {
            *flows.entry(row.reason.as_deref()).or_default() += row.packets;
        }
        for (reason, packets) in &flows {
            let total = totals.get(reason).copied().unwrap_or(0);
            if *packets > total {
                return Err(format!("drops {}: {packets} in flows, {total} in total", reason.unwrap_or("–")));
            }
        }
        let in_flows: u64 = flows.values().sum();
        equal("Σ drops + map_full = Σ drop_totals", in_flows + self.losses.map_full, totals.values().sum())
    }

    fn check_verdict(&self) -> Result<(), String> {
        let sent: u64 = self.probes().map(|probe| probe.sent).sum();
        let unanswered: u64 = self.probes().map(Probe::unanswered).sum();
        match self.verdict {
            VerdictWord::Clean if unanswered > 0 || sent == 0 => {
                Err(format!("clean, with {unanswered} of {sent} attempts not answered in time"))
            }
            VerdictWord::Broken if unanswered == 0 => Err("broken, and every attempt was answered".into()),
            _ => Ok(()),
        }
    }
}

/// What a run or a watch may take: as long as the kernel's clock can tell, and no less than no time.
pub(super) fn check_duration(field: &str, seconds: f64) -> Result<(), String> {
    match (0.0..=Nanos::MAX as f64 / 1e9).contains(&seconds) {
        true => Ok(()),
        false => Err(format!("{field} is {seconds}, which no run takes")),
    }
}

fn equal(what: &str, left: u64, right: u64) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what}: {left} is not {right}")) }
}

#[cfg(test)]
mod tests {
    use super::super::{Counted, Timeline, fixtures};
    use super::*;

    fn timeline(report: &mut Report) -> &mut Timeline {
        report.targets[0].probes[0].timeline.as_mut().unwrap()
    }

    #[test]
    fn fixtures_keep_every_identity() {
        for (name, report) in fixtures::all() {
            assert_eq!(report.check(), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_report_that_breaks_one_is_caught() {
        type Break = fn(&mut Report);
        let breaks: [(&str, Break); 21] = [
            ("schema", |r| r.schema.push('0')),
            ("run.duration_s is -1", |r| r.run.duration_s = -1.0),
            ("run.duration_s is 1000", |r| r.run.duration_s = 1e300),
            ("run.duration_s is NaN", |r| r.run.duration_s = f64::NAN),
            ("Σ outcomes", |r| r.targets[0].probes[0].sent += 1),
            ("Σ deaths", |r| r.targets[0].probes[0].unexplained += 1),
            ("Σ outages", |r| r.targets[0].probes[0].outages[0].attempts += 1),
            ("duration_s", |r| r.targets[0].probes[0].outages[0].duration_s += 1.0),
            ("ascending", |r| r.targets[0].probes[0].rtt_us.iter_mut().for_each(|rtt| rtt.p50 = 1e9)),
            ("p99", |r| {
                r.targets[0].probes[0].schedule_delay_us.iter_mut().for_each(|delay| delay.p50 = 1e9)
            }),
            ("timeline: sent", |r| timeline(r).sent[0] += 1),
            ("timeline: deaths", |r| timeline(r).deaths[0].counts[0] -= 1),
            ("timeline: retransmits", |r| {
                timeline(r).retransmits = Some(Counted { bins: vec![3], counts: vec![1] })
            }),
            ("timeline: more unanswered than sent in bin 0", |r| {
                timeline(r).late = Counted { bins: vec![0], counts: vec![900] }
            }),
            ("timeline: bins", |r| timeline(r).unexplained.bins[0] = 80),
            ("timeline: round-trip", |r| timeline(r).rtt_us.min[0] = 1e9),
            ("book", |r| r.books[0].balanced = Some(false)),
            ("does not say why", |r| r.books.iter_mut().for_each(|b| b.why = None)),
            ("Σ drops", |r| r.losses.map_full += 1),
            ("in flows", |r| r.drops[0].reason = Some("ELSE".into())),
            ("clean", |r| r.verdict = VerdictWord::Clean),
        ];
        for (words, broken) in breaks {
            let mut report = fixtures::broken();
            broken(&mut report);
            let message = report.check().expect_err(words);
            assert!(message.contains(words), "{words}: {message}");
        }
    }
}
