//! The databases of the daemons: made, and written by the tools that come with them.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::daemons::{Daemons, database};
use super::{Daemon, Datapath};
use crate::lab::LabNamespace;

/// The logical network that every OVN lab has, as kube-ovn makes it, a command a line: the pods' subnet, the join network,
/// and the router between.
pub(super) const NETWORK: &str = "\
lr-add ovn-cluster
ls-add ovn-default
ls-add join
lrp-add ovn-cluster ovn-cluster-ovn-default 00:00:00:aa:00:01 10.16.0.1/16
lsp-add ovn-default ovn-default-ovn-cluster
lsp-set-type ovn-default-ovn-cluster router
lsp-set-addresses ovn-default-ovn-cluster router
lsp-set-options ovn-default-ovn-cluster router-port=ovn-cluster-ovn-default
lrp-add ovn-cluster ovn-cluster-join 00:00:00:aa:00:02 100.64.0.1/16
lsp-add join join-ovn-cluster
lsp-set-type join-ovn-cluster router
lsp-set-addresses join-ovn-cluster router
lsp-set-options join-ovn-cluster router-port=ovn-cluster-join
";

/// Commands of `ovn-nbctl`, for one transaction.
#[derive(Default)]
pub(super) struct Commands(Vec<String>);

impl Commands {
    /// Adds one of these words.
    pub(super) fn add<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        if !self.0.is_empty() {
            self.0.push("--".to_owned());
        }
        self.0.extend(words.into_iter().map(str::to_owned));
    }

    /// Adds one from every line, its words separated by blanks.
    pub(super) fn add_lines(&mut self, lines: &str) {
        lines.lines().for_each(|line| self.add(line.split(' ')));
    }

    /// A logical port of `switch` with its addresses.
    pub(super) fn add_port(&mut self, switch: &str, port: &str, mac: &str, address: Ipv4Addr) {
        self.add(["lsp-add", switch, port]);
        self.add(["lsp-set-addresses", port, &format!("{mac} {address}")]);
    }
}

/// What ovn-controller reads from a switch's configuration: words for `ovs-vsctl`. `south` is the database of the logical
/// flows, `tunnel` this end of tunnels.
pub(super) fn ovn_ids(name: &str, south: &str, tunnel: Ipv4Addr, datapath: Datapath) -> Vec<String> {
    let ids = [
        ("system-id", name),
        ("hostname", name),
        ("ovn-remote", south),
        ("ovn-encap-type", "geneve"),
        ("ovn-encap-ip", &tunnel.to_string()),
        ("ovn-bridge", "br-int"),
        ("ovn-bridge-datapath-type", datapath.name()),
    ];
    let set = ["--", "set", "open", "."].map(str::to_owned);
    set.into_iter().chain(ids.map(|(key, value)| format!("external-ids:{key}={value}"))).collect()
}

impl Daemons {
    /// Makes the database that `server` will serve.
    pub(super) fn create(&self, server: Daemon, namespace: &LabNamespace) -> Result<()> {
        let stem = server.stem();
        let schema = server.schema().with_context(|| format!("{stem} serves no database"))?;
        let file = self.directory().join(format!("{stem}.db")).display().to_string();
        namespace.exec(&["ovsdb-tool", "create", &file, schema], "").map(drop)
    }

    /// Writes the switch's configuration, and returns when ovs-vswitchd has done it.
    pub(super) fn vsctl(&self, namespace: &LabNamespace, words: &[&str]) -> Result<()> {
        self.write("ovs-vsctl", Daemon::Config, namespace, &[], words)
    }

    /// The same without waiting for ovs-vswitchd, which need not run.
    pub(super) fn configure(&self, namespace: &LabNamespace, words: &[&str]) -> Result<()> {
        self.write("ovs-vsctl", Daemon::Config, namespace, &["--no-wait"], words)
    }

    /// What `ovs-vsctl` prints of the switch's configuration.
    pub(super) fn read(&self, namespace: &LabNamespace, words: &[&str]) -> Result<String> {
        let database = format!("--db={}", database(self.directory(), Daemon::Config));
        let output = namespace.exec(&[&["ovs-vsctl", &database, "--timeout=30"], words].concat(), "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a daemon answers to `ovs-appctl`.
    pub(super) fn ask(&self, namespace: &LabNamespace, daemon: Daemon, words: &[&str]) -> Result<String> {
        let control = self.control(daemon)?.display().to_string();
        let output = namespace.exec(&[&["ovs-appctl", "-t", &control], words].concat(), "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes the logical network, and returns when ovn-northd has made its flows.
    pub(super) fn nbctl(&self, namespace: &LabNamespace, commands: &Commands) -> Result<()> {
        let words: Vec<&str> = commands.0.iter().map(String::as_str).collect();
        self.write("ovn-nbctl", Daemon::North, namespace, &["--wait=sb"], &words)
    }

    /// Returns when every ovn-controller has the logical network in its switch.
    pub(super) fn sync(&self, namespace: &LabNamespace) -> Result<()> {
        self.write("ovn-nbctl", Daemon::North, namespace, &["--wait=hv"], &["sync"])
            .context("OVN does not come up")
    }

    fn write(
        &self,
        program: &str,
        server: Daemon,
        namespace: &LabNamespace,
        options: &[&str],
        words: &[&str],
    ) -> Result<()> {
        let database = format!("--db={}", database(self.directory(), server));
        let argv = [&[program, &database, "--timeout=30"], options, words].concat();
        namespace.exec(&argv, "").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_one_transaction_are_apart() {
        let mut commands = Commands::default();
        commands.add_lines("lr-add r\nls-add s\n");
        commands.add_port("s", "p", "00:00:00:00:00:01", Ipv4Addr::new(10, 0, 0, 1));
        let words = "lr-add r -- ls-add s -- lsp-add s p -- lsp-set-addresses p";
        let mut expected: Vec<&str> = words.split(' ').collect();
        expected.push("00:00:00:00:00:01 10.0.0.1");
        assert_eq!(commands.0, expected);
    }
}
