//! A probe over time: what can be drawn of a run of any length, at a bounded size.

use serde::{Deserialize, Serialize};

use super::{Probe, json::on_one_line};

/// A probe's attempts in bins of equal width, the first of which begins with the run. An attempt belongs to the bin in
/// which it left, also with its answer or its death.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// Width of a bin in seconds.
    pub bin_s: f64,
    /// Attempts, of every bin.
    #[serde(serialize_with = "on_one_line")]
    pub sent: Vec<u64>,
    /// Round-trip times of those answered in time.
    pub rtt_us: RttBins,
    /// Answered after the time-out.
    pub late: Counted,
    /// RST after the connection was established.
    pub reset: Counted,
    /// Attempts of each of the probe's `deaths`, in the same order.
    pub deaths: Vec<Counted>,
    /// Lost attempts that nothing explains.
    pub unexplained: Counted,
    /// Retransmitted segments, where they were sent again; absent when not traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<Counted>,
}

/// A count in each of some bins; 0 in all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Numbers of the bins, from 0, ascending.
    #[serde(serialize_with = "on_one_line")]
    pub bins: Vec<u32>,
    /// How many in each of them.
    #[serde(serialize_with = "on_one_line")]
    pub counts: Vec<u64>,
}

/// Round-trip times in microseconds, in those bins that have some.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RttBins {
    /// Numbers of the bins, from 0, ascending.
    #[serde(serialize_with = "on_one_line")]
    pub bins: Vec<u32>,
    /// Smallest in each of them.
    #[serde(serialize_with = "on_one_line")]
    pub min: Vec<f64>,
    /// Median.
    #[serde(serialize_with = "on_one_line")]
    pub p50: Vec<f64>,
    /// Largest.
    #[serde(serialize_with = "on_one_line")]
    pub max: Vec<f64>,
}

impl Counted {
    /// Adds one bin after all that are there.
    pub fn push(&mut self, bin: u32, count: u64) {
        self.bins.push(bin);
        self.counts.push(count);
    }

    /// Every bin that has a count, with it.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.bins.iter().copied().zip(self.counts.iter().copied())
    }

    /// Over all bins.
    pub fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn check(&self, bins: usize) -> Result<(), String> {
        check_bins(&self.bins, &[self.counts.len()], bins)
    }
}

impl Timeline {
    /// Checks it against the sums of its probe.
    ///
    /// # Errors
    /// The first sum that differs, with both sides.
    pub(super) fn check(&self, probe: &Probe) -> Result<(), String> {
        let bins = self.sent.len();
        let counted = [&self.late, &self.reset, &self.unexplained];
        for counted in counted.into_iter().chain(&self.deaths).chain(&self.retransmits) {
            counted.check(bins)?;
        }
        let RttBins { bins: answered, min, p50, max } = &self.rtt_us;
        check_bins(answered, &[min.len(), p50.len(), max.len()], bins)?;
        if (0..min.len()).any(|index| ![min[index], p50[index], max[index]].is_sorted()) {
            return Err("timeline: round-trip times of a bin are not ascending".into());
        }
        let mut unanswered = vec![0; bins];
        for (bin, count) in counted.into_iter().chain(&self.deaths).flat_map(Counted::iter) {
            unanswered[bin as usize] += count;
        }
        if let Some(bin) = (0..bins).find(|bin| unanswered[*bin] > self.sent[*bin]) {
            return Err(format!("timeline: more unanswered than sent in bin {bin}"));
        }
        let died: Vec<u64> = self.deaths.iter().map(Counted::sum).collect();
        let deaths: Vec<u64> = probe.deaths.iter().map(|death| death.attempts).collect();
        if died != deaths {
            return Err(format!("timeline: deaths {died:?} are not {deaths:?}"));
        }
        for (what, binned, all) in [
            ("sent", self.sent.iter().sum(), probe.sent),
            ("late", self.late.sum(), probe.late),
            ("reset", self.reset.sum(), probe.reset),
            ("unexplained", self.unexplained.sum(), probe.unexplained),
            (
                "retransmits",
                self.retransmits.as_ref().map_or(0, Counted::sum),
                probe.retransmits.map_or(0, |counted| counted.segments),
            ),
        ] {
            if binned != all {
                return Err(format!("timeline: {what}: {binned} in bins is not {all}"));
            }
        }
        Ok(())
    }
}

fn check_bins(numbers: &[u32], lengths: &[usize], bins: usize) -> Result<(), String> {
    let fits = lengths.iter().all(|length| *length == numbers.len())
        && numbers.is_sorted_by(|a, b| a < b)
        && numbers.last().is_none_or(|last| (*last as usize) < bins);
    if fits { Ok(()) } else { Err(format!("timeline: bins {numbers:?} of {bins}, and {lengths:?} values")) }
}
