//! netbreak answers one question: **during a network break, which of my packets died, where, when and why?**
//!
//! Dependencies run one way: [`probe`], [`kernel`], [`counters`], [`watch`] ← [`verdict`] ← [`report`];
//! [`run`] is the only place that knows all of them.

pub mod clock;
pub mod counters;
pub mod lab;
pub mod netns;
pub mod probe;
pub mod report;
pub mod watch;
