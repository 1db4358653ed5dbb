//! `cargo xtask vm`: scenarios in virtual machines, on kernels that this machine does not run.
//!
//! A scenario is a test of netbreak-user/tests/vm. One boot runs one scenario on one kernel: a boot costs three or four
//! seconds, and nothing that a scenario leaves behind in a kernel can be seen by another.

mod boot;
mod build;
mod console;
mod cpio;
mod fetch;
mod initramfs;
mod kernels;
mod modules;
mod place;
mod plan;
mod runs;
mod support;
mod table;

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::setup;
use place::Place;

/// Two guests at a time keep two cores busy.
const JOBS: u8 = 2;

/// The command line.
#[derive(clap::Args)]
pub struct Options {
    /// Kernels (5.10, 6.1, 6.12, 6.18, newest) and scenarios (tests of netbreak-user/tests/vm, or modules of them);
    /// all if none is named
    names: Vec<String>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// With netbreak as `cargo build` makes it, not as for the container image: sooner built, three times slower
    #[arg(long)]
    dev: bool,
    /// How many guests run at the same time
    #[arg(long, default_value_t = JOBS, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Stop a guest after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Runs scenarios on kernels, and prints a table of them.
///
/// # Errors
/// When a name is unknown, a step fails or a scenario does not pass.
pub fn run(options: &Options) -> Result<()> {
    let place = prepare()?;
    let built = build::all(&place.built(), options.dev)?;
    let scenarios = build::scenarios(&built.scenarios)?;
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{scenario}"));
        return Ok(());
    }
    let timeout = options.timeout.map_or(plan::TIMEOUT, Duration::from_secs);
    let runs = plan::named(&options.names, &scenarios)?;
    runs::all(&place, &built, &runs, options.jobs, timeout)?;
    support::check(&place, &runs)
}

/// What `cargo xtask test` runs of them.
///
/// # Errors
/// As [`run`].
pub fn planned() -> Result<()> {
    let place = prepare()?;
    let built = build::all(&place.built(), false)?;
    let runs = plan::planned(&build::scenarios(&built.scenarios)?)?;
    runs::all(&place, &built, &runs, JOBS, plan::TIMEOUT)?;
    support::check(&place, &runs)
}

fn prepare() -> Result<Place> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "guests are x86-64 machines, with programs of this one, which is not"
    );
    setup::run(setup::Wanted { vm: true, ovn: true, ..Default::default() })?;
    Place::take()
}
