//! The compiler of the eBPF object.
//!
//! The target `bpfel-unknown-none` has no prebuilt `core`, so the compiler needs the standard library's source
//! and unstable flags. Two ways give both: rustup's nightly with the component rust-src, and Debian's packages
//! [`DEBIAN`], a stable release to which `RUSTC_BOOTSTRAP=1` allows unstable flags.

//!
//! This module decides; [`compilers`](super::compilers) looks and installs.

use std::fmt;
use std::path::PathBuf;

/// aya-ebpf's minimum.
const OLDEST: Version = Version { major: 1, minor: 87 };

/// Debian's way: the compiler, its cargo, the standard library's source, and lints.
pub const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];

/// rustup's way, as its arguments.
pub const NIGHTLY: [&str; 6] =
    ["toolchain", "install", "nightly", "--profile=minimal", "--component=rust-src", "--component=clippy"];

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number, 0 if there is none.
    pub minor: u32,
}

impl Version {
    /// Reads `1.96.0+dfsg1`, `22.1.8` or `22`; `None` if no number begins it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
        Some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A compiler on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiler {
    /// Whose it is, for messages.
    pub name: &'static str,
    /// The directory of its `cargo` and `rustc`.
    pub bin: PathBuf,
    /// Whether unstable flags have to be allowed to it.
    pub bootstrap: bool,
    /// Its version.
    pub version: Version,
    /// The major version of its LLVM.
    pub llvm: u32,
    /// Whether the standard library's source lies beside it.
    pub has_source: bool,
}

impl Compiler {
    /// Why it cannot build the object, if so. `linkable` tells whether a bpf-linker for that major version of
    /// LLVM is here or can be built.
    fn problem(&self, linkable: impl FnOnce(u32) -> bool) -> Option<String> {
        let Self { name, version, llvm, has_source, .. } = self;
        if *version < OLDEST {
            Some(format!("{name} is {version}, older than {OLDEST}"))
        } else if !has_source {
            Some(format!("{name} ({version}) is without the standard library's source"))
        } else if !linkable(*llvm) {
            Some(format!(
                "{name} ({version}) has LLVM {llvm}, for which no bpf-linker is here or can be built"
            ))
        } else {
            None
        }
    }
}

/// The first compiler that will do; otherwise what is wrong with each.
pub fn choose(
    compilers: Vec<Compiler>,
    mut linkable: impl FnMut(u32) -> bool,
) -> Result<Compiler, Vec<String>> {
    let mut problems = Vec::new();
    for compiler in compilers {
        match compiler.problem(&mut linkable) {
            None => return Ok(compiler),
            Some(problem) => problems.push(problem),
        }
    }
    Err(problems)
}

/// A way to a compiler that is not there yet.
#[derive(Debug, PartialEq)]
pub enum Install {
    /// [`DEBIAN`] by apt.
    Debian,
    /// [`NIGHTLY`] by rustup.
    Nightly,
}

/// What to install when no compiler will do: Debian's first, because its LLVM is packaged too, which
/// bpf-linker needs; a nightly's LLVM may be newer than every package.
pub fn plan(debian_candidate: Option<Version>, has_rustup: bool) -> Option<Install> {
    if debian_candidate.is_some_and(|version| version >= OLDEST) {
        Some(Install::Debian)
    } else {
        has_rustup.then_some(Install::Nightly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler(name: &'static str, minor: u32, has_source: bool) -> Compiler {
        let version = Version { major: 1, minor };
        Compiler { name, bin: "/usr/bin".into(), bootstrap: false, version, llvm: 22, has_source }
    }

    #[test]
    fn versions_are_read_and_ordered() {
        let version = |text| Version::parse(text).unwrap();
        assert_eq!(version("1.97.0-nightly"), Version { major: 1, minor: 97 });
        assert_eq!(version("22"), Version { major: 22, minor: 0 });
        assert!(version("1.100.0") > version("1.87"));
        assert_eq!(Version::parse("none"), None);
    }

    #[test]
    fn the_first_that_will_do_is_taken() {
        let both = vec![compiler("nightly", 97, true), compiler("Debian", 96, true)];
        assert_eq!(choose(both, |_| true).unwrap().name, "nightly");
    }

    #[test]
    fn a_nightly_without_source_is_passed_over() {
        let both = vec![compiler("nightly", 97, false), compiler("Debian", 96, true)];
        assert_eq!(choose(both, |_| true).unwrap().name, "Debian");
    }

    #[test]
    fn a_compiler_that_no_linker_fits_is_passed_over() {
        let new = Compiler { llvm: 99, ..compiler("nightly", 120, true) };
        let both = vec![new, compiler("Debian", 96, true)];
        assert_eq!(choose(both, |llvm| llvm == 22).unwrap().name, "Debian");
    }

    #[test]
    fn a_linker_is_asked_for_only_when_the_rest_is_right() {
        let mut asked = 0;
        let unusable = vec![compiler("nightly", 97, false), compiler("Debian", 85, true)];
        let problems = choose(unusable, |_| {
            asked += 1;
            true
        });
        assert_eq!(problems.unwrap_err().len(), 2);
        assert_eq!(asked, 0);
    }

    #[test]
    fn the_problem_is_said() {
        let problem = |compiler: Compiler, linkable: bool| compiler.problem(|_| linkable);
        assert_eq!(problem(compiler("x", 97, true), true), None);
        assert_eq!(problem(compiler("x", 86, true), true).unwrap(), "x is 1.86, older than 1.87");
        assert!(problem(compiler("x", 97, false), true).unwrap().contains("source"));
        assert!(problem(compiler("x", 97, true), false).unwrap().contains("LLVM 22"));
    }

    #[test]
    fn debian_is_installed_where_it_is_new_enough() {
        let version = |minor| Some(Version { major: 1, minor });
        assert_eq!(plan(version(96), true), Some(Install::Debian));
        assert_eq!(plan(version(96), false), Some(Install::Debian));
        assert_eq!(plan(version(85), true), Some(Install::Nightly));
        assert_eq!(plan(None, true), Some(Install::Nightly));
        assert_eq!(plan(None, false), None);
    }
}
