//! Builds what runs in guests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::initramfs::Built;
use crate::cmd::Cmd;
use crate::{build_ebpf, image};

/// Builds netbreak and the scenarios; what is made for guests only lies in `directory`.
///
/// In a guest netbreak's own work takes most of the time, and three times as much in a build for development. So it is the
/// container image's binary, unless `dev` is asked for, which is built sooner. Scenarios mostly wait: theirs is for
/// development always, as their dependencies are needed for the other tests anyway.
///
/// # Errors
/// When a build fails.
pub fn all(directory: &Path, dev: bool) -> Result<Built> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let image = if dev { build_ebpf::run(false).map(|()| None)? } else { Some(image::binary()?) };
    let build = ["test", "--package=netbreak-user", "--test=vm", "--no-run"];
    Cmd::new("cargo").args(build).run()?;
    let question = Cmd::new("cargo").args(build).args(["--message-format=json"]);
    let messages = question.ask().with_context(|| format!("cannot find what was built: run {question}"))?;
    let built = |name| executable(&messages, name).with_context(|| format!("cargo built no {name}"));
    let (of_scenarios, scenarios) = (built("netbreak")?, built("vm")?);
    let netbreak = match image {
        Some(root) => root.join("bin/netbreak"),
        None => stripped(&of_scenarios, directory.join("netbreak"))?,
    };
    Ok(Built {
        netbreak,
        scenarios: stripped(&scenarios, directory.join("scenarios"))?,
        netbreak_of_scenarios: of_scenarios,
    })
}

/// The names of the scenarios in their binary.
///
/// # Errors
/// When it does not list them.
pub fn scenarios(binary: &Path) -> Result<Vec<String>> {
    let question = Cmd::new(binary).args(["--list", "--format=terse"]);
    let list = question.ask().with_context(|| format!("cannot find the scenarios: run {question}"))?;
    Ok(list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// The file of the target `name` in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut files = messages.filter(|message| message["target"]["name"] == name);
    files.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// A copy without debug information, nine tenths of it, which every guest would have to unpack.
fn stripped(binary: &Path, to: PathBuf) -> Result<PathBuf> {
    Cmd::new("strip")
        .args(["--strip-debug".as_ref(), "-o".as_ref(), to.as_os_str(), binary.as_os_str()])
        .run()?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"vm\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"vm\"},\"executable\":\"/t/deps/vm-1\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\nnot json\n";
        assert_eq!(executable(messages, "vm"), Some("/t/deps/vm-1".into()));
        assert_eq!(executable(messages, "netbreak"), None);
    }
}
