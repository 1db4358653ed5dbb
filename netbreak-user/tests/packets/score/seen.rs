//! What a run said, to be compared with what its faults do; and how it is shown when they differ.

use netbreak_user::lab::Expected;
use netbreak_user::report::{Death, Probe, Report};

use super::case::Case;
use crate::common::{Done, Served, Witness, total};

/// A run of a case.
pub struct Seen<'a> {
    /// Of what.
    pub case: &'a Case,
    /// Exit status.
    pub status: i32,
    /// How many packets died of each fault by the kernel's own count.
    pub truths: Vec<Option<u64>>,
    /// Drops of the expected reasons on this machine that no program could see.
    pub unseen: u64,
    /// How many packets of others died, where that is counted; `None` without others.
    pub foreign: Option<Option<u64>>,
    served: &'a Served,
    report: &'a Report,
}

impl<'a> Seen<'a> {
    pub fn new(
        case: &'a Case,
        served: &'a Served,
        done: &'a Done,
        truths: Vec<Option<u64>>,
        foreign: Option<Option<u64>>,
        witness: &Witness,
    ) -> Seen<'a> {
        let mut reasons: Vec<&str> =
            case.faults.iter().filter_map(|fault| fault.expected).flat_map(|e| e.reasons).copied().collect();
        reasons.sort_unstable();
        reasons.dedup();
        let hidden: u64 = reasons.into_iter().map(|reason| witness.drops(reason)).sum();
        let unseen = hidden + done.report.losses.missed;
        Seen { case, status: done.status, truths, unseen, foreign, served, report: &done.report }
    }

    /// Of all addresses.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.report.targets.iter().flat_map(|target| &target.probes)
    }

    /// Attempts of deaths for which `is_so` holds.
    pub fn died(&self, is_so: impl Fn(&Death) -> bool) -> u64 {
        self.probes().flat_map(|probe| &probe.deaths).filter(|death| is_so(death)).map(|d| d.attempts).sum()
    }

    /// A number of each probe, of all probes.
    pub fn sum(&self, number: impl Fn(&Probe) -> u64) -> u64 {
        self.probes().map(number).sum()
    }

    /// Is it the death that this fault brings?
    pub fn is(&self, death: &Death, expected: Expected) -> bool {
        let reason = death.reason.as_deref();
        death.cause == expected.cause
            && death.leg == expected.leg
            && death.netns == Some(self.served.inode(expected.role))
            && (expected.device.is_none() || death.device.as_deref() == expected.device)
            // Where no drop was seen the place came from the path, and there is no reason.
            && (expected.reasons.is_empty() || reason.is_none_or(|reason| expected.reasons.contains(&reason)))
    }

    /// May it have been another, further on, that no program saw? Where the kernel skipped our programs, that must be said;
    /// where it ran none, nobody but the witness knows.
    pub fn may_be_another(&self, death: &Death) -> bool {
        let is_said = death.explain.contains("or they died further on");
        let skipped = if is_said { 0 } else { self.report.losses.missed };
        death.reason.is_none() && death.attempts <= self.unseen - skipped
    }

    /// Is it the death that one of the faults brings?
    pub fn is_right(&self, death: &Death) -> bool {
        self.case.faults.iter().filter_map(|fault| fault.expected).any(|expected| self.is(death, expected))
    }

    /// What the exact table says of a place. `None` where it has no reasons on this kernel, or cannot tell the fault's drops from others: many
    /// things are freed for no reason given, and only flows tell them apart, for which a flood beside us may have left no
    /// room. The deaths are exact all the same.
    pub fn total(&self, expected: Expected) -> Option<u64> {
        if expected.reasons.is_empty() || expected.reasons.contains(&"NOT_SPECIFIED") {
            return None;
        }
        if self.report.drop_totals.iter().all(|row| row.reason.is_none()) {
            return None;
        }
        let netns = self.served.inode(expected.role);
        Some(expected.reasons.iter().map(|reason| total(self.report, reason, expected.device, netns)).sum())
    }
}

impl std::fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let expected: Vec<_> = self.case.faults.iter().map(|fault| fault.expected).collect();
        writeln!(
            f,
            "{}: {:?} by the kernel's count, {} that no program saw, expected {expected:?}",
            self.case.name, self.truths, self.unseen
        )?;
        for target in &self.report.targets {
            for probe in &target.probes {
                let Probe {
                    sent, answered, late, lost, timed_out, refused, unreachable, send_failed, ..
                } = probe;
                writeln!(
                    f,
                    "{} {}: {sent} sent, {answered} answered, {late} late, {lost} lost, {timed_out} timed out, \
                     {refused} refused, {unreachable} unreachable, {send_failed} failed, {} unexplained",
                    target.address,
                    probe.kind.name(),
                    probe.unexplained
                )?;
                for death in &probe.deaths {
                    let Death { attempts, leg, cause, reason, symbol, device, netns_name, stage, .. } = death;
                    writeln!(
                        f,
                        "  {attempts} {leg:?} {cause:?} {reason:?} {symbol:?} {device:?} {netns_name:?} {:?} {stage:?}",
                        death.netns
                    )?;
                    writeln!(f, "    {:.2} s to {:.2} s: {}", death.first_s, death.last_s, death.explain)?;
                }
            }
        }
        let ours = self.served.lab.names();
        let is_ours = |netns: Option<u32>| ours.iter().find(|(inode, _)| Some(*inode) == netns);
        for row in &self.report.drop_totals {
            if let Some((inode, name)) = is_ours(row.netns) {
                writeln!(f, "  {name} {inode}: {} {:?} at {:?}", row.packets, row.reason, row.device)?;
            }
        }
        for change in &self.report.changes {
            writeln!(f, "  {change:?}")?;
        }
        write!(f, "  losses {:?}", self.report.losses)
    }
}
