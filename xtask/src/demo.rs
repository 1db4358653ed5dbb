//! `cargo xtask demo`: from a fresh checkout to a located break.

use std::ffi::OsString;

use anyhow::Result;

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// Sets up, builds, and becomes `netbreak demo ARGS`.
///
/// # Errors
/// When a step fails.
pub fn run(args: &[OsString]) -> Result<()> {
    setup::run(false, false)?;
    build_ebpf::run(false)?;
    Cmd::new("cargo").args(["build", "--release", "--package=netbreak-user"]).run()?;
    Cmd::new(workspace::target()?.join("release/netbreak")).args(["demo"]).args(args).exec()
}
