//! Saved OpenFlow tables of `br-int`: what `ovs-save save-flows` of Open vSwitch keeps and puts back.

use std::fs;

use anyhow::{Context, Result};

use super::daemons::{Daemons, ask_until};
use crate::lab::LabNamespace;

/// Files of the run directory, for the two tables that are put back from files.
const GROUPS: &str = "groups.saved";
const FLOWS: &str = "flows.saved";
/// Which options of a tunnel carry which fields.
const OPTIONS: &str = "options.saved";

/// Keeps what the tables have now.
pub(super) fn save(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    let write = |name: &str, text: String| {
        let file = daemons.directory().join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    write(OPTIONS, options(&openflow(daemons, namespace, &["dump-tlv-map"], &[])?))?;
    write(GROUPS, rows(&openflow(daemons, namespace, &["dump-groups"], &[])?))?;
    write(FLOWS, rows(&openflow(daemons, namespace, &["dump-flows", "--no-names", "--no-stats"], &[])?))
}

/// The switch's words for what ovn-controller has put back first.
const THERE_ALREADY: [&str; 2] = ["NXTTMFC_ALREADY_MAPPED", "OFPGMFC_GROUP_EXISTS"];

/// Puts it back. What is there already is no error, as to the script that `ovs-ctl` runs.
pub(super) fn restore(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    let file = |name: &str| daemons.directory().join(name);
    let options = fs::read_to_string(file(OPTIONS)).context("no flows were saved")?;
    daemons.has_bridge(namespace, "br-int")?;
    let put_back = |command: &[&str], argument: &str| match openflow(daemons, namespace, command, &[argument])
    {
        Err(error) if THERE_ALREADY.iter().any(|word| format!("{error:#}").contains(word)) => Ok(()),
        done => done.map(drop),
    };
    if !options.is_empty() {
        put_back(&["add-tlv-map"], &options)?;
    }
    for (command, name) in [("add-groups", GROUPS), ("replace-flows", FLOWS)] {
        put_back(&["--bundle", command], &file(name).display().to_string())?;
    }
    Ok(())
}

/// Where the mark is: packets never come to this table.
const MARKED: &str = "table=250";

/// Marks the tables as they are now: the mark stays until an ovn-controller that has started empties them. That is before it
/// installs its own flows (`run_S_CLEAR_FLOWS` in controller/ofctrl.c), in newer releases right before (`ofctrl_initial_clear`).
pub(super) fn mark(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    openflow(daemons, namespace, &["add-flow"], &[&format!("{MARKED},priority=1,actions=drop")]).map(drop)
}

/// Waits until the mark is gone.
pub(super) fn wait_until_renewed(daemons: &Daemons, namespace: &LabNamespace) -> Result<()> {
    ask_until("ovn-controller has not filled the tables anew", || {
        Ok(!openflow(daemons, namespace, &["dump-flows"], &[MARKED])?.contains("actions=drop"))
    })
}

/// What `ovs-ofctl` says of `br-int`.
fn openflow(
    daemons: &Daemons,
    namespace: &LabNamespace,
    command: &[&str],
    arguments: &[&str],
) -> Result<String> {
    let bridge = format!("unix:{}", daemons.directory().join("br-int.mgmt").display());
    let argv = [&["ovs-ofctl", "-O", "OpenFlow15"], command, &[&bridge], arguments].concat();
    let output = namespace.exec(&argv, "")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rows of a table, without the line that says of which message they are.
fn rows(dump: &str) -> String {
    let rows = dump.lines().filter(|line| !line.starts_with("OFPST_"));
    rows.map(|line| format!("{line}\n")).collect()
}

/// The options as `add-tlv-map` takes them.
fn options(dump: &str) -> String {
    let option = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [class, kind, length, field] = words[..] else { return None };
        class.starts_with("0x").then(|| format!("{{class={class},type={kind},len={length}}}->{field}"))
    };
    dump.lines().filter_map(option).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_as_they_are_read() {
        let dump = "NXT_TLV_TABLE_REPLY (OF1.5) (xid=0x4):\n max option space=256 max fields=64\n mapping table:\n  \
                    class\ttype\tlength\tmatch field\n ------\t----\t------\t--------------\n  \
                    0x102\t0x80\t4\ttun_metadata0\n";
        assert_eq!(options(dump), "{class=0x102,type=0x80,len=4}->tun_metadata0");
        assert_eq!(options(&format!("{dump}  0x102 0x81 2 tun_metadata1\n")).matches("->").count(), 2);
    }

    #[test]
    fn rows_are_kept_without_their_header() {
        assert_eq!(
            rows("OFPST_FLOW reply (OF1.5) (xid=0x2):\n table=0, a\n table=1, b\n"),
            " table=0, a\n table=1, b\n"
        );
    }
}
