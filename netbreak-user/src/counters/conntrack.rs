//! What connection tracking counted in one namespace: `/proc/net/stat/nf_conntrack`.
//!
//! The file is only there where nf_conntrack is, and the kernel was built with CONFIG_NF_CONNTRACK_PROCFS.

use std::collections::BTreeMap;

/// Sums over all CPUs, by the kernel's own names: `drop` (a packet of a new connection found the table full),
/// `early_drop` (another connection made room), `insert_failed` (two packets of one new connection raced),
/// `invalid` and others (`struct ip_conntrack_stat`, `ct_cpu_seq_show` in net/netfilter/nf_conntrack_standalone.c).
///
/// One line of names, then one line a CPU, hexadecimal. `None` when a line is not of that form.
pub(super) fn parse(text: &str) -> Option<BTreeMap<&str, u64>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_whitespace().collect();
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        let mut columns = line.split_whitespace();
        for name in &names {
            let value = u64::from_str_radix(columns.next()?, 16).ok()?;
            // How many connections there are now is no count of what happened, and every line repeats it.
            if *name != "entries" {
                *sums.entry(name).or_default() += value;
            }
        }
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux 6.18: `found new` and `expect_new` are separated by one or two blanks.
    const TEXT: &str = "\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
00000007  00000000 00000001 00000000 00000003 00000000 00000000 00000000 00000000 00000002 0000000a 00000004 00000000  00000000 00000000 00000000 00000000
00000007  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000010 00000000 00000000  00000000 00000000 00000000 00000000
";

    #[test]
    fn cpus_are_added_up_by_name() {
        let sums = parse(TEXT).unwrap();
        for (name, value) in
            [("drop", 26), ("early_drop", 4), ("insert_failed", 2), ("invalid", 4), ("found", 1)]
        {
            assert_eq!(sums.get(name), Some(&value), "{name}");
        }
        assert_eq!(sums.get("entries"), None);
    }

    #[test]
    fn another_form_is_not_guessed_at() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("entries drop\n00000001\n"), None);
        assert_eq!(parse("entries drop\n00000001 zz\n"), None);
    }
}
