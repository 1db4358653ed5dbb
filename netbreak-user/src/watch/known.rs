//! What one namespace told so far, and which of its messages are changes.

use netlink_packet_route::RouteNetlinkMessage;

use super::event::{Event, What};
use super::links::Links;
use super::neighbours::Neighbours;
use super::routes::{self, Step};
use crate::clock::Nanos;

/// The state of one namespace.
#[derive(Debug, Default)]
pub struct Known {
    netns: u32,
    links: Links,
    neighbours: Neighbours,
}

impl Known {
    /// Nothing is known yet of the namespace `netns`.
    pub fn new(netns: u32) -> Known {
        Known { netns, ..Known::default() }
    }

    /// Takes one message, and says what changed by it. `replaces` = it has NLM_F_REPLACE.
    pub fn take(&mut self, at: Nanos, replaces: bool, message: &RouteNetlinkMessage) -> Vec<Event> {
        let name = |ifindex| self.links.name(ifindex);
        let said = match message {
            RouteNetlinkMessage::NewRoute(route) => {
                let step = if replaces { Step::Replaced } else { Step::Added };
                Vec::from_iter(routes::said(step, route, name))
            }
            RouteNetlinkMessage::DelRoute(route) => Vec::from_iter(routes::said(Step::Removed, route, name)),
            RouteNetlinkMessage::NewNeighbour(neighbour) => {
                let device = name(neighbour.header.ifindex);
                Vec::from_iter(self.neighbours.is(at, neighbour, device))
            }
            RouteNetlinkMessage::DelNeighbour(neighbour) => {
                let device = name(neighbour.header.ifindex);
                Vec::from_iter(self.neighbours.is_gone(at, neighbour, device))
            }
            _ => {
                let said = self.links.take(message);
                for removed in said.iter().filter(|said| said.detail == "removed" && said.what == What::Link)
                {
                    self.neighbours.forget(removed.ifindex);
                }
                said
            }
        };
        said.into_iter().map(|said| said.at(at, self.netns)).collect()
    }
}

/// Leaves out what only follows from something else that was told at the same time: the route to a device's own subnet
/// comes and goes with its address or link, and a neighbour that somebody removes is said to fail first.
pub(super) fn without_echoes(events: Vec<Event>) -> Vec<Event> {
    let follows = |event: &Event| match event.what {
        What::Route => {
            event.subnet.is_some()
                && events.iter().any(|other| {
                    let its_address = other.what == What::Address && other.subnet == event.subnet;
                    other.ifindex == event.ifindex && (its_address || other.what == What::Link)
                })
        }
        What::Neighbour => {
            let removed = format!("{} removed", event.key);
            event.detail != removed
                && events.iter().any(|other| {
                    other.what == event.what && other.ifindex == event.ifindex && other.detail == removed
                })
        }
        What::Link | What::Address => false,
    };
    events.iter().filter(|event| !follows(event)).cloned().collect()
}
