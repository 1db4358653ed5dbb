//! Several nodes' view of one run: attempts that had left the report's host alive, or that nothing explained, get the end
//! that another node saw. Attempts are matched by run, probe and number, which their packets carry: no clocks need agree.

mod clock;
mod fate;
mod node;
mod words;

use std::collections::BTreeMap;

use self::{
    fate::{Fate, fate, is_open},
    node::{Visit, Watcher},
};
use super::{Attempts, Counted, Death, Listed, One, Probe, Report, Sightings, Target, Timeline};

/// Why they cannot be merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    /// The report is of a netbreak that wrote neither.
    #[error(
        "it has no run id or no single attempts, since an older netbreak wrote it: nothing can be merged into it"
    )]
    Older,
    /// It was merged before.
    #[error(
        "sightings were merged into it before ({0}): name the run's own report and all its sightings at once"
    )]
    Merged(String),
    /// Two runs.
    #[error("it is of run {report}, and the sightings of {host} are of run {sightings}")]
    OtherRun {
        /// Of the report.
        report: String,
        /// Who wrote the sightings.
        host: String,
        /// Of the sightings.
        sightings: String,
    },
    /// One file under two names.
    #[error("the sightings of {host} that begin at {started} are named twice")]
    Twice {
        /// Who wrote them.
        host: String,
        /// When.
        started: String,
    },
    /// No time.
    #[error("{0:?} is no time: it was changed after it was written")]
    Time(String),
    /// What comes out keeps no identity: what went in was changed.
    #[error("merged, its numbers would contradict each other ({0}): it or the sightings were changed")]
    Contradicts(String),
}

/// `report` with the sightings of other nodes merged in. Books, drops and changes stay those of its own host.
///
/// # Errors
/// See [`MergeError`]; its messages go on where `FILE: ` leaves off.
pub fn merge(report: &Report, sightings: &[Sightings]) -> Result<Report, MergeError> {
    check(report, sightings)?;
    let watchers = sightings.iter().map(|seen| Watcher::new(report, seen)).collect::<Result<Vec<_>, _>>()?;
    let mut merged = report.clone();
    let mut nodes: Vec<_> = watchers.iter().map(Watcher::summary).collect();
    for (address, probe) in merged.targets.iter_mut().flat_map(probes) {
        let Some(attempts) = probe.attempts.clone() else { continue };
        let visit = Visit { address, kind: probe.kind, port: probe.port, probe: attempts.probe };
        let fates = fates(&visit, probe, &attempts, &watchers);
        for (node, watcher) in nodes.iter_mut().zip(&watchers) {
            if watcher.follows(&visit) {
                node.unplaced += open(probe, &attempts);
            }
        }
        for (fate, listed) in &fates {
            fate.count(listed.seq.len() as u64, &watchers, &mut nodes);
        }
        bury(&report.run.host, probe, attempts, fates, &watchers);
    }
    merged.run.nodes = nodes;
    merged.check().map_err(MergeError::Contradicts)?;
    Ok(merged)
}

/// With the address that each visits.
fn probes(target: &mut Target) -> impl Iterator<Item = (&str, &mut Probe)> {
    let address = target.address.as_str();
    target.probes.iter_mut().map(move |probe| (address, probe))
}

fn check(report: &Report, sightings: &[Sightings]) -> Result<(), MergeError> {
    let run_id = report.run.run_id.as_ref().ok_or(MergeError::Older)?;
    if report.probes().any(|probe| probe.attempts.is_none()) {
        return Err(MergeError::Older);
    }
    if !report.run.nodes.is_empty() {
        let nodes: Vec<&str> = report.run.nodes.iter().map(|node| node.host.as_str()).collect();
        return Err(MergeError::Merged(nodes.join(", ")));
    }
    for (index, seen) in sightings.iter().enumerate() {
        let (host, started) = (seen.host.clone(), seen.started.clone());
        if seen.run_id != *run_id {
            let (report, sightings) = (run_id.clone(), seen.run_id.clone());
            return Err(MergeError::OtherRun { report, host, sightings });
        }
        if sightings[..index].iter().any(|other| (&other.host, &other.started) == (&host, &started)) {
            return Err(MergeError::Twice { host, started });
        }
    }
    Ok(())
}

/// Each of the probe's deaths with its attempts; last those that nothing explains.
fn bases<'a>(
    probe: &'a Probe,
    attempts: &'a Attempts,
) -> impl Iterator<Item = (Option<usize>, Option<&'a Death>, &'a Listed)> {
    let deaths = probe.deaths.iter().zip(&attempts.deaths).enumerate();
    deaths.map(|(index, (death, listed))| (Some(index), Some(death), listed)).chain([(
        None,
        None,
        &attempts.unexplained,
    )])
}

/// Attempts whose end another node may have seen.
fn open(probe: &Probe, attempts: &Attempts) -> u64 {
    bases(probe, attempts)
        .filter(|(_, death, _)| is_open(*death))
        .map(|(.., listed)| listed.seq.len() as u64)
        .sum()
}

/// What became of every attempt that needed a death.
fn fates(visit: &Visit, probe: &Probe, attempts: &Attempts, watchers: &[Watcher]) -> BTreeMap<Fate, Listed> {
    let mut fates: BTreeMap<Fate, Vec<One>> = BTreeMap::new();
    for (base, death, listed) in bases(probe, attempts) {
        for attempt in listed.iter() {
            let fate = match is_open(death) {
                true => fate(base, &attempt, visit, watchers),
                false => Fate::Same(base),
            };
            fates.entry(fate).or_default().push(attempt);
        }
    }
    let listed = |mut attempts: Vec<One>| {
        attempts.sort_by_key(|attempt| attempt.seq);
        let mut listed = Listed::default();
        attempts.into_iter().for_each(|attempt| listed.push(attempt));
        listed
    };
    fates.into_iter().map(|(fate, attempts)| (fate, listed(attempts))).collect()
}

/// Writes the fates into the probe: deaths, what is unexplained, both over time and one by one.
fn bury(
    host: &str,
    probe: &mut Probe,
    attempts: Attempts,
    fates: BTreeMap<Fate, Listed>,
    watchers: &[Watcher],
) {
    let mut unexplained = Listed::default();
    let mut dead: Vec<(Death, Listed)> = Vec::new();
    for (fate, listed) in fates {
        match fate.death(host, &probe.deaths, &listed, watchers) {
            Some(death) => dead.push((death, listed)),
            None => unexplained = listed,
        }
    }
    dead.sort_by_key(|(death, listed)| (std::cmp::Reverse(death.attempts), listed.seq.first().copied()));
    if let Some(timeline) = &mut probe.timeline {
        timeline.deaths = dead.iter().map(|(_, listed)| binned(timeline, listed)).collect();
        timeline.unexplained = binned(timeline, &unexplained);
    }
    probe.unexplained = unexplained.seq.len() as u64;
    let (deaths, listed) = dead.into_iter().unzip();
    probe.deaths = deaths;
    probe.attempts = Some(Attempts { deaths: listed, unexplained, ..attempts });
}

/// How many left in which bin.
fn binned(timeline: &Timeline, listed: &Listed) -> Counted {
    // Whole nanoseconds, as the bins were made of.
    let nanos = |seconds: f64| (seconds * 1e9).round().max(0.0) as u64;
    let width = nanos(timeline.bin_s).max(1);
    let mut bins: BTreeMap<u64, u64> = BTreeMap::new();
    for One { sent_s, .. } in listed.iter() {
        *bins.entry(nanos(sent_s) / width).or_default() += 1;
    }
    let mut counted = Counted::default();
    bins.into_iter().for_each(|(bin, count)| counted.push(u32::try_from(bin).unwrap_or(u32::MAX), count));
    counted
}

#[cfg(test)]
mod tests;
