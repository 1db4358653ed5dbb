//! `cargo xtask ci`: what must pass before a merge.

use std::path::PathBuf;

use anyhow::Result;

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, test, workspace};

/// Runs the tests unless they are left out, then formatting, lints and licences.
///
/// # Errors
/// With the first thing that does not pass.
pub fn run(no_test: bool) -> Result<()> {
    if no_test {
        // The lints need it too: netbreak-user embeds it.
        build_ebpf::run(false)?;
    } else {
        test::run(&[])?;
    }
    Cmd::new("cargo").args(["fmt", "--all", "--check"]).run()?;
    Cmd::new("cargo").args(["clippy", "--all-targets", "--", "-Dwarnings"]).run()?;
    // Not among all targets, as it is no test of this machine.
    Cmd::new("cargo").args(["clippy", "--package=netbreak-user", "--test=vm", "--", "-Dwarnings"]).run()?;
    clippy_ebpf()?;
    deny()
}

/// The lints of the eBPF crate, for its own target if its toolchain has clippy.
fn clippy_ebpf() -> Result<()> {
    let ebpf = setup::ebpf()?;
    let lints = ["--", "-Dwarnings"];
    let bin = &ebpf.toolchain.bin;
    let clippy = if bin.join("clippy-driver").is_file() {
        // Called by its path, and told its cargo: rustup's come first on PATH.
        build_ebpf::cargo(&ebpf, "cargo-clippy")
            .env("CARGO", bin.join("cargo"))
            .args(["clippy", "--release"])
            .args(build_ebpf::shared_args(&workspace::target()?.join("ebpf")))
    } else {
        // For the host, where the crate's own panic handler needs a profile that does not unwind: without
        // the standard library there is no eh_personality.
        Cmd::new("cargo").args(["clippy", "--config=profile.dev.panic=\"abort\""])
    };
    clippy.args(["--package=netbreak-ebpf", "--bins"]).args(lints).run()
}

const DENY: &str = "0.20.2";

/// Licences, bans and sources of every dependency; advisories if their database can be reached.
fn deny() -> Result<()> {
    let deny = cargo_deny()?;
    let check = |what: &[&str]| {
        Cmd::new(&deny).args(["--locked", "check", "--hide-inclusion-graph"]).args(what).run()
    };
    check(&["licenses", "bans", "sources"])?;
    let database = ["ls-remote", "https://github.com/RustSec/advisory-db", "HEAD"];
    let reach = Cmd::new("timeout").env("GIT_TERMINAL_PROMPT", "0").args(["20", "git"]).args(database);
    if reach.ask().is_none() {
        eprintln!("! advisories are not checked: their database does not answer ({reach})");
        return Ok(());
    }
    check(&["advisories"])
}

/// cargo-deny in the version that `deny.toml` is written for, built if it is not there.
fn cargo_deny() -> Result<PathBuf> {
    let ours = workspace::tools()?.join("bin/cargo-deny");
    let is_right = |path: &PathBuf| {
        let version = Cmd::new(path).args(["--version"]).ask();
        version.is_some_and(|version| version.trim() == format!("cargo-deny {DENY}"))
    };
    let here = workspace::programs("cargo-deny").into_iter().chain([ours.clone()]).find(is_right);
    if let Some(path) = here {
        return Ok(path);
    }
    eprintln!("! no cargo-deny {DENY} yet: building it takes one or two minutes");
    // Not its release profile, whose link-time optimisation takes longer than all its runs.
    let root = format!("--root={}", workspace::tools()?.display());
    Cmd::new("cargo")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .args(["install", "cargo-deny", "--version", DENY, "--locked", "--debug", &root])
        .run()?;
    Ok(ours)
}
