//! The guest's only file system: the programs that labs drive, netbreak, the scenarios, and an init that runs one of them.
//! It is the same for every kernel and scenario; a kernel's modules are an archive behind it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::cpio::Archive;
use crate::cmd::Cmd;
use crate::workspace;

/// Where the guest has the scenarios.
const SCENARIOS: &str = "/usr/libexec/scenarios";

/// What the guest does: see there.
const INIT: &str = include_str!("init.sh");

/// Programs of this machine. busybox stands in for every other.
const PROGRAMS: [&str; 30] = [
    "busybox",
    "dash",
    "ip",
    "tc",
    "ss",
    "nft",
    "iptables",
    "ip6tables",
    "iptables-legacy",
    "ip6tables-legacy",
    "iptables-save",
    "conntrack",
    "ping",
    "ethtool",
    "unshare",
    "nsenter",
    "sysctl",
    "ovsdb-tool",
    "ovsdb-server",
    "ovsdb-client",
    "ovs-vswitchd",
    "ovs-vsctl",
    "ovs-ofctl",
    "ovs-dpctl",
    "ovs-appctl",
    "ovn-northd",
    "ovn-controller",
    "ovn-nbctl",
    "ovn-sbctl",
    "ovn-appctl",
];

/// Files and directories of this machine that those programs read.
const FILES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/xtables",
    "/usr/share/openvswitch",
    "/usr/share/ovn",
    "/etc/protocols",
    "/etc/services",
];

/// What is built here for guests.
pub struct Built {
    /// The program that users run.
    pub netbreak: PathBuf,
    /// The same program where the scenarios look for it.
    pub netbreak_of_scenarios: PathBuf,
    /// The test binary that has the scenarios.
    pub scenarios: PathBuf,
}

/// Writes the archive.
///
/// # Errors
/// When a program is missing or a file cannot be read or written.
pub fn write(built: &Built, out: impl Write) -> Result<()> {
    let mut archive = Archive::new(out);
    for directory in ["/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/out", "/var/log", "/bin", "/sbin"] {
        archive.directory(directory)?;
    }
    archive.link("/var/run", "/run")?;
    archive.link("/bin/sh", "/usr/bin/dash")?;
    // What the kernel starts when it misses a module.
    archive.link("/sbin/modprobe", "/usr/bin/busybox")?;
    archive.file("/init", INIT.as_bytes())?;
    for (name, content) in ETC {
        archive.file(&format!("/etc/{name}"), content.as_bytes())?;
    }
    for file in FILES {
        tree(&mut archive, Path::new(file))?;
    }
    for program in PROGRAMS {
        let path = workspace::programs(program).into_iter().next().with_context(|| {
            format!("`{program}`, which guests need, is not installed: run `cargo xtask setup --vm`")
        })?;
        with_libraries(&mut archive, &path)?;
        let file = fs::canonicalize(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = text(&file)?;
        let name = format!("/usr/bin/{program}");
        if name != file && !archive.has(&name) {
            archive.link(&name, file)?;
        }
    }
    with_libraries_at(&mut archive, &built.netbreak, "/usr/bin/netbreak")?;
    archive.link(text(&built.netbreak_of_scenarios)?, "/usr/bin/netbreak")?;
    with_libraries_at(&mut archive, &built.scenarios, SCENARIOS)?;
    archive.finish()?.flush().context("cannot write the archive of the guests' programs")
}

/// Files of /etc that programs ask for.
const ETC: [(&str, &str); 4] = [
    ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("group", "root:x:0:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("hostname", "guest\n"),
];

/// Adds a file, or everything below a directory, at its own path.
fn tree<W: Write>(archive: &mut Archive<W>, path: &Path) -> Result<()> {
    let context = || format!("cannot read {}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(context)? {
            tree(archive, &entry.with_context(context)?.path())?;
        }
        Ok(())
    } else {
        copy(archive, path, text(path)?)
    }
}

fn with_libraries<W: Write>(archive: &mut Archive<W>, program: &Path) -> Result<()> {
    let file = fs::canonicalize(program).with_context(|| format!("cannot read {}", program.display()))?;
    with_libraries_at(archive, &file, text(&file)?)
}

fn with_libraries_at<W: Write>(archive: &mut Archive<W>, program: &Path, at: &str) -> Result<()> {
    // A static program has none, and ldd fails.
    let listed = Cmd::new("ldd").args([program]).ask().unwrap_or_default();
    for library in libraries(&listed)? {
        copy(archive, Path::new(library), library)?;
    }
    copy(archive, program, at)
}

/// The files in ldd's list: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn libraries(listed: &str) -> Result<Vec<&str>> {
    let mut files = Vec::new();
    for line in listed.lines() {
        ensure!(!line.contains("not found"), "a library is missing: {}", line.trim());
        let file = line.split_once("=>").map_or(line, |(_, file)| file).trim();
        // linux-vdso.so.1 is no file.
        if file.starts_with('/') {
            files.push(file.split_once(" (").map_or(file, |(file, _)| file));
        }
    }
    Ok(files)
}

fn copy<W: Write>(archive: &mut Archive<W>, from: &Path, to: &str) -> Result<()> {
    if archive.has(to) {
        return Ok(());
    }
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    archive.file(to, &bytes).context("cannot write the archive of the guests' programs")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldds_list() {
        let list = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            libraries(list).unwrap(),
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
        assert_eq!(libraries("").unwrap(), [""; 0]);
        assert!(libraries("\tlibx.so => not found\n").is_err());
    }
}
