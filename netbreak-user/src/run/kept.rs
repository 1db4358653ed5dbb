//! The events of a run that may matter for its verdict.

use std::collections::BTreeSet;

use netbreak_common::{Event, LEG_REPLY, sensor};

use super::dead::Headers;
use crate::kernel::Tracer;

/// Events kept, at 300 bytes each. A run that needs more has lost more probe packets than any cause needs.
const MOST: usize = 100_000;

/// The events that may matter, in the order of the ring buffer.
pub(super) struct Kept {
    pub(super) events: Vec<Event>,
    /// Events that found no room here.
    pub(super) lost: u64,
    /// How the packets of those began, where that was asked for.
    pub(super) headers: Headers,
    homes: BTreeSet<u32>,
    no_socket: Option<u32>,
}

impl Kept {
    /// Nothing yet; `homes` are the probes' own namespaces.
    pub(super) fn new(tracer: Option<&Tracer>, homes: BTreeSet<u32>) -> Self {
        let no_socket = tracer.and_then(|tracer| tracer.reasons().number("NO_SOCKET"));
        Self { events: Vec::new(), lost: 0, headers: Headers::default(), homes, no_socket }
    }

    pub(super) fn take(&mut self, event: &Event, headers: &[u8]) {
        if self.is_delivered_reply(event) {
            return;
        }
        if self.events.len() < MOST {
            self.events.push(*event);
            self.headers.take(event, headers);
        } else {
            self.lost += 1;
        }
    }

    /// An echo reply that found no ping socket in one of the probes' own namespaces: raw sockets were served before
    /// (`ip_protocol_deliver_rcu`, `ip6_protocol_deliver_rcu`), so it comes with every answer and is nobody's death.
    fn is_delivered_reply(&self, event: &Event) -> bool {
        event.sensor == sensor::DROP
            && event.leg == LEG_REPLY
            && matches!(event.protocol, 1 | 58)
            && self.homes.contains(&event.netns)
            && Some(event.reason) == self.no_socket
    }
}
