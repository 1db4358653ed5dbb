//! Fetches Debian's kernels and keeps of them what a guest needs. Nothing is installed, and nothing of this machine's
//! apt is changed: sources and lists are of their own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::cpio::Archive;
use super::kernels::{Kernel, newest_version};
use super::modules;
use crate::cmd::Cmd;

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
    let apt = Apt::new(kernel.suite, &lists(cache))?;
    let names = apt.command("apt-cache").args(["pkgnames", "linux-image-"]).ask().unwrap_or_default();
    let version = newest_version(&names, kernel.series)
        .with_context(|| format!("{} has no such package", apt.mirror))?;
    let debs = part.join("debs");
    fs::create_dir(&debs).with_context(|| format!("cannot make {}", debs.display()))?;
    apt.download(&apt.packages(version), &debs)?;
    let root = part.join("root");
    for deb in fs::read_dir(&debs)? {
        Cmd::new("dpkg-deb").args(["-x".as_ref(), deb?.path().as_os_str(), root.as_os_str()]).run()?;
    }
    keep(version, &root, part)?;
    fs::remove_dir_all(&debs)?;
    fs::remove_dir_all(&root)?;
    fs::write(part.join("release"), version).context("cannot write its version")
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

/// apt with one suite's lists, in a directory of its own.
struct Apt {
    mirror: String,
    options: Vec<String>,
}

impl Apt {
    fn new(suite: &str, directory: &Path) -> Result<Self> {
        let lists = directory.join(suite);
        let list = directory.join(format!("{suite}.list"));
        fs::create_dir_all(lists.join("partial"))
            .with_context(|| format!("cannot make {}", lists.display()))?;
        let mirror = mirror(suite, &own_sources());
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        fs::write(&list, format!("deb [arch=amd64 signed-by={keyring}] {mirror} {suite} main\n"))
            .with_context(|| format!("cannot write {}", list.display()))?;
        let options = [
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::Lists={}", lists.display()),
            "Dir::State::status=/dev/null".to_owned(),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // The user _apt cannot write below a home directory.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let apt = Self {
            mirror,
            options: options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect(),
        };
        apt.command("apt-get").args(["-qq", "update"]).run()?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Cmd {
        Cmd::new(program).args(&self.options)
    }

    /// The packages that make up the kernel of that version. From 6.19 on, linux-image is empty and depends on others.
    fn packages(&self, version: &str) -> Vec<String> {
        let image = format!("linux-image-{version}");
        let about = self.command("apt-cache").args(["show", &image]).ask().unwrap_or_default();
        let parts = ["base", "binary", "modules"].map(|part| format!("linux-{part}-{version}"));
        if about.contains(&parts[1]) { parts.into() } else { vec![image] }
    }

    fn download(&self, packages: &[String], to: &Path) -> Result<()> {
        // apt-get downloads into its working directory.
        let change = format!("--chdir={}", to.display());
        Cmd::new("env")
            .args([&change, "apt-get"])
            .args(&self.options)
            .args(["-qq", "download"])
            .args(packages)
            .run()
    }
}

/// What apt is configured with on this machine, in both of its formats.
fn own_sources() -> String {
    let parts =
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = parts.filter(|path| path.extension().is_some_and(|e| e == "sources" || e == "list"));
    files.chain(["/etc/apt/sources.list".into()]).filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// The mirror that `sources` name, so that a machine goes on using its own; else Debian's.
fn mirror(suite: &str, sources: &str) -> String {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<_> =
        lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/')).collect();
    let named = |end: &str| words.iter().find(|word| word.contains("://") && word.ends_with(end));
    let main = named("/debian").map_or("https://deb.debian.org/debian", |word| word);
    if suite.ends_with("-security") {
        named("/debian-security").map_or_else(|| format!("{main}-security"), |word| (*word).to_owned())
    } else {
        main.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# http://snapshot.debian.org/archive/debian/1\nURIs: http://mirror.example/debian/\n\
        Suites: bookworm\n\nURIs: http://mirror.example/sec/debian-security\nSuites: bookworm-security\n";

    #[test]
    fn the_machines_own_mirror_is_used() {
        assert_eq!(mirror("bullseye", DEB822), "http://mirror.example/debian");
        assert_eq!(mirror("bookworm-security", DEB822), "http://mirror.example/sec/debian-security");
        let lines = "deb https://deb.nodesource.com/node_20.x nodistro main\ndeb [arch=amd64] ftp://m/debian sid main\n";
        assert_eq!(mirror("bookworm", lines), "ftp://m/debian");
        assert_eq!(mirror("bookworm-security", lines), "ftp://m/debian-security");
    }

    #[test]
    fn without_one_it_is_debians() {
        assert_eq!(mirror("bookworm", "# deb http://m/debian sid main\n"), "https://deb.debian.org/debian");
        assert_eq!(mirror("bookworm-security", ""), "https://deb.debian.org/debian-security");
    }
}
