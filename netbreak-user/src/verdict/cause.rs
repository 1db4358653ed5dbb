//! The class of a death, from how the packet ended.

use super::ending::{Ending, OTHERHOST};
use crate::report::Cause;

/// From a drop's reason; where the kernel gives none that tells, from the functions it passed.
pub fn of_drop(ending: &Ending) -> Cause {
    let by_reason = ending.reason.as_deref().and_then(|reason| of_reason(reason, ending));
    let by_function = || ending.chain().find_map(of_function).or_else(|| of_owner(ending));
    by_reason.or_else(by_function).unwrap_or(Cause::Other)
}

/// Where there are no reasons: from the function that freed the packet itself, which frees for little else.
fn of_owner(ending: &Ending) -> Option<Cause> {
    if ending.reason.is_some() {
        return None;
    }
    Some(match ending.symbol.as_deref()? {
        symbol if is_purge(None, Some(symbol)) => Cause::Socket,
        // What a qdisc refused (`__dev_xmit_skb`, part of `__dev_queue_xmit`).
        "kfree_skb_list" if ending.passes("__dev_queue_xmit") => Cause::Queue,
        // `sch_handle_ingress` and `sch_handle_egress` are part of them.
        "__netif_receive_skb_core" | "__dev_queue_xmit" => Cause::Tc,
        // `ip_route_input_noref` refused the source (net/ipv4/ip_input.c).
        "ip_rcv_finish_core" => Cause::Route,
        "__udp4_lib_rcv"
        | "__udp6_lib_rcv"
        | "udp_queue_rcv_one_skb"
        | "udpv6_queue_rcv_one_skb"
        | "tcp_v4_rcv"
        | "tcp_v6_rcv" => Cause::Socket,
        _ => return None,
    })
}

fn of_reason(reason: &str, ending: &Ending) -> Option<Cause> {
    Some(match reason {
        "NETFILTER_DROP" => Cause::Netfilter,
        "IP_OUTNOROUTES" | "IP_INNOROUTES" | "IP_RPFILTER" | "IP_INADDRERRORS" | "IP_INVALID_SOURCE"
        | "IP_INVALID_DEST" | "IP_LOCALNET" | "IP_LOCAL_SOURCE" => Cause::Route,
        "QUEUE_PURGE" if ending.chain().any(|function| function.starts_with("neigh_")) => Cause::Neighbour,
        // Their socket, or the process that held the TAP device open, went away with them unread.
        _ if is_purge(Some(reason), ending.symbol.as_deref()) => Cause::Socket,
        "CPU_BACKLOG" | "FULL_RING" | "TAP_TXFILTER" => Cause::Queue,
        "NO_SOCKET"
        | "SOCKET_RCVBUFF"
        | "SOCKET_FILTER"
        | "SOCKET_BACKLOG"
        | "SOCKET_CLOSE"
        | "PROTO_MEM"
        | "TCP_LISTEN_OVERFLOW"
        | "TCP_LISTEN_DROP" => Cause::Socket,
        "PKT_TOO_BIG" | "FRAG_TOO_FAR" => Cause::Mtu,
        "IP_INHDR" if ending.passes("ip_forward") || ending.passes("ip6_forward") => Cause::Ttl,
        "TC_INGRESS" | "TC_EGRESS" | "TC_RECLASSIFY_LOOP" | "TC_CHAIN_NOTFOUND" => Cause::Tc,
        "XDP" => Cause::Xdp,
        "BPF_CGROUP_EGRESS" => Cause::Bpf,
        "DEV_READY" | "DEV_HDR" => Cause::Link,
        _ if reason.ends_with("_CSUM") => Cause::Checksum,
        // By a neighbour's outdated link address; of other devices it is a copy.
        OTHERHOST => Cause::Neighbour,
        _ if reason.starts_with("NEIGH_") => Cause::Neighbour,
        _ if reason.starts_with("QDISC_") => Cause::Queue,
        _ if reason.starts_with("OVS_DROP_") => Cause::OvsFlow,
        _ => return None,
    })
}

/// Was the packet freed unread from a queue that went away: a socket's, or a TAP device's (`tun_queue_purge` in
/// drivers/net/tun.c, which gives no reason)?
pub fn is_purge(reason: Option<&str>, symbol: Option<&str>) -> bool {
    match reason {
        Some(reason) => reason == "QUEUE_PURGE" || symbol == Some("tun_queue_purge"),
        None => matches!(
            symbol,
            Some("tun_queue_purge" | "skb_queue_purge" | "udp_destruct_common" | "inet_sock_destruct")
        ),
    }
}

/// For reasons that do not tell (NOT_SPECIFIED) and kernels without reasons.
fn of_function(function: &str) -> Option<Cause> {
    Some(match function {
        // `ip_error` and `ip6_pkt_drop` are where routes of kind unreachable, blackhole and prohibit lead.
        "ip_error" | "ip6_pkt_drop" | "ip6_pkt_discard" | "ip6_pkt_prohibit" | "dst_discard"
        | "dst_discard_out" => Cause::Route,
        // An echo that the host took and did not answer.
        "icmp_rcv" | "icmpv6_rcv" => Cause::Socket,
        // `is_skb_forwardable`: the device on the other side is not up.
        "__dev_forward_skb2" | "__dev_forward_skb" | "internal_dev_recv" => Cause::Link,
        // Up to 5.10 the latter frees what its program dropped.
        "do_xdp_generic" | "netif_receive_generic_xdp" => Cause::Xdp,
        // An action failed, or the port that they were to leave by was gone (`do_output`).
        "do_execute_actions" => Cause::OvsFlow,
        "ovs_dp_process_packet" | "queue_userspace_packet" | "ovs_dp_upcall" => Cause::OvsUpcall,
        "nf_hook_slow" => Cause::Netfilter,
        _ if function.starts_with("neigh_") || function.starts_with("__neigh_") => Cause::Neighbour,
        _ if function.starts_with("nft_")
            || function.starts_with("ipt_")
            || function.starts_with("ip6t_") =>
        {
            Cause::Netfilter
        }
        _ if function.contains("_xdp_") => Cause::Xdp,
        _ => return None,
    })
}

/// From an errno that the kernel gave instead of sending.
pub fn of_errno(errno: i32) -> Cause {
    match errno {
        // A route of kind unreachable, prohibit (EACCES) or blackhole (EINVAL), or none: `fib_props`, net/ipv4/fib_semantics.c.
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL => Cause::Route,
        libc::EPERM => Cause::Netfilter,
        libc::ENOBUFS | libc::EAGAIN => Cause::Queue,
        libc::EMSGSIZE => Cause::Mtu,
        libc::ENODEV | libc::ENXIO | libc::ENETDOWN | libc::EADDRNOTAVAIL => Cause::Link,
        libc::ECONNREFUSED => Cause::Socket,
        // No local port is left (`inet_csk_get_port`), or no file: that is ours.
        libc::EADDRINUSE | libc::EMFILE | libc::ENFILE => Cause::Starved,
        libc::ECONNRESET | libc::EPIPE => Cause::Reset,
        _ => Cause::Other,
    }
}

/// From an ICMP error's type and code (IPv4), for a packet whose drop was not seen.
pub fn of_icmp_error(kind: u8, code: u8) -> Cause {
    match (kind, code) {
        (3, 1) => Cause::Neighbour,
        (3, 2 | 3) => Cause::Socket,
        (3, 4) => Cause::Mtu,
        (3, 9 | 10 | 13) => Cause::Netfilter,
        (3, _) => Cause::Route,
        (11, _) => Cause::Ttl,
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(reason: Option<&str>, chain: &[&str]) -> Ending {
        let mut chain = chain.iter().map(|name| (*name).to_owned());
        Ending { reason: reason.map(str::to_owned), symbol: chain.next(), callers: chain.collect() }
    }

    #[test]
    fn causes_follow_from_reason_then_from_functions() {
        let table: [(Option<&str>, &[&str], Cause); 34] = [
            (Some("NETFILTER_DROP"), &["nft_do_chain", "nf_hook_slow", "ip_forward"], Cause::Netfilter),
            (Some("NETFILTER_DROP"), &[], Cause::Netfilter),
            (None, &["nft_do_chain"], Cause::Netfilter),
            (Some("NOT_SPECIFIED"), &["ip_error", "ip_rcv_finish"], Cause::Route),
            (Some("IP_INNOROUTES"), &["ip_error"], Cause::Route),
            (Some("IP_RPFILTER"), &["ip_rcv_finish_core"], Cause::Route),
            (Some("NEIGH_FAILED"), &["neigh_invalidate"], Cause::Neighbour),
            (Some("OTHERHOST"), &["ip_rcv_core", "ip_rcv"], Cause::Neighbour),
            (Some("NOT_SPECIFIED"), &["neigh_invalidate", "neigh_timer_handler"], Cause::Neighbour),
            (Some("QUEUE_PURGE"), &["neigh_destroy"], Cause::Neighbour),
            (Some("NOT_SPECIFIED"), &["tun_queue_purge"], Cause::Socket),
            (Some("QDISC_DROP"), &["__dev_queue_xmit"], Cause::Queue),
            (Some("SOCKET_RCVBUFF"), &["udp_queue_rcv_one_skb"], Cause::Socket),
            (Some("TCP_CSUM"), &["tcp_v4_rcv"], Cause::Checksum),
            (Some("PKT_TOO_BIG"), &["ip_forward"], Cause::Mtu),
            (Some("IP_INHDR"), &["ip_forward"], Cause::Ttl),
            (Some("IP_INHDR"), &["ip_rcv_core"], Cause::Other),
            (Some("NOT_SPECIFIED"), &["veth_xdp_rcv_skb"], Cause::Xdp),
            (Some("NOT_SPECIFIED"), &["do_xdp_generic"], Cause::Xdp),
            (None, &["netif_receive_generic_xdp", "do_xdp_generic"], Cause::Xdp),
            (Some("TC_EGRESS"), &["__dev_queue_xmit"], Cause::Tc),
            (Some("OVS_DROP_LAST_ACTION"), &["do_execute_actions"], Cause::OvsFlow),
            (Some("NOT_SPECIFIED"), &["dst_discard_out", "ip6_forward"], Cause::Route),
            (Some("NOT_SPECIFIED"), &["icmpv6_rcv"], Cause::Socket),
            (Some("NOT_SPECIFIED"), &["do_execute_actions", "ovs_execute_actions"], Cause::OvsFlow),
            (None, &["ovs_dp_process_packet", "ovs_vport_receive"], Cause::OvsUpcall),
            (Some("NOT_SPECIFIED"), &["somewhere_new"], Cause::Other),
            (None, &["kfree_skb_list", "__dev_queue_xmit", "ip_finish_output2"], Cause::Queue),
            (None, &["__dev_queue_xmit", "ip_finish_output2"], Cause::Tc),
            (Some("NOT_SPECIFIED"), &["__dev_queue_xmit"], Cause::Other),
            (None, &["udp_destruct_common"], Cause::Socket),
            (None, &["skb_queue_purge", "neigh_destroy"], Cause::Neighbour),
            (None, &["tcp_v4_rcv", "ip_protocol_deliver_rcu"], Cause::Socket),
            (None, &["somewhere_new", "__dev_queue_xmit"], Cause::Other),
        ];
        for (reason, chain, cause) in table {
            assert_eq!(of_drop(&ending(reason, chain)), cause, "{reason:?} {chain:?}");
        }
    }
}
