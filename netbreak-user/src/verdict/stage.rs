//! Where in wire order a packet ended, in words.

use super::ending::Ending;

/// The stage; `None` when the functions do not tell.
pub fn of(ending: &Ending) -> Option<&'static str> {
    let in_netfilter = ending.passes("nf_hook_slow") || ending.reason.as_deref() == Some("NETFILTER_DROP");
    let table = if in_netfilter { HOOKS } else { FUNCTIONS };
    ending
        .chain()
        .find_map(|function| table.iter().find(|(name, _)| *name == function))
        .map(|(_, stage)| *stage)
}

/// Who called `nf_hook_slow`: that tells the hook.
const HOOKS: &[(&str, &str)] = &[
    ("nft_do_chain_netdev", "netfilter ingress"),
    ("__netif_receive_skb_core", "netfilter ingress"),
    ("ip_rcv", "netfilter prerouting"),
    ("ipv6_rcv", "netfilter prerouting"),
    ("ip_sabotage_in", "netfilter prerouting"),
    ("ip_local_deliver", "netfilter input"),
    ("ip6_input", "netfilter input"),
    ("ip_forward", "netfilter forward"),
    ("ip6_forward", "netfilter forward"),
    ("__ip_local_out", "netfilter output"),
    ("__ip6_local_out", "netfilter output"),
    ("ip6_xmit", "netfilter output"),
    ("raw_sendmsg", "netfilter output"),
    ("rawv6_sendmsg", "netfilter output"),
    ("ip_output", "netfilter postrouting"),
    ("ip6_output", "netfilter postrouting"),
    ("ip_mc_output", "netfilter postrouting"),
];

const FUNCTIONS: &[(&str, &str)] = &[
    ("do_xdp_generic", "xdp"),
    ("netif_receive_generic_xdp", "xdp"),
    ("veth_xdp_rcv_skb", "xdp"),
    ("veth_xdp_rcv_one", "xdp"),
    ("ip_rcv_core", "ip receive"),
    ("ip6_rcv_core", "ip receive"),
    ("ip_error", "routing"),
    ("ip6_pkt_drop", "routing"),
    ("dst_discard", "routing"),
    ("dst_discard_out", "routing"),
    ("ip_rcv_finish_core", "routing"),
    ("ip_route_input_slow", "routing"),
    ("ip_forward", "ip forward"),
    ("ip6_forward", "ip forward"),
    ("neigh_invalidate", "neighbour"),
    ("neigh_destroy", "neighbour"),
    ("__neigh_event_send", "neighbour"),
    ("do_execute_actions", "openvswitch"),
    ("ovs_dp_process_packet", "openvswitch"),
    ("internal_dev_recv", "openvswitch internal port"),
    ("tun_net_xmit", "device transmit"),
    ("__dev_forward_skb2", "device transmit"),
    ("__dev_queue_xmit", "qdisc"),
    ("enqueue_to_backlog", "cpu backlog"),
    ("__netif_receive_skb_core", "device receive"),
    ("udp_queue_rcv_one_skb", "socket"),
    ("udpv6_queue_rcv_one_skb", "socket"),
    ("__udp4_lib_rcv", "udp receive"),
    ("__udp6_lib_rcv", "udp receive"),
    ("tcp_v4_rcv", "tcp receive"),
    ("tcp_v6_rcv", "tcp receive"),
    ("icmp_rcv", "icmp receive"),
    ("icmpv6_rcv", "icmp receive"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(reason: &str, functions: &[&str]) -> Ending {
        let mut functions = functions.iter().map(|name| (*name).to_owned());
        Ending { reason: Some(reason.into()), symbol: functions.next(), callers: functions.collect() }
    }

    #[test]
    fn the_caller_of_the_hook_tells_which_hook() {
        let drop = |caller| {
            of(&chain("NETFILTER_DROP", &["nft_do_chain", "nft_do_chain_inet", "nf_hook_slow", caller]))
        };
        assert_eq!(drop("ip_forward"), Some("netfilter forward"));
        assert_eq!(drop("ip_local_deliver"), Some("netfilter input"));
        assert_eq!(drop("__ip_local_out"), Some("netfilter output"));
        assert_eq!(drop("unheard_of"), None);
    }

    #[test]
    fn other_stages_come_from_the_innermost_known_function() {
        assert_eq!(of(&chain("PKT_TOO_BIG", &["ip_forward", "ip_rcv"])), Some("ip forward"));
        assert_eq!(of(&chain("QDISC_DROP", &["__dev_queue_xmit", "ip_output"])), Some("qdisc"));
    }
}
