//! `netbreak doctor`: what this machine can and cannot observe, why, and what would help.
//!
//! [`observe`] tries everything for real and leaves nothing behind; the rest is pure.

mod model;
mod observe;
mod sensors;
mod text;

pub use model::{Diagnosis, Finding, Memory, SCHEMA};
pub use observe::{Entered, Observed, observe};
pub use sensors::findings;

use crate::kernel::prerequisites::{Facts, missing_capabilities};

/// Examines this machine for a flow table of `flows` flows. The text to print (JSON or a table of 80 columns), and
/// whether a run can trace drops here: exit status 0, else 2.
pub fn run(json: bool, flows: u32) -> (String, bool) {
    let diagnosis = diagnose(Facts::read(), &observe(flows), flows);
    let text = if json { model::json(&diagnosis) } else { text::render(&diagnosis) };
    (text, diagnosis.can_trace)
}

/// Draws the conclusions. Pure.
pub fn diagnose(facts: Facts, observed: &Observed, flows: u32) -> Diagnosis {
    Diagnosis {
        schema: SCHEMA.to_owned(),
        can_trace: observed.programs.is_ok(),
        sensors: findings(&facts, observed),
        missing_capabilities: missing_capabilities(&facts),
        memory: model::memory(flows, facts.possible_cpus),
        facts,
    }
}

#[cfg(test)]
mod tests;
