//! Puts the eBPF object where the library embeds it from, and says when it is missing or stale.
//!
//! It is built by `cargo xtask build-ebpf`, not here: it has another toolchain.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

const OVERRIDE: &str = "NETBREAK_EBPF_OBJECT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = root.parent().ok_or("netbreak-user lies in no workspace")?;
    let given = env::var_os(OVERRIDE).map(PathBuf::from);
    let object = match &given {
        Some(path) => root.join(path),
        None => target_directory(&out, &variable("TARGET")?)?.join("ebpf/netbreak.o"),
    };
    println!("cargo::rerun-if-changed={}", object.display());

    let Ok(built) = fs::metadata(&object) else {
        let missing =
            format!("the eBPF object is not built: run `cargo xtask build-ebpf` ({})", object.display());
        println!("cargo::error={missing}");
        return Ok(());
    };
    fs::copy(&object, out.join("netbreak.o"))?;

    let sources = ["netbreak-ebpf", "netbreak-common"].map(|name| root.join(name));
    for source in &sources {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    if given.is_none() && newest(&sources)? > built.modified()? {
        println!("cargo::warning=the eBPF object is older than its source: run `cargo xtask build-ebpf`");
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

/// cargo's target directory: `OUT_DIR` is `target/[triple/]profile/build/package/out`, with the triple if
/// cargo was given one.
fn target_directory(out: &Path, triple: &str) -> Result<PathBuf, String> {
    let mut above = out.ancestors().skip(4);
    let directory = above.next().filter(|directory| !directory.ends_with(triple)).or_else(|| above.next());
    directory.map(Path::to_owned).ok_or_else(|| format!("unexpected OUT_DIR {}", out.display()))
}

/// When any file below `paths` was last changed.
fn newest(paths: &[PathBuf]) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut waiting = paths.to_vec();
    while let Some(path) = waiting.pop() {
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else {
            newest = newest.max(metadata.modified()?);
        }
    }
    Ok(newest)
}
