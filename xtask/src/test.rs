//! `cargo xtask test`: every test, with all that the tests need.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::cmd::Cmd;
use crate::{build_ebpf, image, setup, vm, workspace};

/// Sets up, builds the eBPF object and, for root, the container image, and runs `cargo test ARGS`. Without arguments,
/// which choose among the tests of this machine, virtual machines follow.
///
/// # Errors
/// When a step or a test fails; in CI also when tests would have to be skipped.
pub fn run(args: &[OsString]) -> Result<()> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true" || ci == "1");
    let root = workspace::is_root();
    if !root {
        if ci {
            bail!(
                "CI must run as root: the tests in network namespaces cannot run, and nothing is skipped in CI"
            );
        }
        eprintln!(
            "! not root: the tests that need network namespaces or eBPF say \"skipped\" and prove nothing"
        );
    }
    setup::run(setup::Wanted { image: root, ovn: root, browser: root, vm: root, bench: false })?;
    build_ebpf::run(false)?;
    let mut test = Cmd::new("cargo").args(["test"]).args(args);
    if root {
        // Containers of it run as root only.
        test = test.env("NETBREAK_IMAGE", image::build()?);
    }
    if ci {
        // Tests that would skip themselves fail instead.
        test = test.env("NETBREAK_REQUIRE", "1");
    }
    test.run()?;
    if root && args.is_empty() { vm::planned() } else { Ok(()) }
}
