//! Tests of snapshots, and of parsers with what a kernel sent.

mod difference;
mod recorded;
