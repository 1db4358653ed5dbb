//! Scenarios for a guest with a kernel of its own: `cargo xtask vm` runs them.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod ovn;
