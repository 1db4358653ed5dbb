//! SNMP counters by name, as `/proc/net/snmp`, `/proc/net/netstat` and `/proc/net/snmp6` show them.

use std::collections::BTreeMap;

/// SNMP counters by name. 64 bits wide in the kernel, so they do not wrap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    values: BTreeMap<String, u64>,
}

impl Counters {
    /// A counter by name: `Tcp.RetransSegs`, `TcpExt.ListenOverflows`, `IpExt.InNoRoutes` for those of snmp and
    /// netstat; `Conntrack.drop` for those of connection tracking, `Openvswitch.lost` for those of datapaths; snmp6 has the kernel's own names without a dot:
    /// `Icmp6OutEchos`, `Ip6InHdrErrors`, `Udp6NoPorts`.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.values.get(name).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds the format of `/proc/net/snmp` and `/proc/net/netstat`: a line of names and a line of values a group,
    /// both starting with `Group:`. What is no counter (`Tcp.MaxConn` is −1) or has no value is left out; so is a
    /// group whose two lines do not belong together.
    pub fn add_table(&mut self, text: &str) {
        let mut lines = text.lines();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((group, names)), Some((same, values))) =
                (names.split_once(':'), values.split_once(':'))
            else {
                continue;
            };
            if group != same {
                continue;
            }
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                if let Ok(value) = value.parse() {
                    self.values.insert(format!("{group}.{name}"), value);
                }
            }
        }
    }

    /// Adds the format of `/proc/net/snmp6`: one name and one value a line.
    pub fn add_list(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse)) {
                self.values.insert(name.to_owned(), value);
            }
        }
    }

    /// Adds counters under `group`.
    pub(super) fn add_group<'a>(&mut self, group: &str, values: impl IntoIterator<Item = (&'a str, u64)>) {
        self.values.extend(values.into_iter().map(|(name, value)| (format!("{group}.{name}"), value)));
    }

    /// What was counted since `before`: the counters that both sides have and that did not go back (a gauge such
    /// as `Tcp.CurrEstab` may).
    pub fn since(&self, before: &Counters) -> Counters {
        let one = |(name, after): (&String, &u64)| {
            Some((name.clone(), after.checked_sub(*before.values.get(name)?)?))
        };
        Counters { values: self.values.iter().filter_map(one).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux 6.18, shortened in the middle of long lines only.
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits
Ip: 2 64 13879 1 0 0 0 0 13879 8771 0 7 0 0 0 0 0 0 0 8771
Icmp: InMsgs InErrors InEchos InEchoReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutEchos OutEchoReps
Icmp: 1 0 0 0 0 0 0 0 12 0
IcmpMsg: InType3
IcmpMsg: 1
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 77 15 2 1 2 13823 8716 3 0 19 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 55 1 0 55 4 0 0 0 0
";
    /// Linux 5.10: no OutTransmits, no rate limits, no MemErrors.
    const SNMP_5_10: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors OutNoRoutes FragCreates
Ip: 1 64 40 0 0 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti
Udp: 9 0 0 9 0 0 0 0
";
    const NETSTAT: &str = "\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPRetransFail NeverHeardOf
TcpExt: 0 5 6 0 18446744073709551615
IpExt: InNoRoutes InTruncatedPkts
IpExt: 8 0
";
    const SNMP6: &str = "\
Ip6InReceives                   \t9
Ip6InHdrErrors                  \t2
Icmp6OutEchos                   \t11
Icmp6OutType128                 \t11
Udp6NoPorts                     \t3
";

    #[test]
    fn values_are_found_by_name() {
        let mut counters = Counters::default();
        counters.add_table(SNMP);
        counters.add_table(NETSTAT);
        counters.add_list(SNMP6);
        for (name, value) in [
            ("Ip.OutNoRoutes", 7),
            ("Ip.InHdrErrors", 1),
            ("Icmp.OutEchos", 12),
            ("IcmpMsg.InType3", 1),
            ("Tcp.RetransSegs", 3),
            ("Tcp.OutRsts", 19),
            ("Udp.RcvbufErrors", 4),
            ("TcpExt.ListenOverflows", 5),
            ("TcpExt.NeverHeardOf", u64::MAX),
            ("IpExt.InNoRoutes", 8),
            ("Icmp6OutEchos", 11),
            ("Icmp6OutType128", 11),
            ("Udp6NoPorts", 3),
        ] {
            assert_eq!(counters.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_negative_number_is_no_counter_and_moves_nothing() {
        let mut counters = Counters::default();
        counters.add_table(SNMP);
        assert_eq!(counters.get("Tcp.MaxConn"), None);
        assert_eq!(counters.get("Tcp.ActiveOpens"), Some(77));
    }

    #[test]
    fn what_an_older_kernel_lacks_is_none() {
        let mut counters = Counters::default();
        counters.add_table(SNMP_5_10);
        assert_eq!(counters.get("Udp.MemErrors"), None);
        assert_eq!(counters.get("Ip.OutTransmits"), None);
        assert_eq!(counters.get("Udp.IgnoredMulti"), Some(0));
    }

    #[test]
    fn broken_text_gives_what_can_be_read() {
        let mut counters = Counters::default();
        counters.add_table("");
        counters.add_table("Ip: A B\n");
        counters.add_table("Ip: A B\nTcp: 1 2\n");
        counters.add_table("no colon\nIp: 1\n");
        counters.add_list("alone\n\nIp6X not-a-number\n");
        assert!(counters.is_empty());
        counters.add_table("Ip: A B C\nIp: 1 2\n");
        assert_eq!((counters.len(), counters.get("Ip.C")), (2, None));
    }

    #[test]
    fn the_running_kernel_is_understood() {
        let mut counters = Counters::default();
        for file in ["snmp", "netstat"] {
            counters.add_table(&std::fs::read_to_string(format!("/proc/self/net/{file}")).unwrap());
        }
        for name in
            ["Tcp.RetransSegs", "Tcp.OutRsts", "Icmp.OutEchos", "TcpExt.ListenDrops", "IpExt.InNoRoutes"]
        {
            assert!(counters.get(name).is_some(), "{name}");
        }
    }
}
