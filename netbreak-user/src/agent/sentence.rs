//! One line about a window that was not clean.

use std::collections::BTreeMap;

use super::kept::attempts;
use crate::report::{Death, Report};

/// The verdict, how many attempts were not answered, and where most of them died of what.
pub(super) fn sentence(report: &Report) -> String {
    let (attempts, unanswered) = attempts(report);
    let verdict = report.verdict.name();
    let most = most_died(report).map(|most| format!("; {most}")).unwrap_or_default();
    let id = report.run.run_id.as_deref().map(|id| format!(" (/reports/{id})")).unwrap_or_default();
    format!(
        "window of {}: {verdict}, {unanswered} of {attempts} attempts not answered in time{most}{id}",
        report.run.started
    )
}

/// Where most attempts died, over all probes; `None` where none did.
fn most_died(report: &Report) -> Option<String> {
    let mut places: BTreeMap<String, u64> = BTreeMap::new();
    for death in report.probes().flat_map(|probe| &probe.deaths) {
        *places.entry(place(death)).or_default() += death.attempts;
    }
    let unexplained: u64 = report.probes().map(|probe| probe.unexplained).sum();
    match places.into_iter().max_by_key(|(_, attempts)| *attempts) {
        Some((place, attempts)) if attempts >= unexplained => Some(format!("{attempts} died of {place}")),
        _ if unexplained > 0 => Some(format!("nothing explains {unexplained} of them")),
        _ => None,
    }
}

fn place(death: &Death) -> String {
    let netns = death.netns_name.clone().or(death.netns.map(|netns| format!("netns {netns}")));
    let at = match (&death.device, netns) {
        (Some(device), Some(netns)) => format!(" at {device} in {netns}"),
        (Some(device), None) => format!(" at {device}"),
        (None, Some(netns)) => format!(" in {netns}"),
        (None, None) => String::new(),
    };
    let stage = death.stage.as_deref().map(|stage| format!(", {stage}")).unwrap_or_default();
    format!("{}{at}{stage}", death.cause.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn sentences() {
        let mut broken = fixtures::broken();
        broken.run.run_id = Some("00000000005eed01".into());
        assert_eq!(
            sentence(&broken),
            "window of 2026-01-02T03:04:05Z: broken, 400 of 12966 attempts not answered in time; 355 died of \
             netfilter at r0 in router, netfilter forward (/reports/00000000005eed01)"
        );
        assert_eq!(
            sentence(&fixtures::without_kernel()),
            "window of 2026-01-02T03:04:05Z: broken, 100 of 100 attempts not answered in time; nothing explains \
             100 of them"
        );
        assert_eq!(
            sentence(&fixtures::nothing_sent()),
            "window of 2026-01-02T03:04:05Z: inconclusive, 0 of 0 attempts not answered in time"
        );
    }
}
