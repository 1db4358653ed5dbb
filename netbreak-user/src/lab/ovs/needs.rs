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

/// Only the cluster.
const CLUSTER: [Need; 2] = [("nft", "nftables"), ("ovs-appctl", "openvswitch-switch")];

fn needs(kind: Kind) -> Vec<Need> {
    match kind {
        Kind::Ovs => OVS.to_vec(),
        Kind::Ovn => [&OVS[..], &OVN].concat(),
    }
}

fn cluster_needs() -> Vec<Need> {
    [&needs(Kind::Ovn)[..], &CLUSTER].concat()
}

/// The programs that a lab calls.
pub fn programs(kind: Kind) -> Vec<&'static str> {
    names(&needs(kind))
}

/// The programs that the cluster of two nodes calls.
pub fn cluster_programs() -> Vec<&'static str> {
    names(&cluster_needs())
}

fn names(needs: &[Need]) -> Vec<&'static str> {
    needs.iter().map(|(program, _)| *program).collect()
}

/// An error that says how to install what a lab misses, if it does.
pub(super) fn check(kind: Kind) -> Result<()> {
    check_all(kind.name(), &needs(kind))
}

/// The same for the cluster of two nodes.
pub(super) fn check_cluster() -> Result<()> {
    check_all("ovn-cluster", &cluster_needs())
}

fn check_all(lab: &str, needs: &[Need]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    match missing(lab, needs, |program| dirs.iter().any(|dir| dir.join(Path::new(program)).exists())) {
        Some(message) => bail!(message),
        None => Ok(()),
    }
}

fn missing(lab: &str, needs: &[Need], is_there: impl Fn(&str) -> bool) -> Option<String> {
    let missing: Vec<Need> = needs.iter().copied().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return None;
    }
    let programs = names(&missing);
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Some(format!(
        "the lab `{lab}` needs {}, not found in PATH: run `cargo xtask setup --lab ovn`, or install the Debian packages {}",
        programs.join(", "),
        packages.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package_once() {
        let ovn = needs(Kind::Ovn);
        assert_eq!(missing("ovn", &ovn, |_| true), None);
        let said = missing("ovn", &ovn, |p| !p.starts_with("ov")).unwrap();
        assert!(said.contains("`ovn` needs ovsdb-server, ovs-vswitchd,"), "{said}");
        assert!(said.ends_with("packages openvswitch-switch ovn-central ovn-host"), "{said}");
        assert!(said.contains("cargo xtask setup --lab ovn"), "{said}");
        assert_eq!(missing("ovs", &needs(Kind::Ovs), |p| !p.starts_with("ovn")), None);
    }
}
