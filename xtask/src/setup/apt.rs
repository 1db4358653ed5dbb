//! Debian packages.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::toolchain::Version;
use crate::cmd::Cmd;
use crate::suite::Suite;
use crate::workspace;

/// apt, whose lists are refreshed at most once, and only if something has to be installed.
#[derive(Default)]
pub struct Apt {
    refreshed: bool,
}

impl Apt {
    /// Installs those of `packages` that are not installed.
    ///
    /// # Errors
    /// Without apt, without root, or when apt fails; apt may not remove anything to make room.
    pub fn install(&mut self, packages: &[&str]) -> Result<()> {
        let query = Cmd::new("dpkg-query").args(["-W", "-f=${Package} ${db:Status-Status}\n"]);
        let packages = missing(packages, &query.ask().unwrap_or_default());
        if packages.is_empty() {
            return Ok(());
        }
        let from_own = |packages: &[&str]| installing(Cmd::new("apt-get"), packages);
        let plain = from_own(&packages);
        if !is_here() {
            bail!(
                "this machine has no apt-get: install what Debian calls {}, then try again",
                packages.join(" ")
            );
        }
        if !workspace::is_root() {
            bail!(
                "installing {} needs root; run this, then try again:\n  sudo apt-get update && sudo {plain}",
                packages.join(" ")
            );
        }
        self.refresh();
        if fits(&plain) {
            return plain.run();
        }
        let (fitting, others): (Vec<&str>, Vec<&str>) =
            packages.iter().partition(|package| fits(&from_own(&[package])));
        let are_there = from_backports(&others).unwrap_or_else(|error| {
            eprintln!("! not from backports: {error:#}");
            false
        });
        if !are_there {
            // It fails, and says why.
            return plain.run();
        }
        if fitting.is_empty() { Ok(()) } else { from_own(&fitting).run() }
    }

    /// The version of `package` that apt would install; `None` without apt. Without root apt's lists are
    /// taken as they are.
    pub fn candidate(&mut self, package: &str) -> Option<Version> {
        if is_here() && workspace::is_root() {
            self.refresh();
        }
        let policy = Cmd::new("apt-cache").env("LC_ALL", "C").args(["policy", package]).ask()?;
        candidate(&policy)
    }

    /// A failure is only shown: often it is about somebody else's repository, and the old lists will do.
    fn refresh(&mut self) {
        if self.refreshed {
            return;
        }
        self.refreshed = true;
        if let Err(error) = Cmd::new("apt-get").args(["update", "-qq"]).run() {
            eprintln!("! going on with the lists that apt has: {error:#}");
        }
    }
}

/// The line that installs `packages` by `apt_get`, and removes nothing.
fn installing(apt_get: Cmd, packages: &[&str]) -> Cmd {
    apt_get
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends", "--no-remove", "-oDPkg::Lock::Timeout=300"])
        .args(packages)
}

/// Whether apt would do what `line` tells it.
fn fits(line: &Cmd) -> bool {
    line.clone().args(["--simulate"]).ask().is_some()
}

/// Installs `packages` from the backports of this machine's release, if they fit there: where some of what belongs
/// together is from backports already (QEMU's tools, say), the release's own would have to remove it.
fn from_backports(packages: &[&str]) -> Result<bool> {
    if packages.is_empty() {
        return Ok(false);
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let Some(codename) = codename(&release) else { return Ok(false) };
    eprintln!("! {} would remove what is installed from elsewhere: looking in backports", packages.join(" "));
    let lists = workspace::target()?.join("apt");
    let suite = Suite::beside_own(&format!("{codename}-backports"), &lists)?;
    let line = installing(suite.preferring(), packages);
    let fit = fits(&line);
    if fit {
        // When it fails the lists stay: the line that it shows needs them.
        line.run()?;
    }
    fs::remove_dir_all(&lists).with_context(|| format!("cannot remove {}", lists.display()))?;
    Ok(fit)
}

/// The name of the release that /etc/os-release tells of.
fn codename(release: &str) -> Option<&str> {
    release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).map(|name| name.trim_matches('"'))
}

fn is_here() -> bool {
    !workspace::programs("apt-get").is_empty()
}

/// The `packages` that are not among the installed ones of dpkg-query's list.
fn missing<'a>(packages: &[&'a str], list: &str) -> Vec<&'a str> {
    let is_installed =
        |package: &str| list.lines().any(|line| line.strip_prefix(package) == Some(" installed"));
    packages.iter().copied().filter(|package| !is_installed(package)).collect()
}

/// The candidate in what `apt-cache policy` prints, without Debian's epoch.
fn candidate(policy: &str) -> Option<Version> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    let upstream = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    Version::parse(upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_are_not_missing() {
        let list = "fping installed\nnftables config-files\niptables-dev installed\n";
        assert_eq!(missing(&["fping", "nftables", "iptables"], list), ["nftables", "iptables"]);
    }

    #[test]
    fn the_release_has_a_name() {
        let debian = "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(debian), Some("bookworm"));
        assert_eq!(codename("VERSION_CODENAME=\"noble\"\n"), Some("noble"));
        assert_eq!(codename("NAME=sid\n"), None);
    }

    #[test]
    fn the_candidate_is_read_from_the_policy() {
        let policy =
            |version| format!("rustc-web:\n  Installed: (none)\n  Candidate: {version}\n  Version table:\n");
        let version = |major, minor| Some(Version { major, minor });
        assert_eq!(candidate(&policy("1.96.0+dfsg1-1~deb12u2")), version(1, 96));
        assert_eq!(candidate(&policy("1:22.1.8-1~deb12u1")), version(22, 1));
        assert_eq!(candidate(&policy("(none)")), None);
        assert_eq!(candidate(""), None);
    }
}
