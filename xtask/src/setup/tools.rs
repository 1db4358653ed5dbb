//! The programs that the labs, measurements and image tests drive.

use anyhow::Result;

use super::apt::Apt;
use super::{Wanted, services};
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
const BENCH: [Tool; 6] = [
    tool("bpftrace", "bpftrace"),
    tool("fping", "fping"),
    tool("iperf3", "iperf3"),
    tool("ab", "apache2-utils"),
    tool("wrk", "wrk"),
    tool("nginx", "nginx"),
];

/// Building the image, running it, and rendering the manifests.
const IMAGE: [Tool; 3] =
    [tool("buildah", "buildah"), tool("runc", "runc"), tool("kubectl", "kubernetes-client")];

/// Labs of Open vSwitch and OVN: their own daemons, never the services of these packages.
const OVN: [Tool; 3] = [
    tool("ovs-vswitchd", "openvswitch-switch"),
    tool("ovn-northd", "ovn-central"),
    tool("ovn-controller", "ovn-host"),
];

/// What opens a report's page, reads a file of packets, and scrapes metrics, in the tests.
const BROWSER: [Tool; 3] =
    [tool("chromium", "chromium"), tool("tshark", "tshark"), tool("promtool", "prometheus")];

/// Virtual machines: QEMU, what unpacks kernels and their modules, and what is in every guest.
const VM: [Tool; 8] = [
    tool("qemu-system-x86_64", "qemu-system-x86"),
    tool("busybox", "busybox-static"),
    tool("dash", "dash"),
    tool("depmod", "kmod"),
    tool("xz", "xz-utils"),
    tool("zstd", "zstd"),
    tool("strip", "binutils"),
    tool("conntrack", "conntrack"),
];

/// The tools of the plain labs, and on demand of the other groups.
pub fn wanted(wanted: Wanted) -> Vec<Tool> {
    let groups: [(bool, &[Tool]); 6] = [
        (true, &LAB),
        (wanted.ovn, &OVN),
        (wanted.bench, &BENCH),
        (wanted.image, &IMAGE),
        (wanted.browser, &BROWSER),
        (wanted.vm, &VM),
    ];
    groups.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, tools)| tools.iter().copied()).collect()
}

/// Installs the packages of those `tools` whose program is not there. The program counts, not the package:
/// it may have come in another way, and looking for a file costs nothing. No service of theirs is started, now or later.
///
/// # Errors
/// When installing fails.
pub fn install(tools: &[Tool], apt: &mut Apt) -> Result<()> {
    let missing = missing(tools, |program| !workspace::programs(program).is_empty());
    if missing.is_empty() {
        return Ok(());
    }
    let kept_quiet = services::start_none()?;
    apt.install(&missing)?;
    drop(kept_quiet);
    services::disable(&missing)
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

    const NOTHING: Wanted = Wanted { bench: false, image: false, ovn: false, browser: false, vm: false };

    #[test]
    fn a_package_is_missing_once_and_only_if_a_program_is() {
        assert_eq!(missing(&wanted(NOTHING), |_| true), [""; 0]);
        assert_eq!(
            missing(&wanted(Wanted { bench: true, ..NOTHING }), |p| !["ip", "tc", "fping"].contains(&p)),
            ["iproute2", "fping"]
        );
        let image = wanted(Wanted { image: true, ..NOTHING });
        assert_eq!(missing(&image, |p| p != "kubectl"), ["kubernetes-client"]);
        let ovn = wanted(Wanted { ovn: true, ..NOTHING });
        assert_eq!(
            missing(&ovn, |p| !p.starts_with("ov")),
            ["openvswitch-switch", "ovn-central", "ovn-host"]
        );
    }

    #[test]
    fn groups_are_asked_for() {
        let programs = |all| wanted(all).into_iter().map(|tool| tool.program).collect::<Vec<_>>();
        let all = programs(Wanted { bench: true, image: true, ovn: true, browser: true, vm: true });
        for program in ["bpftrace", "runc", "ovn-controller", "chromium", "tshark", "promtool", "depmod"] {
            assert!(!programs(NOTHING).contains(&program) && all.contains(&program), "{program}");
        }
    }
}
