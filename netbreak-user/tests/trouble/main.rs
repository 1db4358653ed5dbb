//! Bad input and trouble, as the binary `netbreak` takes it: a clear message, status 2, nothing left behind.
//!
//! Most of it needs root. Without it a test says "skipped: …"; with NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod again;
mod clock;
mod killed;
mod meanwhile;
mod midway;
mod output;
mod panics;
mod refused;
mod screen;
mod signals;
mod support;
mod surroundings;
mod test_server;
mod trigger;
