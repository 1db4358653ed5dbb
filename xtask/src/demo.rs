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
    setup::run(setup::Wanted { ovn: wants_ovn(args), ..Default::default() })?;
    build_ebpf::run(false)?;
    Cmd::new("cargo").args(["build", "--release", "--package=netbreak-user"]).run()?;
    Cmd::new(workspace::target()?.join("release/netbreak")).args(["demo"]).args(args).exec()
}

/// `--lab ovs`, `--lab=ovn`: both are made of the same packages.
fn wants_ovn(args: &[OsString]) -> bool {
    args.iter().any(|arg| ["ovs", "ovn", "--lab=ovs", "--lab=ovn"].iter().any(|word| arg == word))
}
