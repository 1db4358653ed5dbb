//! Debian packages.

use anyhow::{Result, bail};

use super::toolchain::Version;
use crate::cmd::Cmd;
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
        let install = Cmd::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args([
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                "--no-remove",
                "-oDPkg::Lock::Timeout=300",
            ])
            .args(&packages);
        let packages = packages.join(" ");
        if !is_here() {
            bail!("this machine has no apt-get: install what Debian calls {packages}, then try again");
        }
        if !workspace::is_root() {
            bail!(
                "installing {packages} needs root; run this, then try again:\n  sudo apt-get update && sudo {install}"
            );
        }
        self.refresh();
        install.run()
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
