//! `cargo xtask bench`: figures of cost and speed.

use anyhow::{Result, ensure};
use clap::ValueEnum as _;

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// A bench of netbreak-user.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Name {
    /// What a counted drop costs, beside bpftrace
    Drop,
    /// How long it takes from exec to the first probe
    Start,
    /// Attempts per second and CPU per attempt, beside fping and ping
    Probe,
    /// What following the probes' packets costs the packets of others
    Path,
    /// Connections per second beside ab and wrk, and how late connects leave
    Connect,
}

impl Name {
    /// As in netbreak-user's Cargo.toml.
    fn target(self) -> &'static str {
        match self {
            Name::Drop => "drop",
            Name::Start => "start",
            Name::Probe => "probe",
            Name::Path => "path",
            Name::Connect => "connect",
        }
    }
}

/// Sets up, builds and runs the benches called `names`, or all of them.
///
/// # Errors
/// When this process is not root, or a step or a bench fails.
pub fn run(names: &[Name]) -> Result<()> {
    ensure!(
        workspace::is_root(),
        "the benches need root: they make network namespaces and load eBPF programs"
    );
    setup::run(setup::Wanted { bench: true, ..Default::default() })?;
    build_ebpf::run(false)?;
    let names = if names.is_empty() { Name::value_variants() } else { names };
    names.iter().try_for_each(|name| {
        Cmd::new("cargo").args(["bench", "--package=netbreak-user", "--bench", name.target()]).run()
    })
}
