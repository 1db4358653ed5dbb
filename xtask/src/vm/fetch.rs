//! Fetches Debian's kernels and keeps of them what a guest needs. Nothing is installed, and nothing of this machine's
//! apt is changed: sources and lists are of their own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::cpio::Archive;
use super::kernels::{Kernel, newest_version};
use super::modules;
use crate::cmd::Cmd;
use crate::suite::Suite;

/// A kernel in the cache.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its version, as `uname -r` prints it.
    pub release: String,
    /// The image that is booted.
    pub vmlinuz: PathBuf,
    /// An archive of its modules.
    pub modules: PathBuf,
}

/// The kernel in `cache`, fetched if it is not there: then no network is needed.
///
/// # Errors
/// When it cannot be fetched or unpacked.
pub fn ensure(kernel: &Kernel, cache: &Path) -> Result<Fetched> {
    let directory = cache.join(kernel.name);
    if !directory.is_dir() {
        let part = cache.join(format!("{}.part", kernel.name));
        clear(&part)?;
        fetch(kernel, &part, cache).with_context(|| {
            format!("cannot fetch a kernel {} from Debian's suite {}", kernel.name, kernel.suite)
        })?;
        fs::rename(&part, &directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let release = directory.join("release");
    let context =
        || format!("cannot read {}: remove {}, then try again", release.display(), directory.display());
    let release = fs::read_to_string(&release).with_context(context)?.trim().to_owned();
    Ok(Fetched { release, vmlinuz: directory.join("vmlinuz"), modules: directory.join("modules.cpio") })
}

/// Removes the lists of packages, larger than all that was fetched by them.
///
/// # Errors
/// When they cannot be removed.
pub fn forget_lists(cache: &Path) -> Result<()> {
    let lists = lists(cache);
    if lists.exists() {
        fs::remove_dir_all(&lists).with_context(|| format!("cannot remove {}", lists.display()))?;
    }
    Ok(())
}

fn lists(cache: &Path) -> PathBuf {
    cache.join("lists")
}

/// An empty directory.
fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Puts release, vmlinuz and modules.cpio into `part`.
fn fetch(kernel: &Kernel, part: &Path, cache: &Path) -> Result<()> {
    let apt = Suite::alone(kernel.suite, &lists(cache))?;
    let names = apt.command("apt-cache").args(["pkgnames", "linux-image-"]).ask().unwrap_or_default();
    let version = newest_version(&names, kernel.series)
        .with_context(|| format!("{} has no such package", apt.mirror()))?;
    let debs = part.join("debs");
    fs::create_dir(&debs).with_context(|| format!("cannot make {}", debs.display()))?;
    apt.download(&packages(&apt, version), &debs)?;
    let root = part.join("root");
    for deb in fs::read_dir(&debs)? {
        Cmd::new("dpkg-deb").args(["-x".as_ref(), deb?.path().as_os_str(), root.as_os_str()]).run()?;
    }
    keep(version, &root, part)?;
    fs::remove_dir_all(&debs)?;
    fs::remove_dir_all(&root)?;
    fs::write(part.join("release"), version).context("cannot write its version")
}

/// The packages that make up the kernel of that version. From 6.19 on, linux-image is empty and depends on others.
fn packages(apt: &Suite, version: &str) -> Vec<String> {
    let image = format!("linux-image-{version}");
    let about = apt.command("apt-cache").args(["show", &image]).ask().unwrap_or_default();
    let parts = ["base", "binary", "modules"].map(|part| format!("linux-{part}-{version}"));
    if about.contains(&parts[1]) { parts.into() } else { vec![image] }
}

/// Takes what a guest needs out of the unpacked packages in `root`.
fn keep(version: &str, root: &Path, part: &Path) -> Result<()> {
    // Newer packages have everything below /usr.
    let find = |paths: [String; 2]| {
        let mut there = paths.iter().map(|path| root.join(path)).filter(|path| path.exists());
        there.next().with_context(|| format!("its packages have neither {} nor {}", paths[0], paths[1]))
    };
    let vmlinuz = find([format!("boot/vmlinuz-{version}"), format!("usr/lib/modules/{version}/vmlinuz")])?;
    fs::rename(vmlinuz, part.join("vmlinuz")).context("cannot move its image")?;
    let modules = find([format!("lib/modules/{version}"), format!("usr/lib/modules/{version}")])?;
    // depmod looks below lib/modules only.
    let tree = part.join("root/depmod/lib/modules").join(version);
    fs::create_dir_all(tree.parent().unwrap_or(part))?;
    fs::rename(&modules, &tree).context("cannot move its modules")?;
    archive(version, &part.join("root/depmod"), &part.join("modules.cpio"))
}

/// Writes the modules that guests get, unpacked, and what modprobe reads.
fn archive(version: &str, root: &Path, to: &Path) -> Result<()> {
    let tree = root.join("lib/modules").join(version);
    // Decompressed by us: busybox's modprobe may not know how, and a guest is slow.
    let decompress = "find \"$0\" -name '*.ko.xz' -exec xz -d {} + && find \"$0\" -name '*.ko.zst' -exec zstd -q -d --rm {} +";
    Cmd::new("sh").args(["-c".as_ref(), decompress.as_ref(), tree.as_os_str()]).run()?;
    let depmod = || Cmd::new("depmod").args(["-b".as_ref(), root.as_os_str(), version.as_ref()]).run();
    depmod()?;
    let read = |name: &str| {
        let path = tree.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let dependencies = String::from_utf8(read("modules.dep")?).context("in modules.dep")?;
    let wanted = modules::wanted(&dependencies);
    ensure!(!wanted.is_empty(), "it has no modules of the network");
    let mut archive = Archive::new(Vec::new());
    let at = |name: &str| format!("/lib/modules/{version}/{name}");
    for module in wanted {
        archive.file(&at(module), &read(module)?)?;
    }
    for index in ["modules.dep", "modules.alias", "modules.symbols", "modules.builtin"] {
        archive.file(&at(index), &read(index)?)?;
    }
    let bytes = archive.finish()?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}
