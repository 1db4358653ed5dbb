//! `cargo xtask setup`: what is there is left alone, what is missing is installed.

mod apt;
mod compilers;
mod linker;
mod services;
mod toolchain;
mod tools;

use std::path::PathBuf;

use anyhow::Result;

use apt::Apt;
pub use toolchain::Compiler;

/// What builds the eBPF object.
pub struct Ebpf {
    /// The compiler, with its cargo.
    pub toolchain: Compiler,
    /// A bpf-linker that reads that compiler's bitcode.
    pub linker: PathBuf,
}

/// What is installed on demand, beside what every task needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What `bench` compares with.
    pub bench: bool,
    /// What builds and tries the container image.
    pub image: bool,
    /// Open vSwitch and OVN, for the labs `ovs` and `ovn`.
    pub ovn: bool,
    /// The browser that the tests open a report's page in, and what they read files of packets and scrape metrics with.
    pub browser: bool,
    /// What fetches kernels and runs virtual machines.
    pub vm: bool,
}

/// Installs what `demo` and `test` need, and what else is `wanted`.
///
/// # Errors
/// When something cannot be installed: the message has the command to run by hand.
pub fn run(wanted: Wanted) -> Result<()> {
    let mut apt = Apt::default();
    tools::install(&tools::wanted(wanted), &mut apt)?;
    ebpf_with(&mut apt).map(drop)
}

/// The eBPF toolchain and linker, installed if they are missing.
///
/// # Errors
/// As [`run`].
pub fn ebpf() -> Result<Ebpf> {
    ebpf_with(&mut Apt::default())
}

fn ebpf_with(apt: &mut Apt) -> Result<Ebpf> {
    let linkers = linker::installed()?;
    let toolchain = compilers::ensure(|llvm, apt| linker::is_to_be_had(&linkers, llvm, apt), apt)?;
    let linker = linker::ensure(linkers, toolchain.llvm, apt)?;
    Ok(Ebpf { toolchain, linker })
}
