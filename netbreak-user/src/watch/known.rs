//! What one namespace told so far, and which of its messages are changes.

use netlink_packet_route::RouteNetlinkMessage;

use super::event::{Event, Turn, What};
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

    /// Takes what is there at the begin, which is no change.
    pub fn learn(&mut self, message: &RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::NewNeighbour(neighbour) => self.neighbours.learn(neighbour),
            message => drop(self.take(0, false, message)),
        }
    }

    /// Takes a neighbour as it is when all is over, and says whether packets wait for it.
    pub fn at_the_end(&self, at: Nanos, message: &RouteNetlinkMessage) -> Option<Event> {
        let RouteNetlinkMessage::NewNeighbour(neighbour) = message else { return None };
        let device = self.links.name(neighbour.header.ifindex);
        Some(self.neighbours.at_the_end(neighbour, device)?.at(at, self.netns))
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

/// Leaves out what only follows from something else that was told at the same time.
pub(super) fn without_echoes(events: Vec<Event>) -> Vec<Event> {
    let follows = |(number, event): &(usize, &Event)| {
        let same_device = |other: &&Event| other.ifindex == event.ifindex && other.netns == event.netns;
        let comes_back = |other: &Event| other.key == event.key && other.turn == Turn::Back;
        // What came back in between went for a reason of its own.
        let came_back = events[*number..].iter().filter(same_device).any(comes_back);
        events
            .iter()
            .filter(same_device)
            .any(|other| echoes(event, other) && (event.what != What::Link || !came_back))
    };
    events.iter().enumerate().filter(|event| !follows(event)).map(|(_, event)| event.clone()).collect()
}

/// Does `event` only follow from `other`, which is of the same device?
fn echoes(event: &Event, other: &Event) -> bool {
    let of_link = other.what == What::Link;
    match event.what {
        // The route to a device's own subnet comes and goes with its address or link.
        What::Route => {
            let its_address = other.what == What::Address && other.subnet == event.subnet;
            event.subnet.is_some() && (its_address || of_link)
        }
        // Neighbours go with their link, or when its address changes; one that somebody removes is said to fail first.
        What::Neighbour => {
            let removed = format!("{} removed", event.key);
            let first = other.what == What::Neighbour && other.key == event.key && other.detail == removed;
            if event.detail == removed { of_link } else { first }
        }
        // Who is removed goes down first.
        What::Link => of_link && event.turn == Turn::Gone && event.key != "link" && other.detail == "removed",
        What::Address => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::event::Said;

    fn event(what: What, key: &str, detail: &str, subnet: Option<&str>) -> Event {
        let (device, key, detail) = ("c0".to_owned(), key.to_owned(), detail.to_owned());
        Said { what, ifindex: 3, device, key, turn: Turn::Gone, subnet: subnet.map(str::to_owned), detail }
            .at(1, 7)
    }

    #[test]
    fn what_only_follows_is_left_out() {
        use What::{Address, Link, Neighbour, Route};
        let down = event(Link, "state", "down", None);
        let own = event(Route, "10.0.1.0/24 metric 0", "10.0.1.0/24 removed", Some("10.0.1.0/24"));
        let added = event(Route, "default metric 0", "default via 10.0.1.1 removed", None);
        let address = event(Address, "10.0.1.2/24", "10.0.1.2/24 removed", Some("10.0.1.0/24"));
        let other = event(Address, "10.8.0.1/24", "10.8.0.1/24 removed", Some("10.8.0.0/24"));
        let failed = event(Neighbour, "10.0.1.1", "10.0.1.1 failed", None);
        let removed = event(Neighbour, "10.0.1.1", "10.0.1.1 removed", None);
        let pinned = event(Neighbour, "10.0.1.5", "10.0.1.5 removed, was permanent", None);
        let gone = event(Link, "link", "removed", None);
        let up = Event { turn: Turn::Back, ..event(Link, "state", "up", None) };
        for (events, left) in [
            (vec![&address, &own, &added], vec![&address, &added]),
            (vec![&other, &own], vec![&other, &own]),
            (vec![&own, &down, &removed, &pinned], vec![&down, &pinned]),
            (vec![&failed, &removed], vec![&removed]),
            (vec![&failed], vec![&failed]),
            (vec![&down, &address, &gone], vec![&address, &gone]),
            (vec![&down, &up, &down, &gone], vec![&down, &up, &gone]),
        ] {
            let told = without_echoes(events.into_iter().cloned().collect());
            assert_eq!(told, left.into_iter().cloned().collect::<Vec<_>>());
        }
        // Another device's.
        let elsewhere = Event { ifindex: 4, ..own };
        assert_eq!(without_echoes(vec![address, elsewhere]).len(), 2);
    }
}
