//! Connections of probes: echoes and datagrams tell by their payload whose they are (see [`crate::wire`]), segments by
//! their connection.

/// A connection of a probe. Packets match it in both directions.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ProbeKey {
    /// The address that the probe visits; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Its port.
    pub remote_port: u16,
    /// Our port.
    pub local_port: u16,
    /// One of `FAMILY_*`.
    pub family: u8,
    /// Always 0.
    pub pad: [u8; 3],
}

/// Whose it is.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProbeValue {
    /// The attempt; of a stream the one whose bytes come first on this connection.
    pub attempt: u64,
    /// Index of the probe within the run.
    pub probe: u32,
    /// Stream: bytes of each attempt. 0 = all segments are of the one attempt.
    pub piece: u32,
    /// The sequence number of our SYN, once the kernel side has seen it.
    pub first_sequence: u32,
    /// Has it (1), or has it not (0)?
    pub is_open: u32,
    /// Namespace of the probe, by inode number: the SYN is made there.
    pub netns: u32,
    /// How far beyond `first_sequence` the ends of our segments were that were seen there.
    pub sent: u32,
}

/// Where tunnels end that are looked into: Geneve, VXLAN, and the port that Linux took for it before.
pub const TUNNEL_PORTS: [u16; 3] = [GENEVE_PORT, VXLAN_PORT, VXLAN_PORT_OF_LINUX];

/// As IANA has it.
pub const GENEVE_PORT: u16 = 6081;

/// As IANA has it.
pub const VXLAN_PORT: u16 = 4789;

/// The default of `ip link add type vxlan`.
pub const VXLAN_PORT_OF_LINUX: u16 = 8472;

/// Connections of probes at one time.
pub const MAX_PROBE_FLOWS: u32 = 65_536;

/// Connections that were given other addresses or ports on their way, at one time.
pub const MAX_ALIASES: u32 = 8_192;

/// Words of the bitmap of probe ports: the cheapest test that tells that a segment is not ours. Bit `port % 64` of
/// word `port / 64` is set while some connection has that local port.
pub const PORT_WORDS: u32 = 65_536 / 64;

/// The same for aliases, which only the kernel side knows: a byte a port, since setting a bit is no single store. They
/// are never cleared.
pub const ALIAS_PORTS: usize = 65_536;

const _: () = {
    assert!(size_of::<ProbeKey>() == 24);
    assert!(size_of::<ProbeValue>() == 32);
};

#[cfg(feature = "user")]
mod pod {
    use super::*;

    // SAFETY: `repr(C)`, only integers and byte arrays, no padding but explicit: every bit pattern is valid.
    unsafe impl aya::Pod for ProbeKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ProbeValue {}
}
