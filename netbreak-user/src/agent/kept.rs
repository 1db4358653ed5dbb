//! Reports of windows that were not clean: the last ones, in memory.

use std::{collections::VecDeque, sync::Arc};

use serde::Serialize;

use crate::{
    report::{Probe, Report, VerdictWord},
    run_id,
};

/// As many as there is room for.
pub(super) struct Kept {
    /// Newest first.
    reports: VecDeque<Arc<Report>>,
    most: usize,
}

/// One of the list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    started: &'a str,
    duration_s: f64,
    verdict: &'static str,
    attempts: u64,
    unanswered: u64,
}

impl<'a> Listed<'a> {
    fn of(report: &'a Report) -> Listed<'a> {
        let (attempts, unanswered) = attempts(report);
        Listed {
            id: report.run.run_id.as_deref().unwrap_or_default(),
            started: &report.run.started,
            duration_s: report.run.duration_s,
            verdict: report.verdict.name(),
            attempts,
            unanswered,
        }
    }
}

impl Kept {
    /// None yet.
    pub(super) fn new(most: usize) -> Kept {
        Kept { reports: VecDeque::new(), most }
    }

    /// Keeps it, unless it is clean; the oldest one makes room.
    pub(super) fn add(&mut self, report: Report) {
        if report.verdict != VerdictWord::Clean && self.most > 0 {
            self.reports.truncate(self.most - 1);
            self.reports.push_front(Arc::new(report));
        }
    }

    /// The report of this run.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Report>> {
        let id = run_id::name(id);
        self.reports.iter().find(|report| report.run.run_id.as_deref() == Some(&id)).cloned()
    }

    /// All of them as a list in JSON, newest first.
    ///
    /// # Errors
    /// Only if text cannot be JSON, which does not happen.
    pub(super) fn list(&self) -> serde_json::Result<String> {
        let listed: Vec<Listed> = self.reports.iter().map(|report| Listed::of(report)).collect();
        serde_json::to_string_pretty(&listed).map(|json| json + "\n")
    }
}

/// All attempts, and those that were not answered in time.
pub(super) fn attempts(report: &Report) -> (u64, u64) {
    let sum = |number: fn(&Probe) -> u64| report.probes().map(number).sum();
    (sum(|probe| probe.sent), sum(Probe::unanswered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn broken(id: u64) -> Report {
        let mut report = fixtures::broken();
        report.run.run_id = Some(run_id::name(id));
        report
    }

    #[test]
    fn the_last_ones_that_were_not_clean() {
        let mut kept = Kept::new(2);
        kept.add(fixtures::clean());
        assert_eq!(kept.list().unwrap(), "[]\n");
        (1..=3).for_each(|id| kept.add(broken(id)));
        assert!(kept.get(1).is_none() && kept.get(2).is_some());
        let list: serde_json::Value = serde_json::from_str(&kept.list().unwrap()).unwrap();
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["0000000000000003", "0000000000000002"]);
        let (attempts, unanswered) = attempts(&broken(3));
        let one = &list[0];
        assert_eq!(
            (one["attempts"].as_u64(), one["unanswered"].as_u64()),
            (Some(attempts), Some(unanswered))
        );
        assert_eq!((&one["verdict"], &one["started"]), (&"broken".into(), &"2026-01-02T03:04:05Z".into()));
        let mut none = Kept::new(0);
        none.add(broken(1));
        assert!(none.get(1).is_none());
    }
}
