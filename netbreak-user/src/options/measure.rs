//! How a run is measured and told, whatever it visits.

use super::{Output, Refused, Trigger, limits, output, trigger, validate_run_id};
use crate::cli::{KernelArgs, OutputArgs, TriggerArgs};
use crate::clock::Nanos;

/// What `run` and `matrix` have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasureOptions {
    /// What breaks the network meanwhile.
    pub trigger: Option<Trigger>,
    /// Tells this run's packets from those of others; `None` is a random number.
    pub run_id: Option<u64>,
    /// Where the report goes.
    pub output: Output,
    /// No progress bar.
    pub quiet: bool,
    /// Load nothing into the kernel.
    pub no_kernel: bool,
    /// Report the way of the probes' packets.
    pub path: bool,
    /// Do not follow the probes' packets.
    pub no_path: bool,
    /// Entries of the kernel's flow map.
    pub flows: u32,
}

impl MeasureOptions {
    /// Checks every rule. `duration` is the run's.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(super) fn check(
        (trigger, output, kernel): (&TriggerArgs, &OutputArgs, &KernelArgs),
        run_id: Option<&str>,
        duration: Nanos,
    ) -> Result<Self, Refused> {
        Ok(MeasureOptions {
            trigger: trigger::validate_trigger(trigger, duration)?,
            run_id: run_id.map(|typed| validate_run_id("--run-id", typed)).transpose()?,
            output: output::validate_output_args(output)?,
            quiet: output.quiet,
            no_kernel: kernel.no_kernel,
            path: output.path,
            no_path: kernel.no_path,
            flows: limits::validate_flows(&kernel.flows)?,
        })
    }
}
