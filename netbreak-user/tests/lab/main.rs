//! The lab's own promises: it is there quickly, each fault kills exactly the packets that the kernel counts, undoing
//! it heals the network, and nothing of it survives its process.
//!
//! Needs root, iproute2, nftables, iptables, ethtool and ping. Without them a test says "skipped: …"; with
//! NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::time::Duration;

mod burst;
mod changes;
mod counters;
mod faults;
mod gone;
#[path = "../common/skip.rs"]
mod skip;
#[path = "../common/wait.rs"]
mod wait;
mod whole;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
