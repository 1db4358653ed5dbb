//! netbreak answers one question: **during a network break, which of my packets died, where, when and why?**
//!
//! Dependencies run one way: [`probe`], [`kernel`], [`counters`], [`watch`] ← [`verdict`] ← [`report`];
//! [`run`] is the only place that knows all of them.

pub mod again;
pub mod agent;
pub mod cli;
pub mod clock;
pub mod counters;
pub mod demo;
pub mod doctor;
pub mod documents;
pub mod kernel;
pub mod kubernetes;
pub mod lab;
pub mod live;
pub mod netns;
pub mod options;
pub mod pause;
pub mod pcapng;
pub mod probe;
pub mod progress;
pub mod report;
pub mod run;
pub mod run_id;
pub mod serve;
mod shapes;
pub mod signals;
pub mod stdout;
pub mod verdict;
pub mod watch;
