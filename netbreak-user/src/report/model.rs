//! The report's model, schema `netbreak.report/1`. Field names are a contract: other programs read them.
//!
//! Times are seconds from the start of the run; a field that was not measured is absent, never 0.

mod death;
mod drops;
mod probe;

pub use death::*;
pub use drops::*;
pub use probe::*;

use serde::{Deserialize, Serialize};

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "netbreak.report/1";

/// [`Change::what`] of the command that broke what was measured.
pub const TRIGGER: &str = "trigger";

/// Everything that one run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Name and version of this model: [`SCHEMA`].
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// Where, when and with which sensors it was measured.
    pub run: Run,
    /// One entry a target of the command line.
    pub targets: Vec<Target>,
    /// Every flow of the kernel's flow map, most packets first.
    pub drops: Vec<DropRow>,
    /// The exact table: all drops of the machine, by reason, device and namespace.
    pub drop_totals: Vec<DropTotal>,
    /// What changed on the machine meanwhile.
    pub changes: Vec<Change>,
    /// Traced against counted.
    pub books: Vec<Book>,
    /// What was lost while measuring.
    pub losses: Losses,
    /// The answer in one word.
    pub verdict: VerdictWord,
}

/// Where, when and with which sensors it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What tells the packets of this run from those of others, 16 hexadecimal digits; absent in reports of a netbreak that
    /// did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// Wall time of the start, RFC 3339. The only wall time of a report.
    pub started: String,
    /// How long probes ran.
    pub duration_s: f64,
    /// Inode number of the probes' network namespace.
    pub netns: u32,
    /// Its name where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// TCP segments of that namespace over the run, the probes' and everybody else's; absent when not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_segments: Option<TcpSegments>,
    /// Ended by a signal before its time?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Every sensor, also those that are off.
    pub sensors: Vec<Sensor>,
    /// Other nodes whose sightings were merged in; absent where none were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
}

/// A node that saw packets of this run pass or die.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name.
    pub host: String,
    /// Wall time there when it began to watch, RFC 3339.
    pub started: String,
    /// Attempts of this run that it saw.
    pub seen: u64,
    /// Lost attempts of the probes that it saw that nothing explained, or that had left this report's host alive.
    pub unplaced: u64,
    /// Those of them that died there.
    pub died: u64,
    /// Those of them that left it alive.
    pub passed: u64,
    /// Those of them that did not come there.
    pub not_reached: u64,
    /// Answered attempts that both hosts have the times of: what the clocks were compared by.
    pub matched: u64,
    /// How far its wall clock is ahead of this report's host; negative = behind; absent without a match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_s: Option<f64>,
    /// `offset_s` is within that much of the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_s: Option<f64>,
    /// What was lost while it watched.
    pub losses: Losses,
}

/// What the kernel counted of TCP in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TcpSegments {
    /// Sent for the first time (`Tcp.OutSegs`).
    pub out: u64,
    /// Sent again (`Tcp.RetransSegs`).
    pub retransmitted: u64,
}

/// One source of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Such as `kfree_skb`.
    pub name: String,
    /// Whether it runs.
    pub state: SensorState,
    /// Why it is not fully on; what would turn it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Why a sensor of Open vSwitch's kernel datapath is off where there is none: nothing is missing then.
pub const NO_DATAPATH: &str = "openvswitch is not loaded: there is no kernel datapath";

impl Sensor {
    /// Is something not seen because of it?
    pub fn is_missed(&self) -> bool {
        self.state != SensorState::On && self.why.as_deref() != Some(NO_DATAPATH)
    }
}

/// Whether a sensor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SensorState {
    /// As designed.
    On,
    /// With a part missing.
    Degraded,
    /// Not at all.
    Off,
}

impl SensorState {
    /// As reports say it.
    pub fn name(self) -> &'static str {
        match self {
            SensorState::On => "on",
            SensorState::Degraded => "degraded",
            SensorState::Off => "off",
        }
    }
}

/// One target of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// As typed.
    pub target: String,
    /// What it resolved to.
    pub address: String,
    /// Which row of a matrix this is; absent for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// Its probes.
    pub probes: Vec<Probe>,
}

/// A row of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the file calls it.
    pub name: String,
    /// What the file calls the source.
    pub source: String,
    /// The source's network namespace (inode number).
    pub netns: u32,
}

/// Something that changed on the machine during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When.
    pub at_s: f64,
    /// What, in a word: `link`, `address`, `route`, `neighbour`, `process`, `trigger`, `clock`.
    pub what: String,
    /// Which device it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// In words.
    pub detail: String,
}

/// One equality between what was traced and what a kernel counter says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// What is compared.
    pub name: String,
    /// In which namespace (inode number).
    pub netns: u32,
    /// Its name where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Our side; absent when this kernel does not let it be traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<u64>,
    /// The counter's name, such as `Tcp.RetransSegs`.
    pub counter: String,
    /// The kernel's side; absent when the counter could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u64>,
    /// Equal? Absent when one side is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
    /// Why it does not balance, or cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was lost while measuring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Events that found the ring buffer full.
    pub ring_full: u64,
    /// Segments counted in the totals whose flow found the flow map full.
    pub map_full: u64,
    /// Packets whose headers could not be read.
    pub unreadable: u64,
    /// Times that the kernel skipped a program because it interrupted itself (`recursion_misses`).
    pub missed: u64,
    /// Attempts whose way the ledger had forgotten when it was to be read.
    pub ledger: u64,
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VerdictWord {
    /// Every attempt was answered in time (or refused).
    Clean,
    /// Some were not.
    Broken,
    /// The run could not tell.
    Inconclusive,
}

impl VerdictWord {
    /// The name in reports, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            VerdictWord::Clean => "clean",
            VerdictWord::Broken => "broken",
            VerdictWord::Inconclusive => "inconclusive",
        }
    }

    /// Exit status of the command.
    pub fn exit_code(self) -> u8 {
        match self {
            VerdictWord::Clean => 0,
            VerdictWord::Broken => 1,
            VerdictWord::Inconclusive => 2,
        }
    }
}
