//! `netbreak agent` on real packets: what it says by HTTP, against its own reports, against what the kernel counted, and
//! to those who read it.
//!
//! Needs root, iproute2 and nftables, and for the readers promtool and prometheus. Without them a test says "skipped: …";
//! with NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod agent;
#[path = "../common/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other tests need more of it")]
mod common;
mod counted;
mod ended;
mod http;
mod metrics;
mod readers;
mod sightings;
