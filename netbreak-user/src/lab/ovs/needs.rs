//! What must be installed for the labs with Open vSwitch.

use std::path::Path;

use anyhow::{Result, bail};

use super::Kind;

/// A program, and the Debian package that has it.
type Need = (&'static str, &'static str);

const OVS: [Need; 6] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("ovsdb-server", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-ofctl", "openvswitch-switch"),
];
const OVN: [Need; 3] =
    [("ovn-nbctl", "ovn-central"), ("ovn-northd", "ovn-central"), ("ovn-controller", "ovn-host")];

fn needs(kind: Kind) -> impl Iterator<Item = &'static Need> {
    let ovn: &[Need] = match kind {
        Kind::Ovs => &[],
        Kind::Ovn => &OVN,
    };
    OVS.iter().chain(ovn)
}

/// The programs that a lab calls.
pub fn programs(kind: Kind) -> Vec<&'static str> {
    needs(kind).map(|(program, _)| *program).collect()
}

/// An error that says how to install what is missing, if something is.
pub(super) fn check(kind: Kind) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    match missing(kind, |program| dirs.iter().any(|dir| dir.join(Path::new(program)).exists())) {
        Some(message) => bail!(message),
        None => Ok(()),
    }
}

fn missing(kind: Kind, is_there: impl Fn(&str) -> bool) -> Option<String> {
    let missing: Vec<&Need> = needs(kind).filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return None;
    }
    let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Some(format!(
        "the lab `{}` needs {}, not found in PATH: run `cargo xtask setup --lab ovn`, or install the Debian packages {}",
        kind.name(),
        programs.join(", "),
        packages.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package_once() {
        assert_eq!(missing(Kind::Ovn, |_| true), None);
        let said = missing(Kind::Ovn, |p| !p.starts_with("ov")).unwrap();
        assert!(said.contains("`ovn` needs ovsdb-server, ovs-vswitchd,"), "{said}");
        assert!(said.ends_with("packages openvswitch-switch ovn-central ovn-host"), "{said}");
        assert!(said.contains("cargo xtask setup --lab ovn"), "{said}");
        assert_eq!(missing(Kind::Ovs, |p| !p.starts_with("ovn")), None);
    }
}
