//! `cargo xtask image`: one static binary in an otherwise empty container image, made without a registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::cmd::Cmd;
use crate::{build_ebpf, setup, workspace};

/// Name of the image, as deploy/kustomization.yaml has it.
const NAME: &str = concat!("localhost/netbreak:", env!("CARGO_PKG_VERSION"));

/// No image may be larger, in bytes.
const MOST: u64 = 15_000_000;

/// The image has the files of `target/image/root` and nothing else. deploy/Dockerfile ends in the same lines.
/// PATH, so that `kubectl exec POD -- netbreak …` finds it.
const CONTAINERFILE: &str = "FROM scratch\nCOPY . /\nENV PATH=/bin\nENTRYPOINT [\"netbreak\"]\n";

/// Other names of the binary: as kube-ovn's test-server was called, by its name and as `./test-server`.
const SECOND_NAMES: [(&str, &str); 2] = [("bin/test-server", "netbreak"), ("test-server", "bin/netbreak")];

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

/// Builds the static binary into `target/image/root`, with its names: what deploy/Dockerfile needs. Returns that directory.
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
    let root = target.join("image/root");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let (built, binary) = (target.join("release/netbreak"), bin.join("netbreak"));
    let context = || format!("cannot copy {} to {}", built.display(), binary.display());
    let bytes = fs::read(&built).with_context(context)?;
    ensure!(!has_interpreter(&bytes)?, "{} is not static: it asks for a dynamic linker", built.display());
    // Not copied over a file that may be running.
    let _ = fs::remove_file(&binary);
    fs::copy(&built, &binary).with_context(context)?;
    link(&root)?;
    Ok(root)
}

/// Gives the binary in `root` its other names.
fn link(root: &Path) -> Result<()> {
    for (name, binary) in SECOND_NAMES {
        let name = root.join(name);
        let _ = fs::remove_file(&name);
        symlink(binary, &name).with_context(|| format!("cannot make the link {}", name.display()))?;
    }
    Ok(())
}

/// Builds `target/image/netbreak.tar`: an archive that `docker load`, `ctr image import` and `podman load` take.
///
/// # Errors
/// As [`run`].
pub fn build() -> Result<PathBuf> {
    let root = binary()?;
    let directory = root.parent().context("the image's files lie in no directory")?;
    let containerfile = directory.join("Containerfile");
    let archive = directory.join("netbreak.tar");
    fs::write(&containerfile, CONTAINERFILE)
        .with_context(|| format!("cannot write {}", containerfile.display()))?;
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
    let (file, root) = (format!("--file={}", containerfile.display()), root.display().to_string());
    let output = format!("docker-archive:{}", archive.display());
    // The same binary gives the same image.
    buildah(&["bud", "--quiet", "--isolation=chroot", "--timestamp=0", "--tag", NAME, &file, &root]).run()?;
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
        assert_eq!(last.replace("--from=build /netbreak/target/image/root", "."), ours);
    }

    #[test]
    fn every_name_leads_to_the_binary() {
        let root = std::env::temp_dir().join(format!("netbreak-image-{}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/netbreak"), "binary").unwrap();
        // Twice: the directory is kept from build to build.
        let linked = link(&root).and_then(|()| link(&root));
        let read = SECOND_NAMES.map(|(name, _)| fs::read_to_string(root.join(name)).ok());
        fs::remove_dir_all(&root).unwrap();
        linked.unwrap();
        assert_eq!(read, [Some("binary".to_owned()), Some("binary".to_owned())]);
    }
}
