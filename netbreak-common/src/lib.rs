//! What both sides of the kernel boundary share. No logic: layouts, limits and numbers only.
//!
//! Every struct is `repr(C)`, has explicit padding, no bool, and a size assert, because its bytes cross the boundary.
//! Multi-byte numbers are in host byte order unless a field says otherwise; addresses are bytes as on the wire.
#![no_std]

mod account;
mod event;
mod flow;
mod ovs;
mod path;
mod route;
mod settings;
pub mod wire;

pub use account::*;
pub use event::*;
pub use flow::*;
pub use ovs::*;
pub use path::*;
pub use route::*;
pub use settings::*;

/// What counted a packet: the tracepoint behind a [`PlaceKey`] or an [`Event`].
pub mod sensor {
    /// `kfree_skb`: the kernel freed a packet unread. Reason: `enum skb_drop_reason`.
    pub const DROP: u8 = 0;
    /// `tcp_retransmit_skb`. Reason: the errno of the transmission, 0 = sent.
    pub const RETRANSMIT: u8 = 1;
    /// `tcp_retransmit_synack`. Reason: 0.
    pub const RETRANSMIT_SYNACK: u8 = 2;
    /// `tcp_send_reset`. Reason: `enum sk_rst_reason`, 0 where the kernel has none.
    pub const RESET_SENT: u8 = 3;
    /// `tcp_receive_reset`. Reason: 0.
    pub const RESET_RECEIVED: u8 = 4;
    /// `icmp_send`: the flow is that of the packet that the error is about. Reason: type << 8 | code.
    pub const ICMP_SENT: u8 = 5;
    /// `inet_sk_error_report`. Reason: the errno.
    pub const SOCKET_ERROR: u8 = 6;
    /// `ovs_dp_upcall`. Reason: the errno, 0 = handed to ovs-vswitchd, [`crate::UPCALL_UNKNOWN`] where the kernel does not
    /// tell; from bit [`crate::UPCALL_COMMAND`] on `enum ovs_packet_cmd`, 0 = not known. The place's `location` is the
    /// datapath's namespace, by inode number; `ifindex` and `netns` are those of the port that the packet came by.
    pub const UPCALL: u8 = 7;
}
