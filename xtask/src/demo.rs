//! `cargo xtask demo`: from a fresh checkout to a located break.

use std::ffi::OsString;

use anyhow::Result;

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// Sets up, builds, and becomes `netbreak demo ARGS`; `--ovn` is `--lab ovn-cluster`.
///
/// # Errors
/// When a step fails.
pub fn run(args: &[OsString]) -> Result<()> {
    let args: Vec<OsString> = args.iter().flat_map(expand).collect();
    setup::run(setup::Wanted { ovn: wants_ovn(&args), ..Default::default() })?;
    build_ebpf::run(false)?;
    Cmd::new("cargo").args(["build", "--release", "--package=netbreak-user"]).run()?;
    Cmd::new(workspace::target()?.join("release/netbreak")).args(["demo"]).args(&args).exec()
}

/// `--ovn` is short for the cluster's lab.
fn expand(arg: &OsString) -> Vec<OsString> {
    if arg == "--ovn" { vec!["--lab".into(), "ovn-cluster".into()] } else { vec![arg.clone()] }
}

/// `--lab ovs`, `--lab=ovn`: all of them are made of the same packages.
fn wants_ovn(args: &[OsString]) -> bool {
    let is_lab = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        matches!(arg.strip_prefix("--lab=").unwrap_or(&arg), "ovs" | "ovn" | "ovn-cluster")
    };
    args.iter().any(is_lab)
}
