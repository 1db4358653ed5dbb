//! `cargo xtask image`: one static binary in an otherwise empty container image, made without a registry.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// Name of the image, as deploy/kustomization.yaml has it.
const NAME: &str = concat!("localhost/netbreak:", env!("CARGO_PKG_VERSION"));

/// No image may be larger, in bytes.
const MOST: u64 = 15_000_000;

/// The image has this file and nothing else. deploy/Dockerfile ends in the same lines.
/// PATH, so that `kubectl exec POD -- netbreak …` finds it.
const CONTAINERFILE: &str =
    "FROM scratch\nCOPY netbreak /bin/netbreak\nENV PATH=/bin\nENTRYPOINT [\"netbreak\"]\n";

/// Sets up, builds, and says where the image is and how large.
///
/// # Errors
/// When a step fails, the binary is not static, or the image is too large.
pub fn run() -> Result<()> {
    setup::run(setup::Wanted { image: true, ..Default::default() })?;
    let image = build()?;
    let size = fs::metadata(&image).with_context(|| format!("cannot read {}", image.display()))?.len();
    eprintln!("{NAME}: {} ({:.1} MB)", image.display(), size as f64 / 1e6);
    Ok(())
}

/// Builds the static binary alone into `target/image/netbreak`: what deploy/Dockerfile needs.
///
/// # Errors
/// When it cannot be built, or would need a dynamic linker.
pub fn binary() -> Result<PathBuf> {
    build_ebpf::run(false)?;
    // Only the last crate is told: libraries are the same either way (libc and std choose what they link when the
    // binary is linked), so those of the normal release build serve, and cargo keeps the two binaries apart.
    Cmd::new("cargo")
        .args(["rustc", "--locked", "--release", "--package=netbreak-user", "--bin=netbreak", "--"])
        .args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols"])
        .run()?;
    let target = workspace::target()?;
    let directory = target.join("image");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let (built, binary) = (target.join("release/netbreak"), directory.join("netbreak"));
    let context = || format!("cannot copy {} to {}", built.display(), binary.display());
    let bytes = fs::read(&built).with_context(context)?;
    ensure!(!has_interpreter(&bytes)?, "{} is not static: it asks for a dynamic linker", built.display());
    // Not copied over a file that may be running.
    let _ = fs::remove_file(&binary);
    fs::copy(&built, &binary).with_context(context)?;
    Ok(binary)
}

/// Builds `target/image/netbreak.tar`: an archive that `docker load`, `ctr image import` and `podman load` take.
///
/// # Errors
/// As [`run`].
pub fn build() -> Result<PathBuf> {
    let binary = binary()?;
    let directory = binary.parent().context("the binary lies in no directory")?;
    let context = directory.join("context");
    let archive = directory.join("netbreak.tar");
    let failed = || format!("cannot prepare {}", context.display());
    fs::create_dir_all(&context).with_context(failed)?;
    fs::write(context.join("Containerfile"), CONTAINERFILE).with_context(failed)?;
    fs::copy(&binary, context.join("netbreak")).with_context(failed)?;
    // buildah adds to an archive that is there.
    let _ = fs::remove_file(&archive);
    let storage = directory.join("storage");
    let buildah = |args: &[&str]| {
        Cmd::new("buildah")
            .args([format!("--root={}", storage.display())])
            .args([format!("--runroot={}", storage.join("run").display())])
            // Works in every container and on every file system.
            .args(["--storage-driver=vfs"])
            .args(args)
    };
    let (context, output) = (context.display().to_string(), format!("docker-archive:{}", archive.display()));
    // The same binary gives the same image.
    buildah(&["bud", "--quiet", "--isolation=chroot", "--timestamp=0", "--tag", NAME, &context]).run()?;
    buildah(&["push", "--quiet", NAME, &format!("{output}:{NAME}")]).run()?;
    // The storage holds a copy of every image that it ever made.
    buildah(&["rmi", "--force", NAME]).run()?;
    let size = fs::metadata(&archive).with_context(|| format!("cannot read {}", archive.display()))?.len();
    ensure!(size <= MOST, "{} has {size} bytes, more than {MOST}", archive.display());
    Ok(archive)
}

/// Whether an ELF executable of 64 bits asks for a dynamic linker (a program header of type PT_INTERP).
fn has_interpreter(elf: &[u8]) -> Result<bool> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, bytes: usize| -> Result<u64> {
        let field = elf.get(at..at + bytes).context("the executable is cut off")?;
        Ok(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "not a little-endian ELF executable of 64 bits");
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for header in 0..count {
        if number(usize::try_from(table + header * size)?, 4)? == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_not_static_and_a_script_is_no_program() {
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(has_interpreter(&this).unwrap());
        assert!(has_interpreter(&this[..40]).is_err());
        assert!(has_interpreter(b"#!/bin/sh\n").is_err());
    }

    #[test]
    fn the_dockerfile_ends_in_the_same_image() {
        let dockerfile = fs::read_to_string(workspace::root().join("deploy/Dockerfile")).unwrap();
        let (_, last) = dockerfile.rsplit_once("\nFROM ").unwrap();
        let ours = CONTAINERFILE.strip_prefix("FROM ").unwrap();
        assert_eq!(last.replace("--from=build /netbreak/target/image/netbreak", "netbreak"), ours);
    }
}
