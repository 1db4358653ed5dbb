//! Where things are.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cmd::Cmd;

/// The directory of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // cargo sets it for `cargo run` too: it stays right when the checkout has moved since the build.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_owned)
}

/// cargo's target directory, wherever the environment or a configuration file puts it.
///
/// # Errors
/// When `cargo metadata` fails or its answer is not understood.
pub fn target() -> Result<PathBuf> {
    let question = Cmd::new("cargo").args(["metadata", "--no-deps", "--format-version=1", "--offline"]);
    let answer =
        question.ask().with_context(|| format!("cannot find the target directory: run {question}"))?;
    let metadata: serde_json::Value = serde_json::from_str(&answer).context("in cargo's metadata")?;
    let target = metadata["target_directory"].as_str().context("cargo's metadata has no target_directory")?;
    Ok(target.into())
}

/// Where programs are installed that only these tasks use.
///
/// # Errors
/// As [`target`].
pub fn tools() -> Result<PathBuf> {
    Ok(target()?.join("tools"))
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // The owner of /proc/self is the process's effective user (proc_pid_make_inode in fs/proc/base.c).
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Every file called `name` on PATH and in the directories of administration tools, which a user's PATH may lack.
pub fn programs(name: impl AsRef<OsStr>) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name.as_ref()))
        .filter(|file| file.is_file())
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(!programs("sh").is_empty());
        assert!(programs("no-such-program-of-xtask").is_empty());
    }
}
