//! Scenarios for virtual machines: `cargo xtask vm` boots a kernel for each of these tests and runs it there, so it has
//! the machine for itself. docs/vm.md says how to add one.
//!
//! The directory that NETBREAK_OUT names comes out of the guest.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod boot;
#[expect(dead_code, unused_imports, reason = "tests on this machine use the rest of it")]
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod ovn;
mod ovs;
#[path = "../packets/score/mod.rs"]
mod score;
mod sees;

use std::path::PathBuf;

/// Where to leave what is to come out of the guest.
fn out() -> PathBuf {
    std::env::var_os("NETBREAK_OUT").expect("this runs in guests: cargo xtask vm").into()
}
