//! The compilers of this machine, and one installed if none will do.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::apt::Apt;
use super::toolchain::{Compiler, DEBIAN, Install, NIGHTLY, Version, choose, plan};
use crate::cmd::Cmd;
use crate::workspace;

/// The compiler to use.
///
/// # Errors
/// When none will do and none can be installed: the message says what is wrong with those that are here,
/// and the commands of both ways.
pub fn ensure(linkable: impl Fn(u32, &mut Apt) -> bool, apt: &mut Apt) -> Result<Compiler> {
    let problems = match choose(installed(), |llvm| linkable(llvm, apt)) {
        Ok(compiler) => return Ok(compiler),
        Err(problems) => problems,
    };
    eprintln!("! no compiler for eBPF yet: {}", said(&problems));
    match plan(apt.candidate(DEBIAN[0]), !workspace::programs("rustup").is_empty()) {
        Some(Install::Debian) => apt.install(&DEBIAN)?,
        Some(Install::Nightly) => Cmd::new("rustup").args(NIGHTLY).run()?,
        None => {}
    }
    match choose(installed(), |llvm| linkable(llvm, apt)) {
        Ok(compiler) => Ok(compiler),
        Err(problems) => bail!(
            "no compiler for eBPF: {}. Run one of these, then try again:\n  \
             sudo apt-get install --no-install-recommends {}\n  rustup {}",
            said(&problems),
            DEBIAN.join(" "),
            NIGHTLY.join(" ")
        ),
    }
}

fn said(problems: &[String]) -> String {
    if problems.is_empty() { "none is installed".into() } else { problems.join("; ") }
}

/// rustup's nightly, then Debian's compiler, if they are there.
fn installed() -> Vec<Compiler> {
    // Not `rustc +nightly`: rustup would download a nightly that is not there.
    let nightly = Cmd::new("rustup").args(["toolchain", "list", "-v"]).ask().as_deref().and_then(nightly);
    let nightly = nightly.and_then(|root| compiler("rustup's nightly", root, false));
    let debian = compiler("/usr/bin/rustc", "/usr".into(), true);
    nightly.into_iter().chain(debian).collect()
}

/// The directory of the nightly in what `rustup toolchain list -v` prints: a line a toolchain, of its name,
/// perhaps `(active, default)`, and its directory.
fn nightly(list: &str) -> Option<PathBuf> {
    // `nightly` or `nightly-<host>`; a date behind the name makes it another toolchain.
    let is_nightly = |name: &str| {
        name.strip_prefix("nightly")
            .is_some_and(|rest| !rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()))
    };
    let line = list.lines().find(|line| line.split_whitespace().next().is_some_and(is_nightly))?;
    let directory = line.find('/')?;
    Some(line[directory..].trim_end().into())
}

/// The compiler whose files lie below `root`; `None` if there is none.
fn compiler(name: &'static str, root: PathBuf, bootstrap: bool) -> Option<Compiler> {
    let bin = root.join("bin");
    if !bin.join("cargo").is_file() {
        return None;
    }
    let answer = Cmd::new(bin.join("rustc")).env("RUSTUP_AUTO_INSTALL", "0").args(["-vV"]).ask()?;
    let (version, llvm) = versions(&answer)?;
    // What -Z build-std reads first.
    let has_source = root.join("lib/rustlib/src/rust/library/Cargo.lock").is_file();
    Some(Compiler { name, bin, bootstrap, version, llvm, has_source })
}

/// The compiler's version and its LLVM's major version in what `rustc -vV` prints.
fn versions(verbose: &str) -> Option<(Version, u32)> {
    let field = |name| verbose.lines().find_map(|line| line.strip_prefix(name)).and_then(Version::parse);
    Some((field("release: ")?, field("LLVM version: ")?.major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nightly_is_found_in_rustups_list() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default) /r/toolchains/stable-x86_64-unknown-linux-gnu\n\
                    nightly-2025-01-01-x86_64-unknown-linux-gnu\t/r/toolchains/nightly-2025-01-01\n\
                    nightly-x86_64-unknown-linux-gnu /r/toolchains/nightly-x86_64-unknown-linux-gnu\n";
        assert_eq!(nightly(list).unwrap(), PathBuf::from("/r/toolchains/nightly-x86_64-unknown-linux-gnu"));
        assert_eq!(nightly("no installed toolchains\n"), None);
    }

    #[test]
    fn versions_are_found_in_what_rustc_says() {
        let said = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                    release: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        assert_eq!(versions(said), Some((Version { major: 1, minor: 97 }, 22)));
        assert_eq!(versions("rustc 1.97.0"), None);
    }

    #[test]
    fn a_directory_without_a_compiler_is_none() {
        assert_eq!(compiler("x", "/nowhere".into(), false), None);
    }
}
