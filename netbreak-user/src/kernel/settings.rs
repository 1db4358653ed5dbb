//! What the programs are told about this kernel.

use netbreak_common::{ABSENT, Offsets, Settings};

use super::{
    btf::{BtfError, KernelBtf},
    ovs::OPENVSWITCH,
};

/// Reads every number that the programs need from the kernel's BTF.
///
/// # Errors
/// Names the struct and member that this kernel does not have, or has twice.
pub fn settings(btf: &KernelBtf) -> Result<Settings, BtfError> {
    let arguments = |tracepoint| btf.tracepoint_arguments(tracepoint).unwrap_or(0);
    Ok(Settings {
        offsets: offsets(btf)?,
        kfree_skb_arguments: arguments("kfree_skb"),
        retransmit_arguments: arguments("tcp_retransmit_skb"),
        send_reset_arguments: arguments("tcp_send_reset"),
        consume_skb_arguments: arguments("consume_skb"),
        run_id: [0; 2],
        probes: 0,
        ledger_mask: 0,
        headers: 0,
        parse_only: 0,
    })
}

fn offsets(btf: &KernelBtf) -> Result<Offsets, BtfError> {
    let control_block = btf.offset("sk_buff", "cb")?;
    let (conn_status, conn_tuple) = connections(btf);
    let common = |member: &str| btf.offset("sock", &format!("__sk_common.{member}"));
    // What only some programs read: those are not loaded then (see `programs::attach_all`).
    let member = |structure: &str, member: &str| btf.offset(structure, member).unwrap_or(ABSENT);
    let openvswitch = btf.module(OPENVSWITCH);
    let of_switch = |structure: &str, member: &str| {
        openvswitch.as_ref().unwrap_or(btf).offset(structure, member).unwrap_or(ABSENT)
    };
    Ok(Offsets {
        skb_dev: btf.offset("sk_buff", "dev")?,
        skb_sk: btf.offset("sk_buff", "sk")?,
        skb_dst: btf.offset("sk_buff", "_skb_refdst")?,
        skb_head: btf.offset("sk_buff", "head")?,
        skb_data: btf.offset("sk_buff", "data")?,
        skb_tail: btf.offset("sk_buff", "tail")?,
        skb_end: btf.offset("sk_buff", "end")?,
        skb_len: btf.offset("sk_buff", "len")?,
        skb_protocol: btf.offset("sk_buff", "protocol")?,
        skb_network_header: btf.offset("sk_buff", "network_header")?,
        skb_nfct: btf.offset("sk_buff", "_nfct").unwrap_or(ABSENT),
        skb_tcp_gso_segs: control_block + btf.offset("tcp_skb_cb", "tcp_gso_segs")?,
        skb_tcp_seq: control_block + btf.offset("tcp_skb_cb", "seq")?,
        skb_tcp_flags: control_block + btf.offset("tcp_skb_cb", "tcp_flags")?,
        shinfo_gso_segs: btf.offset("skb_shared_info", "gso_segs")?,
        dst_dev: btf.offset("dst_entry", "dev")?,
        dev_ifindex: btf.offset("net_device", "ifindex")?,
        dev_name: btf.offset("net_device", "name")?,
        dev_net: btf.offset("net_device", "nd_net.net")?,
        net_inum: btf.offset("net", "ns.inum")?,
        sk_net: common("skc_net.net")?,
        sk_family: common("skc_family")?,
        sk_state: common("skc_state")?,
        sk_num: common("skc_num")?,
        sk_sport: btf.offset("inet_sock", "inet_sport")?,
        sk_dport: common("skc_dport")?,
        sk_rcv_saddr: common("skc_rcv_saddr")?,
        sk_daddr: common("skc_daddr")?,
        sk_v6_rcv_saddr: common("skc_v6_rcv_saddr").unwrap_or(ABSENT),
        sk_v6_daddr: common("skc_v6_daddr").unwrap_or(ABSENT),
        sk_protocol: btf.offset("sock", "sk_protocol")?,
        sk_err: btf.offset("sock", "sk_err")?,
        conn_status,
        conn_tuple,
        flow4_oif: member("flowi4", "__fl_common.flowic_oif"),
        flow4_flags: member("flowi4", "__fl_common.flowic_flags"),
        flow4_proto: member("flowi4", "__fl_common.flowic_proto"),
        flow4_daddr: member("flowi4", "daddr"),
        flow4_dport: member("flowi4", "uli.ports.dport"),
        flow6_proto: member("flowi6", "__fl_common.flowic_proto"),
        flow6_daddr: member("flowi6", "daddr"),
        flow6_dport: member("flowi6", "uli.ports.dport"),
        fib6_table_id: member("fib6_table", "tb6_id"),
        fib6_result_type: member("fib6_result", "fib6_type"),
        fib6_result_route: member("fib6_result", "f6i"),
        net_fib6_null_entry: member("net", "ipv6.fib6_null_entry"),
        datapath_net: of_switch("datapath", "net.net"),
        upcall_command: of_switch("dp_upcall_info", "cmd"),
    })
}

/// Offsets of what connection tracking remembers: a connection's status, and its first packet. [`ABSENT`] where this
/// kernel has no connection tracking, or one that remembers in another way than the programs know.
fn connections(btf: &KernelBtf) -> (u32, u32) {
    let module = btf.offset("nf_conn", "status").is_err().then(|| btf.module("nf_conntrack")).flatten();
    let btf = module.as_ref().unwrap_or(btf);
    let found = || {
        let at = |member| btf.offset("nf_conntrack_tuple", member);
        // `netbreak_ebpf::connection::Tuple`
        let members = [at("src.u3")?, at("src.u")?, at("dst.u3")?, at("dst.u")?];
        let tuple = btf.offset("nf_conn", "tuplehash")? + btf.offset("nf_conntrack_tuple_hash", "tuple")?;
        Ok::<_, BtfError>((members, btf.offset("nf_conn", "status")?, tuple))
    };
    match found() {
        Ok(([0, 16, 20, 36], status, tuple)) => (status, tuple),
        _ => (ABSENT, ABSENT),
    }
}
