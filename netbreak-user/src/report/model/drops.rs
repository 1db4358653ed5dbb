//! What the kernel dropped, of whomever.

use serde::{Deserialize, Serialize};

/// Packets (segments) of one flow that died at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DropRow {
    /// Whose packets.
    pub flow: Flow,
    /// The kernel's name of the drop reason; absent where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kernel function that freed them; absent when symbols may not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Where; absent when the packet had no device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Network namespace (inode number); absent when the packet had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Segments.
    pub packets: u64,
    /// Bytes from the network header on.
    pub bytes: u64,
    /// The first of them, to the kernel's tick (1 to 10 ms); negative before the first attempt.
    pub first_s: f64,
    /// The last of them.
    pub last_s: f64,
}

/// Direction as seen on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Source address; absent for packets without an IP header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Source port, or ICMP identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// Destination address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// `tcp`, `udp`, `icmp`, `icmp6`, another IP protocol's number, or `0x0806`-like for an Ethernet type.
    pub proto: String,
}

/// One row of the exact table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DropTotal {
    /// The kernel's name of the drop reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Network namespace (inode number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Segments.
    pub packets: u64,
}
