//! What must be seen: the real `netbreak run` on real packets, against what the kernel counted.
//!
//! Needs root, iproute2, nftables, iptables, ethtool and tshark. Without them a test says "skipped: …"; with
//! NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

#[path = "../common/mod.rs"]
mod common;
mod control;
mod counted;
mod flood;
mod forms;
mod matrix;
mod merge;
mod pcap;
mod resets;
mod retransmits;
mod score;
mod scored;
mod watch;
