//! `cargo xtask lab`: netbreak's verdicts against what the lab knows.

use anyhow::{Result, ensure};

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// Runs every fault of the lab whose name contains `filter` and prints how many attempts were located rightly, wrongly or
/// not at all.
///
/// # Errors
/// When this process is not root, a step fails, or anything is wrong.
pub fn score(filter: Option<&str>) -> Result<()> {
    ensure!(
        workspace::is_root(),
        "the score needs root: it makes network namespaces and loads eBPF programs"
    );
    setup::run(setup::Wanted::default())?;
    build_ebpf::run(false)?;
    Cmd::new("cargo")
        .env("NETBREAK_REQUIRE", "1")
        .env("NETBREAK_FAULT", filter.unwrap_or_default())
        .args(["test", "--package=netbreak-user", "--test=packets", "--", "--nocapture", "--exact"])
        .args(["scored::every_fault_is_located_and_counted"])
        .run()
}
