//! Flows of connections that were reset.

use std::collections::VecDeque;

use crate::clock::{self, MILLISECOND, Nanos};

use super::socket::Registered;

/// A socket tells of its RST when that has been sent, and on the same machine perhaps received and read
/// (`tcp_send_active_reset`, net/ipv4/tcp_output.c): so much later at most, on a busy one.
pub const TOLD_WITHIN: Nanos = 200 * MILLISECOND;

/// They stay known until whoever sent the RST has told of it.
#[derive(Default)]
pub(super) struct Parted(VecDeque<(Nanos, Registered)>);

impl Parted {
    /// The connection of this flow was reset just now.
    pub(super) fn add(&mut self, flow: Registered) {
        self.0.push_back((clock::now() + TOLD_WITHIN, flow));
    }

    /// Forgets those that have been told of.
    pub(super) fn forget(&mut self, now: Nanos) {
        while self.0.pop_front_if(|(until, _)| *until < now).is_some() {}
    }

    /// Until when any of them may be told of.
    pub(super) fn until(&self) -> Option<Nanos> {
        self.0.back().map(|(until, _)| *until)
    }
}
