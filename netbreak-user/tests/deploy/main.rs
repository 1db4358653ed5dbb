//! What deploy/ promises: the manifests say what they must, and the image, run by runc as they say, finds a break.
//!
//! The manifests need kubectl. The rest needs root, runc, nftables, and an image: `cargo xtask test` builds it and sets
//! NETBREAK_IMAGE to its archive. Without them a test says "skipped: …"; with NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod asserts;
mod breaks;
mod image;
mod manifests;
mod runc;
#[path = "../common/wait.rs"]
mod wait;

use std::path::{Path, PathBuf};

/// Says why a test cannot run here, if it cannot.
fn skipped(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |program: &&&str| std::env::split_paths(&path).any(|dir| dir.join(program).exists());
    match programs.iter().find(|p| !installed(p)) {
        Some(program) => skip(&format!("`{program}` is not installed")),
        None => false,
    }
}

/// The archive of the image, where containers can be run.
fn image() -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        skip("not root");
        return None;
    }
    if skipped(&["ip", "nft", "tar", "kubectl", "runc"]) {
        return None;
    }
    let Some(image) = std::env::var_os("NETBREAK_IMAGE") else {
        skip("NETBREAK_IMAGE is not set: `cargo xtask test` builds the image and sets it");
        return None;
    };
    assert!(Path::new(&image).exists(), "NETBREAK_IMAGE: there is no {}", image.display());
    Some(image.into())
}

fn skip(why: &str) -> bool {
    assert!(std::env::var_os("NETBREAK_REQUIRE").is_none_or(|v| v != "1"), "NETBREAK_REQUIRE=1, but {why}");
    println!("skipped: {why}");
    true
}
