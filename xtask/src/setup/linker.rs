//! bpf-linker, which has to link the LLVM of the compiler whose bitcode it reads.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::apt::Apt;
use super::toolchain::Version;
use crate::cmd::Cmd;
use crate::workspace;

const VERSION: &str = "0.13.0";

/// The major versions of LLVM that [`VERSION`] has a feature for.
const LLVMS: [u32; 3] = [21, 22, 23];

/// A bpf-linker of the right version on this machine.
#[derive(Debug, PartialEq)]
pub struct Linker {
    path: PathBuf,
    /// The major version of its LLVM.
    llvm: u32,
}

/// The bpf-linkers on PATH, in cargo's directory of programs and in our own.
///
/// # Errors
/// When the target directory is not known.
pub fn installed() -> Result<Vec<Linker>> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let directories = cargo_home.into_iter().chain([workspace::tools()?]);
    let mut paths = workspace::programs("bpf-linker");
    paths.extend(directories.map(|directory| directory.join("bin/bpf-linker")));
    paths.dedup();
    Ok(paths.into_iter().filter_map(inspect).collect())
}

/// Whether a linker with that LLVM is among `linkers` or can be built here.
pub fn is_to_be_had(linkers: &[Linker], llvm: u32, apt: &mut Apt) -> bool {
    let has_libraries = || PathBuf::from(llvm_prefix(llvm)).join("bin/llvm-config").is_file();
    linkers.iter().any(|linker| linker.llvm == llvm)
        || LLVMS.contains(&llvm) && (has_libraries() || apt.candidate(&format!("llvm-{llvm}-dev")).is_some())
}

/// The linker with that LLVM: one of `linkers`, or a new one in our own directory, which leaves alone what other
/// projects have in cargo's.
///
/// # Errors
/// When building it fails.
pub fn ensure(linkers: Vec<Linker>, llvm: u32, apt: &mut Apt) -> Result<PathBuf> {
    if let Some(linker) = linkers.into_iter().find(|linker| linker.llvm == llvm) {
        return Ok(linker.path);
    }
    eprintln!("! no bpf-linker {VERSION} with LLVM {llvm} yet: building it takes about a minute");
    let packages = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    let [llvm_dev, polly] = packages.each_ref().map(String::as_str);
    // llvm-config names the last three among the libraries of LLVM.
    apt.install(&[llvm_dev, polly, "zlib1g-dev", "libzstd-dev", "libxml2-dev"])?;
    let tools = workspace::tools()?;
    Cmd::new("cargo")
        .env("LLVM_PREFIX", llvm_prefix(llvm))
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--no-default-features"])
        .args([format!("--features=llvm-{llvm}"), format!("--root={}", tools.display())])
        .run()?;
    let path = tools.join("bin/bpf-linker");
    let linker = inspect(path.clone()).filter(|linker| linker.llvm == llvm);
    linker
        .map(|linker| linker.path)
        .with_context(|| format!("{} is not linked with LLVM {llvm}", path.display()))
}

fn llvm_prefix(llvm: u32) -> String {
    format!("/usr/lib/llvm-{llvm}")
}

/// The linker at `path`; `None` if there is none, or of another version, or its LLVM cannot be told.
fn inspect(path: PathBuf) -> Option<Linker> {
    if Cmd::new(&path).args(["--version"]).ask()?.trim() != format!("bpf-linker {VERSION}") {
        return None;
    }
    // It does not say its LLVM, but has the name of the shared library, or of itself as bitcode's producer.
    let pattern = r"LLVM(\.so\.|-)?[0-9]+\.[0-9s]";
    let found = Cmd::new("grep").env("LC_ALL", "C").args(["-aoEm1", pattern]).args([&path]).ask()?;
    let llvm = llvm_major(&found)?;
    Some(Linker { path, llvm })
}

/// The major version in `LLVM.so.22.1`, `LLVM-22.so` or `LLVM22.1`.
fn llvm_major(name: &str) -> Option<u32> {
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    Version::parse(&name[digits..]).map(|version| version.major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_is_read_from_its_name() {
        assert_eq!(llvm_major("LLVM.so.22.1\n"), Some(22));
        assert_eq!(llvm_major("LLVM-18.s\n"), Some(18));
        assert_eq!(llvm_major("LLVM22.1\nLLVM22.1\n"), Some(22));
        assert_eq!(llvm_major("LLVM.so"), None);
    }

    #[test]
    fn what_is_no_linker_is_not_taken_for_one() {
        assert_eq!(inspect("/nowhere/bpf-linker".into()), None);
        assert_eq!(inspect("/bin/echo".into()), None);
    }

    #[test]
    fn a_linker_that_is_here_needs_no_apt() {
        let linkers = [Linker { path: "/bin/bpf-linker".into(), llvm: 99 }];
        assert!(is_to_be_had(&linkers, 99, &mut Apt::default()));
        assert!(!is_to_be_had(&linkers, 98, &mut Apt::default()));
    }
}
