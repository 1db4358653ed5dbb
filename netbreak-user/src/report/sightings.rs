//! What one node saw of a run that another one makes, schema `netbreak.sightings/1`: written by `netbreak watch --run`,
//! merged into the run's report by `netbreak report`.
//!
//! Times are seconds from when the watching began, by this node's clock.

use serde::{Deserialize, Serialize};

use super::{Death, Leg, Losses, Sensor, attempts::check_columns, check::check_duration, json::on_one_line};
use crate::{probe::Kind, run_id};

/// The value of [`Sightings::schema`].
pub const SIGHTINGS: &str = "netbreak.sightings/1";

/// Everything that a node saw of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sightings {
    /// [`SIGHTINGS`].
    #[cfg_attr(test, schemars(extend("const" = SIGHTINGS)))]
    pub schema: String,
    /// Whose packets: 16 hexadecimal digits.
    pub run_id: String,
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// Wall time when it began to watch, RFC 3339.
    pub started: String,
    /// How long it watched.
    pub duration_s: f64,
    /// Namespaces that it was told to watch alone (inode numbers); none = all of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_netns: Vec<u32>,
    /// Every sensor, also those that are off.
    pub sensors: Vec<Sensor>,
    /// Probes with smaller numbers were followed, others not.
    pub followed: u32,
    /// Those of which something was seen, ascending by number.
    pub probes: Vec<Sighted>,
    /// TCP connections of which something was dropped, of this run or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    /// What was lost while watching.
    pub losses: Losses,
}

/// Connections of which segments were dropped at one place for one reason: a row of all columns is a flow, by the
/// direction of the segments, as long as they were dropped without a longer pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// What an attempt among them died of, if it did. Its leg is not known here.
    pub death: Death,
    /// Source addresses.
    #[serde(serialize_with = "on_one_line")]
    pub src: Vec<String>,
    /// Source ports.
    #[serde(serialize_with = "on_one_line")]
    pub sport: Vec<u16>,
    /// Destination addresses.
    #[serde(serialize_with = "on_one_line")]
    pub dst: Vec<String>,
    /// Destination ports.
    #[serde(serialize_with = "on_one_line")]
    pub dport: Vec<u16>,
    /// When a segment was dropped first, to the kernel's tick (1 to 10 ms); after a pause up to a second earlier.
    #[serde(serialize_with = "on_one_line")]
    pub first_s: Vec<f64>,
    /// When one was dropped last, likewise.
    #[serde(serialize_with = "on_one_line")]
    pub last_s: Vec<f64>,
}

impl Dropped {
    /// Nothing yet.
    pub fn at(death: Death) -> Self {
        let (src, dst, sport, dport) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { death, src, sport, dst, dport, first_s: Vec::new(), last_s: Vec::new() }
    }

    fn check(&self) -> Result<(), String> {
        let Self { src, sport, dst, dport, first_s, last_s, .. } = self;
        let lengths = [sport.len(), dst.len(), dport.len(), first_s.len(), last_s.len()];
        if lengths.iter().all(|length| *length == src.len()) {
            return Ok(());
        }
        Err(format!("dropped: {} sources, and {lengths:?} values", src.len()))
    }
}

/// What was seen of one probe's packets. Which of its attempts were answered is not known here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sighted {
    /// Its number in the payloads of its packets.
    pub probe: u32,
    /// Which kind, by its packets.
    pub kind: Kind,
    /// How attempts ended here, if they were not answered: most attempts first.
    pub ends: Vec<Ended>,
    /// When each request was seen first.
    pub requests: Seen,
    /// When each reply was seen last.
    pub replies: Seen,
}

/// Attempts that ended here alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// What a lost attempt among them died of.
    pub death: Death,
    /// Numbers within the probe, ascending.
    #[serde(serialize_with = "on_one_line")]
    pub seq: Vec<u64>,
}

/// Attempts and when a packet of theirs was seen, ascending by number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Numbers within the probe.
    #[serde(serialize_with = "on_one_line")]
    pub seq: Vec<u64>,
    /// When.
    #[serde(serialize_with = "on_one_line")]
    pub at_s: Vec<f64>,
}

impl Seen {
    /// Adds one after all that are there.
    pub fn push(&mut self, seq: u64, at_s: f64) {
        self.seq.push(seq);
        self.at_s.push(at_s);
    }

    /// When a packet of this attempt was seen.
    pub fn at(&self, seq: u64) -> Option<f64> {
        self.at_s.get(self.seq.binary_search(&seq).ok()?).copied()
    }
}

impl Ended {
    /// Were they last seen leaving this node alive?
    pub fn is_alive(&self) -> bool {
        left_alive(&self.death)
    }
}

/// Did these attempts leave the node where they were seen last?
pub(super) fn left_alive(death: &Death) -> bool {
    death.stage.as_deref() == Some("device transmit")
}

impl Sighted {
    /// Every attempt of which something was seen, ascending.
    pub fn seen(&self) -> Vec<u64> {
        let ended = self.ends.iter().flat_map(|ended| &ended.seq);
        let mut all: Vec<u64> = ended.chain(&self.requests.seq).chain(&self.replies.seq).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Sightings {
    /// Checks that columns fit each other, and that no attempt ended twice.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        if run_id::parse(&self.run_id).is_none() {
            return Err(format!("run_id {:?} is none", self.run_id));
        }
        check_duration("duration_s", self.duration_s)?;
        if !self.probes.is_sorted_by(|a, b| a.probe < b.probe) {
            return Err("a probe is there twice, or they are out of order".to_owned());
        }
        self.dropped.iter().try_for_each(Dropped::check)?;
        for probe in &self.probes {
            for seen in [&probe.requests, &probe.replies] {
                check_columns(&seen.seq, &[seen.at_s.len()])?;
            }
            for ended in &probe.ends {
                check_columns(&ended.seq, &[])?;
                let (attempts, listed) = (ended.death.attempts, ended.seq.len() as u64);
                if attempts != listed || attempts == 0 || ended.death.leg == Leg::Unknown {
                    return Err(format!("an end of {attempts} attempts has {listed}, or no leg"));
                }
            }
            let mut all: Vec<u64> = probe.ends.iter().flat_map(|ended| &ended.seq).copied().collect();
            all.sort_unstable();
            if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("attempt {} of probe {} ended twice", pair[0], probe.probe));
            }
        }
        Ok(())
    }
}
