//! Keeps the services quiet that Debian's packages bring along: the labs start daemons of their own.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cmd::Cmd;
use crate::workspace;

/// What invoke-rc.d and deb-systemd-invoke ask before they start a service; absent, everything may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// 101: not allowed (invoke-rc.d(8)).
const NOTHING: &str =
    "#!/bin/sh\n# Made by cargo xtask setup while it installs packages, and removed by it.\nexit 101\n";

/// The packages that enable a service, which is called like its package.
const SERVICES: [&str; 5] = ["openvswitch-switch", "ovn-central", "ovn-host", "nginx", "prometheus"];

/// While this value lives no package starts a service.
pub struct Quiet {
    policy: Option<&'static Path>,
}

/// Starts no service until the value that it returns is dropped. A policy that the machine has already is left to say
/// what it does.
///
/// # Errors
/// When the policy cannot be written.
pub fn start_none() -> Result<Quiet> {
    let path = Path::new(POLICY);
    if !workspace::is_root() {
        // Nothing will be installed either.
        return Ok(Quiet { policy: None });
    }
    let created = fs::File::options().write(true).create_new(true).mode(0o755).open(path);
    let mut file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Ours is there already if an earlier set-up was killed.
            let ours = fs::read(path).is_ok_and(|policy| policy == NOTHING.as_bytes());
            return Ok(Quiet { policy: ours.then_some(path) });
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {POLICY}")),
    };
    let quiet = Quiet { policy: Some(path) };
    file.write_all(NOTHING.as_bytes()).with_context(|| format!("cannot write {POLICY}"))?;
    Ok(quiet)
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(error) = self.policy.and_then(|path| fs::remove_file(path).err()) {
            eprintln!("! cannot remove {POLICY}, which keeps services from being started: {error}");
        }
    }
}

/// Keeps the services of `packages`, which have just been installed, from being started at the next boot.
///
/// # Errors
/// When a service cannot be disabled: the message has the command to run by hand.
pub fn disable(packages: &[&str]) -> Result<()> {
    for service in of(packages) {
        if Path::new("/etc/init.d").join(service).exists() {
            Cmd::new("update-rc.d").args([service, "disable"]).run()?;
        }
        if !workspace::programs("systemctl").is_empty() {
            Cmd::new("systemctl").args(["disable", "--quiet", service]).run()?;
        }
    }
    Ok(())
}

fn of(packages: &[&str]) -> Vec<&'static str> {
    SERVICES.into_iter().filter(|service| packages.contains(service)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_installed_is_disabled() {
        assert_eq!(of(&["nftables", "ovn-host"]), ["ovn-host"]);
        assert_eq!(of(&["nftables"]), [""; 0]);
    }
}
