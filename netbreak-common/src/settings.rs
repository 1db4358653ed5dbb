//! What the loader tells the programs before they are loaded. Read-only afterwards, so the verifier knows each
//! number: an offset is a constant to it, and a branch on a switch that is 0 is never verified nor run.

/// An [`Offsets`] field that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Byte offsets of the members that the programs read, from the running kernel's BTF.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offsets {
    /// `sk_buff.dev`
    pub skb_dev: u32,
    /// `sk_buff.sk`
    pub skb_sk: u32,
    /// `sk_buff._skb_refdst`
    pub skb_dst: u32,
    /// `sk_buff.head`
    pub skb_head: u32,
    /// `sk_buff.data`
    pub skb_data: u32,
    /// `sk_buff.tail`
    pub skb_tail: u32,
    /// `sk_buff.end`
    pub skb_end: u32,
    /// `sk_buff.len`
    pub skb_len: u32,
    /// `sk_buff.protocol`
    pub skb_protocol: u32,
    /// `sk_buff.network_header`
    pub skb_network_header: u32,
    /// `sk_buff._nfct`; [`ABSENT`] without connection tracking
    pub skb_nfct: u32,
    /// `sk_buff.cb` + `tcp_skb_cb.tcp_gso_segs`
    pub skb_tcp_gso_segs: u32,
    /// `sk_buff.cb` + `tcp_skb_cb.seq`
    pub skb_tcp_seq: u32,
    /// `sk_buff.cb` + `tcp_skb_cb.tcp_flags`
    pub skb_tcp_flags: u32,
    /// `skb_shared_info.gso_segs`
    pub shinfo_gso_segs: u32,
    /// `dst_entry.dev`
    pub dst_dev: u32,
    /// `net_device.ifindex`
    pub dev_ifindex: u32,
    /// `net_device.name`
    pub dev_name: u32,
    /// `net_device.nd_net.net`
    pub dev_net: u32,
    /// `net.ns.inum`
    pub net_inum: u32,
    /// `sock.__sk_common.skc_net.net`
    pub sk_net: u32,
    /// `sock.__sk_common.skc_family`
    pub sk_family: u32,
    /// `sock.__sk_common.skc_state`
    pub sk_state: u32,
    /// `sock.__sk_common.skc_num` (host byte order)
    pub sk_num: u32,
    /// `inet_sock.inet_sport` (network byte order)
    pub sk_sport: u32,
    /// `sock.__sk_common.skc_dport` (network byte order)
    pub sk_dport: u32,
    /// `sock.__sk_common.skc_rcv_saddr`
    pub sk_rcv_saddr: u32,
    /// `sock.__sk_common.skc_daddr`
    pub sk_daddr: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`; [`ABSENT`] without IPv6
    pub sk_v6_rcv_saddr: u32,
    /// `sock.__sk_common.skc_v6_daddr`; [`ABSENT`] without IPv6
    pub sk_v6_daddr: u32,
    /// `sock.sk_protocol`
    pub sk_protocol: u32,
    /// `sock.sk_err`
    pub sk_err: u32,
    /// `nf_conn.status`
    pub conn_status: u32,
    /// `nf_conn.tuplehash[IP_CT_DIR_ORIGINAL].tuple`
    pub conn_tuple: u32,
    /// `flowi4.__fl_common.flowic_oif`
    pub flow4_oif: u32,
    /// `flowi4.__fl_common.flowic_flags`
    pub flow4_flags: u32,
    /// `flowi4.__fl_common.flowic_proto`
    pub flow4_proto: u32,
    /// `flowi4.daddr`
    pub flow4_daddr: u32,
    /// `flowi4.uli.ports.dport`; of ICMP type and code
    pub flow4_dport: u32,
    /// `flowi6.__fl_common.flowic_proto`
    pub flow6_proto: u32,
    /// `flowi6.daddr`
    pub flow6_daddr: u32,
    /// `flowi6.uli.ports.dport`; of ICMPv6 type and code
    pub flow6_dport: u32,
    /// `fib6_table.tb6_id`
    pub fib6_table_id: u32,
    /// `fib6_result.fib6_type`
    pub fib6_result_type: u32,
    /// `fib6_result.f6i`
    pub fib6_result_route: u32,
    /// `net.ipv6.fib6_null_entry`
    pub net_fib6_null_entry: u32,
    /// `datapath.net` of openvswitch; [`ABSENT`] without its type information
    pub datapath_net: u32,
    /// `dp_upcall_info.cmd` of openvswitch; likewise
    pub upcall_command: u32,
}

impl Offsets {
    /// What the object holds before the loader fills it.
    pub const ZERO: Self = {
        // SAFETY: `repr(C)`, only integers.
        unsafe { core::mem::zeroed() }
    };
}

/// Everything that the programs are told.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Tells the payloads of this run from those of others, as they are in a packet (see [`crate::wire`]).
    pub run_id: [u32; 2],
    /// See [`Offsets`].
    pub offsets: Offsets,
    /// Arguments of `kfree_skb`: 2 (skb, location), 3 (+ reason) or 4 (+ rx_sk).
    pub kfree_skb_arguments: u32,
    /// Arguments of `tcp_retransmit_skb`: 2 (sk, skb) or 3 (+ err).
    pub retransmit_arguments: u32,
    /// Arguments of `tcp_send_reset`: 2 (sk, skb) or 3 (+ reason).
    pub send_reset_arguments: u32,
    /// Arguments of `consume_skb`: 1 (skb) or 2 (+ location).
    pub consume_skb_arguments: u32,
    /// Probes of this run whose packets are followed: each has its part of the ledger.
    pub probes: u32,
    /// Attempts of a probe that the ledger holds, less 1: a mask of bits.
    pub ledger_mask: u32,
    /// 1 = events bring how their packets begin ([`crate::EventWithHeaders`]).
    pub headers: u32,
    /// 1 = parse and do not count: only for measuring what parsing costs.
    pub parse_only: u32,
}

const _: () = assert!(size_of::<Settings>() == size_of::<Offsets>() + 10 * 4);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, only integers, padding is explicit: every bit pattern is valid.
unsafe impl aya::Pod for Settings {}
