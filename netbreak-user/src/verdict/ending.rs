//! How a packet ended, in words of the kernel.

use netbreak_common::{Event, sensor};

use super::{Names, addresses};

/// What `ip_rcv_core` and `ip6_rcv_core` say of a packet for another link address.
pub const OTHERHOST: &str = "OTHERHOST";

/// Reason, place and callers of a packet's end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// The drop reason's name; `None` where the kernel has none.
    pub reason: Option<String>,
    /// The function that freed the packet.
    pub symbol: Option<String>,
    /// Its callers, innermost first.
    pub callers: Vec<String>,
}

impl Ending {
    /// Of a `kfree_skb` event. The frames above the freeing function are the tracing itself: they are left out.
    pub fn of(event: &Event, names: &dyn Names) -> Self {
        let frames = event.stack.iter().copied().take_while(|address| *address != 0);
        let callers = frames.skip_while(|address| *address != event.location).skip(1);
        Self {
            reason: (event.sensor == sensor::DROP).then(|| names.drop_reason(event.reason)).flatten(),
            symbol: names.symbol(event.location),
            callers: callers.filter_map(|address| names.symbol(address)).collect(),
        }
    }

    /// The freeing function and its callers, innermost first.
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        self.symbol.iter().chain(&self.callers).map(String::as_str)
    }

    /// Does a function of this name lie on the way?
    pub fn passes(&self, name: &str) -> bool {
        self.chain().any(|function| function == name)
    }

    /// Was it a segment that a connection's socket had taken, to refuse it then?
    pub fn is_in_a_connection(&self) -> bool {
        const OF_SOCKETS: [&str; 6] = [
            "tcp_v4_do_rcv",
            "tcp_v6_do_rcv",
            "tcp_rcv_state_process",
            "tcp_rcv_established",
            "tcp_validate_incoming",
            "tcp_data_queue",
        ];
        self.symbol.as_deref().is_some_and(|symbol| OF_SOCKETS.contains(&symbol))
    }

    /// Had it another link address than the device that it reached?
    pub fn is_for_another(&self) -> bool {
        self.reason.as_deref() == Some(OTHERHOST)
    }

    /// Was it for the device that it reached, by its address, and for another one by its link address? Who sent it there has
    /// an outdated link address of that device. By any other device such a packet is a copy: of a switch that sends it
    /// everywhere, or for whoever listens there.
    pub fn is_misdirected(&self, event: &Event, names: &dyn Names) -> bool {
        let is_of_device = |address| names.device_of(event.netns, address) == Some(event.ifindex);
        self.is_for_another() && addresses::destination(event).is_some_and(is_of_device)
    }

    /// A copy that was freed while the packet lived on, or a packet that had been delivered before: no death.
    ///
    /// A packet socket gets a clone (`packet_rcv`, `tpacket_rcv`), and so does each raw socket (`raw_rcv`,
    /// `rawv6_rcv`); an echo reply that reached `ping_rcv` was handed to the raw sockets before
    /// (`ip_protocol_deliver_rcu`); a promiscuous port drops what is for another host (`ip_rcv_core`; but see
    /// [`is_misdirected`](Self::is_misdirected)); TCP drops bytes
    /// that it has had before (`tcp_data_queue`, `tcp_validate_incoming`), and at its end those that wait for a gap to be
    /// filled (`skb_rbtree_purge`); a SYN that comes again while its handshake is open is freed for no reason (`tcp_v4_rcv`
    /// after `tcp_check_req`).
    pub fn is_a_copy(&self) -> bool {
        const CLONE_OWNERS: [&str; 8] = [
            "packet_rcv",
            "tpacket_rcv",
            "raw_rcv",
            "rawv6_rcv",
            "ping_rcv",
            "ip6_mc_input",
            "netlink_unicast",
            "skb_rbtree_purge",
        ];
        const COPIES: [&str; 5] =
            [OTHERHOST, "SKB_CONSUMED", "TCP_OLD_DATA", "TCP_OLD_SEQUENCE", "TCP_OLD_ACK"];
        let (reason, symbol) = (self.reason.as_deref(), self.symbol.as_deref());
        let came_again =
            matches!((reason, symbol), (Some("NOT_SPECIFIED"), Some("tcp_v4_rcv" | "tcp_v6_rcv")));
        came_again
            || reason.is_some_and(|reason| COPIES.contains(&reason))
            || symbol.is_some_and(|symbol| CLONE_OWNERS.contains(&symbol))
    }
}
