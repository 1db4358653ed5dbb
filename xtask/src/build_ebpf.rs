//! `cargo xtask build-ebpf`: the object that netbreak-user's build script embeds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

use crate::cmd::Cmd;
use crate::setup::{self, Ebpf};
use crate::workspace;

/// Builds the programs into `target/ebpf/netbreak.o`.
///
/// # Errors
/// When the toolchain cannot be had or the build fails.
pub fn run(log: bool) -> Result<()> {
    let ebpf = setup::ebpf()?;
    let target = workspace::target()?.join("ebpf");
    let mut build = cargo(&ebpf, "cargo")
        .args(["build", "--package=netbreak-ebpf", "--bin=netbreak", "--release"])
        .args(shared_args(&target));
    if log {
        build = build.args(["--features=log"]);
    }
    build.run()?;
    let built = target.join(TRIPLE).join("release/netbreak");
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    publish(&without_debug(&bytes)?, &target.join("netbreak.o"), newest_source(&workspace::root())?)
}

const TRIPLE: &str = if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// What a build and a lint of the eBPF crate have in common. The target directory is not the workspace's own:
/// the lock of that one would make both wait.
pub fn shared_args(target: &Path) -> [String; 4] {
    let target = target.display();
    [
        "--locked".into(),
        "-Zbuild-std=core".into(),
        format!("--target={TRIPLE}"),
        format!("--target-dir={target}"),
    ]
}

/// `program` (`cargo`, `cargo-clippy`) of the eBPF toolchain, in an environment that leads to no other one.
pub fn cargo(ebpf: &Ebpf, program: &str) -> Cmd {
    // bpf_target_arch: aya-ebpf's structures of registers are those of the machine's processor.
    let arch = std::env::consts::ARCH;
    let flags = format!("-Cdebuginfo=2 -Ctarget-cpu=v3 -Clink-arg=--btf --cfg=bpf_target_arch=\"{arch}\"");
    let linker = format!("CARGO_TARGET_{}_LINKER", TRIPLE.to_uppercase().replace('-', "_"));
    let bin = &ebpf.toolchain.bin;
    let cmd = Cmd::new(bin.join(program))
        .inherit_only(inherited)
        .env("RUSTC", bin.join("rustc"))
        .env("RUSTFLAGS", flags)
        .env(linker, &ebpf.linker);
    if ebpf.toolchain.bootstrap { cmd.env("RUSTC_BOOTSTRAP", "1") } else { cmd }
}

/// Whether the eBPF toolchain may see a variable of this process. `cargo xtask` runs below another cargo and
/// rustup, whose choice of compiler, flags, wrappers and libraries must not leak; how to reach registries must.
fn inherited(name: &str) -> bool {
    const NETWORK: [&str; 5] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
    if name == "CARGO_HOME" || name == "RUST_BACKTRACE" || NETWORK.iter().any(|p| name.starts_with(p)) {
        return true;
    }
    let foreign = ["CARGO", "RUST", "__CARGO"].iter().any(|prefix| name.starts_with(prefix));
    !foreign && name != "LD_LIBRARY_PATH"
}

/// An object without its debug information, five sixths of it, which nothing reads any more once BTF was made of it.
fn without_debug(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("cannot read the eBPF object")?;
    for section in builder.sections.iter_mut() {
        let name = section.name.to_vec();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    // LLVM keeps the names of sections beside those of symbols; the writer wants a table of their own.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    (names.sh_type, names.sh_addralign) = (SHT_STRTAB, 1);
    names.data = SectionData::SectionString;
    // Symbols of sections that are gone go with them.
    builder.delete_orphans();
    let mut stripped = Vec::new();
    builder.write(&mut stripped).context("cannot write the eBPF object")?;
    Ok(stripped)
}

/// Writes `bytes` to `object` if that changes anything: netbreak is built again whenever the object is touched.
/// An object older than its sources is touched, so that the build script can tell a stale one by its time.
fn publish(bytes: &[u8], object: &Path, newest_source: SystemTime) -> Result<()> {
    let is_same = fs::read(object).is_ok_and(|old| old == bytes);
    let is_stale = fs::metadata(object)
        .and_then(|metadata| metadata.modified())
        .map_or(true, |time| time < newest_source);
    if !is_same || is_stale {
        fs::write(object, bytes).with_context(|| format!("cannot write {}", object.display()))?;
    }
    Ok(())
}

/// When a source of the object was last changed.
fn newest_source(root: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut waiting: Vec<PathBuf> = ["netbreak-ebpf", "netbreak-common"].map(|name| root.join(name)).into();
    while let Some(path) = waiting.pop() {
        let context = || format!("cannot read {}", path.display());
        let metadata = fs::metadata(&path).with_context(context)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).with_context(context)? {
                waiting.push(entry.with_context(context)?.path());
            }
        } else {
            newest = newest.max(metadata.modified().with_context(context)?);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_cargo_does_not_leak() {
        for name in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO"] {
            assert!(!inherited(name), "{name}");
        }
        for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR", "LD_LIBRARY_PATH"] {
            assert!(!inherited(name), "{name}");
        }
        for name in
            ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "HTTPS_PROXY"]
        {
            assert!(inherited(name), "{name}");
        }
    }
    #[test]
    fn the_object_is_touched_only_when_it_changes_or_is_stale() {
        let directory = tempfile::tempdir().unwrap();
        let object = directory.path().join("netbreak.o");
        let second = |n| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n);
        let modified = || fs::metadata(&object).unwrap().modified().unwrap();

        publish(b"one", &object, second(9)).unwrap();
        assert_eq!(fs::read(&object).unwrap(), b"one");

        fs::File::options().write(true).open(&object).unwrap().set_modified(second(10)).unwrap();
        publish(b"one", &object, second(9)).unwrap();
        assert_eq!(modified(), second(10), "nothing has changed");

        publish(b"one", &object, second(11)).unwrap();
        assert!(modified() > second(11), "a source was newer");

        fs::File::options().write(true).open(&object).unwrap().set_modified(second(10)).unwrap();
        publish(b"two", &object, second(9)).unwrap();
        assert_eq!(fs::read(&object).unwrap(), b"two");
    }
}
