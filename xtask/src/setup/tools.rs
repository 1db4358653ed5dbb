//! The programs that the labs, measurements and image tests drive.

use anyhow::Result;

use super::apt::Apt;
use crate::workspace;

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tool {
    program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// Labs of plain network namespaces: for `demo` and `test`.
const LAB: [Tool; 6] = [
    tool("ip", "iproute2"),
    tool("tc", "iproute2"),
    tool("nft", "nftables"),
    tool("iptables", "iptables"),
    tool("ping", "iputils-ping"),
    tool("ethtool", "ethtool"),
];

/// What netbreak is compared with.
const BENCH: [Tool; 3] = [tool("bpftrace", "bpftrace"), tool("fping", "fping"), tool("iperf3", "iperf3")];

/// Building the image, running it, and rendering the manifests.
const IMAGE: [Tool; 3] =
    [tool("buildah", "buildah"), tool("runc", "runc"), tool("kubectl", "kubernetes-client")];

/// The tools of the labs, and on demand of the other two groups.
pub fn wanted(bench: bool, image: bool) -> Vec<Tool> {
    let bench: &[Tool] = if bench { &BENCH } else { &[] };
    let image: &[Tool] = if image { &IMAGE } else { &[] };
    [&LAB, bench, image].concat()
}

/// Installs the packages of those `tools` whose program is not there. The program counts, not the package:
/// it may have come in another way, and looking for a file costs nothing.
///
/// # Errors
/// When installing fails.
pub fn install(tools: &[Tool], apt: &mut Apt) -> Result<()> {
    let missing = missing(tools, |program| !workspace::programs(program).is_empty());
    if missing.is_empty() {
        return Ok(());
    }
    apt.install(&missing)
}

fn missing(tools: &[Tool], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        tools.iter().filter(|tool| !is_there(tool.program)).map(|tool| tool.package).collect();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_once_and_only_if_a_program_is() {
        assert_eq!(missing(&wanted(false, false), |_| true), [""; 0]);
        assert_eq!(
            missing(&wanted(true, false), |p| !["ip", "tc", "fping"].contains(&p)),
            ["iproute2", "fping"]
        );
        assert_eq!(missing(&wanted(false, true), |p| p != "kubectl"), ["kubernetes-client"]);
    }

    #[test]
    fn groups_are_asked_for() {
        let programs =
            |bench, image| wanted(bench, image).into_iter().map(|tool| tool.program).collect::<Vec<_>>();
        assert!(!programs(false, false).contains(&"bpftrace") && !programs(false, false).contains(&"runc"));
        assert!(programs(true, true).contains(&"bpftrace") && programs(true, true).contains(&"runc"));
    }
}
