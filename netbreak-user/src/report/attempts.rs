//! Single attempts of a probe: what another node's sightings are matched with.

use serde::{Deserialize, Serialize};

use super::{Probe, json::on_one_line};

/// Answered attempts that are listed of one probe, at most.
pub const MOST_ANSWERED: usize = 1_000;

/// The attempts of a probe that needed a death, each of them, and a sample of those answered in time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// The probe's number in the payloads of its packets.
    pub probe: u32,
    /// Those of each of the probe's `deaths`, in the same order.
    pub deaths: Vec<Listed>,
    /// Those that nothing explains.
    pub unexplained: Listed,
    /// Some of those answered in time, of icmp and udp: at most 1,000, evenly spread.
    pub answered: Answered,
}

/// Attempts, ascending by number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Numbers within the probe, from 0.
    #[serde(serialize_with = "on_one_line")]
    pub seq: Vec<u64>,
    /// When each of them left.
    #[serde(serialize_with = "on_one_line")]
    pub sent_s: Vec<f64>,
    /// The local port of each, where there are connections; absent for icmp and udp.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "on_one_line")]
    pub port: Vec<u16>,
}

/// One of [`Listed`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct One {
    /// Number within the probe.
    pub seq: u64,
    /// When it left.
    pub sent_s: f64,
    /// Its local port, where that tells the connection.
    pub port: Option<u16>,
}

/// Attempts that were answered, ascending by number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Numbers within the probe, from 0.
    #[serde(serialize_with = "on_one_line")]
    pub seq: Vec<u64>,
    /// When each of them left.
    #[serde(serialize_with = "on_one_line")]
    pub sent_s: Vec<f64>,
    /// When its answer was there.
    #[serde(serialize_with = "on_one_line")]
    pub answered_s: Vec<f64>,
}

impl Listed {
    /// Adds one after all that are there.
    pub fn push(&mut self, One { seq, sent_s, port }: One) {
        self.seq.push(seq);
        self.sent_s.push(sent_s);
        self.port.extend(port);
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = One> {
        let times = self.seq.iter().copied().zip(self.sent_s.iter().copied());
        times.enumerate().map(|(index, (seq, sent_s))| One {
            seq,
            sent_s,
            port: self.port.get(index).copied(),
        })
    }

    fn check(&self) -> Result<(), String> {
        let ports = if self.port.is_empty() { self.seq.len() } else { self.port.len() };
        check_columns(&self.seq, &[self.sent_s.len(), ports])
    }
}

impl Answered {
    /// Number, when it left, when its answer was there.
    pub fn iter(&self) -> impl Iterator<Item = (u64, f64, f64)> {
        let times = self.sent_s.iter().copied().zip(self.answered_s.iter().copied());
        self.seq.iter().copied().zip(times).map(|(seq, (sent, answered))| (seq, sent, answered))
    }
}

impl Attempts {
    /// Checks them against the sums of their probe.
    ///
    /// # Errors
    /// The first sum that differs, with both sides.
    pub(super) fn check(&self, probe: &Probe) -> Result<(), String> {
        self.deaths.iter().chain([&self.unexplained]).try_for_each(Listed::check)?;
        let Answered { seq, sent_s, answered_s } = &self.answered;
        check_columns(seq, &[sent_s.len(), answered_s.len()])?;
        if seq.len() as u64 > probe.answered {
            return Err(format!("attempts: {} answered of {}", seq.len(), probe.answered));
        }
        let listed: Vec<u64> = self.deaths.iter().map(|listed| listed.seq.len() as u64).collect();
        let deaths: Vec<u64> = probe.deaths.iter().map(|death| death.attempts).collect();
        if listed != deaths {
            return Err(format!("attempts: deaths {listed:?} are not {deaths:?}"));
        }
        match self.unexplained.seq.len() as u64 {
            listed if listed == probe.unexplained => Ok(()),
            listed => Err(format!("attempts: {listed} unexplained are not {}", probe.unexplained)),
        }
    }
}

/// Numbers ascend, and every column has a value for each.
pub(super) fn check_columns(seq: &[u64], lengths: &[usize]) -> Result<(), String> {
    let fits = lengths.iter().all(|length| *length == seq.len()) && seq.is_sorted_by(|a, b| a < b);
    if fits { Ok(()) } else { Err(format!("attempts: {} numbers, and {lengths:?} values", seq.len())) }
}
