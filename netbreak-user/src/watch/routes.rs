//! Which messages about routes are a change, and what it is called.
//!
//! Every message about a route is a change of it, so nothing has to be remembered; what only follows from addresses
//! is left out (the local table, broadcast, multicast, link-local) or marked with its subnet (the route to a
//! device's own). Linux does not tell which IPv4 routes went with a link or an address (`fib_flush`,
//! `fib_table_flush`).

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteProtocol, RouteType, RouteVia,
};

use super::event::{Said, Turn, What};

const MAIN: u32 = libc::RT_TABLE_MAIN as u32;
const LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;

/// How a route changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Added,
    /// It took the place of another one with this destination (NLM_F_REPLACE).
    Replaced,
    Removed,
}

/// What changed by a message; `name` gives a device's name.
pub(super) fn said(step: Step, message: &RouteMessage, name: impl Fn(u32) -> String) -> Option<Said> {
    let kind = match message.header.kind {
        RouteType::Unicast => "",
        RouteType::BlackHole => "blackhole ",
        RouteType::Unreachable => "unreachable ",
        RouteType::Prohibit => "prohibit ",
        RouteType::Throw => "throw ",
        // Of addresses and groups, not of ways.
        _ => return None,
    };
    let route = Route::of(message);
    if route.table == LOCAL || message.header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let by_kernel = message.header.protocol == RouteProtocol::Kernel;
    if by_kernel && matches!(route.destination, Some(IpAddr::V6(address)) if is_of_links(&address)) {
        return None;
    }
    let length = message.header.destination_prefix_length;
    let destination = match route.destination {
        Some(address) => format!("{address}/{length}"),
        None => "default".to_owned(),
    };
    let table = if route.table == MAIN { String::new() } else { format!(" in table {}", route.table) };
    let (turn, verb) = match step {
        Step::Added => (Turn::Back, "added"),
        Step::Replaced => (Turn::Neither, "replaced what was there"),
        Step::Removed => (Turn::Gone, "removed"),
    };
    let key = format!("{destination}{table} metric {}", route.metric);
    let ifindex = route.device.unwrap_or(0);
    Some(Said {
        what: What::Route,
        ifindex,
        device: route.device.map(name).unwrap_or_default(),
        detail: format!("{kind}{destination}{}{table} {verb}", route.via),
        key,
        turn,
        subnet: by_kernel.then_some(destination),
    })
}

fn is_of_links(address: &Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.is_multicast()
}

/// What a message's attributes say.
#[derive(Debug, Default)]
struct Route {
    destination: Option<IpAddr>,
    /// Such as ` via 10.0.0.1`; empty for a route to a device's own subnet.
    via: String,
    device: Option<u32>,
    table: u32,
    metric: u32,
}

impl Route {
    fn of(message: &RouteMessage) -> Route {
        let mut route = Route { table: message.header.table.into(), ..Route::default() };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => route.destination = ip(address),
                RouteAttribute::Gateway(address) => route.via = ip(address).map(via).unwrap_or_default(),
                RouteAttribute::Via(other) => route.via = other_family(other),
                RouteAttribute::Oif(index) => route.device = Some(*index),
                // Tables above 255 have no room in the header.
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(metric) => route.metric = *metric,
                RouteAttribute::MultiPath(hops) => {
                    route.device = hops.first().map(|hop| hop.interface_index);
                    route.via = hops.iter().map(hop).collect::<Vec<_>>().join(" and");
                }
                _ => {}
            }
        }
        route
    }
}

fn hop(hop: &RouteNextHop) -> String {
    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address).map(via),
        RouteAttribute::Via(other) => Some(other_family(other)),
        _ => None,
    });
    gateway.unwrap_or_else(|| format!(" on if{}", hop.interface_index))
}

fn via(gateway: IpAddr) -> String {
    format!(" via {gateway}")
}

/// An IPv4 route may have an IPv6 gateway.
fn other_family(via_: &RouteVia) -> String {
    match via_ {
        RouteVia::Inet(address) => via((*address).into()),
        RouteVia::Inet6(address) => via((*address).into()),
        _ => String::new(),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RouteAttribute::{Destination, Gateway, Oif, Priority, Table};
    use netlink_packet_route::route::RouteHeader;

    fn route(kind: RouteType, destination: &str, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.kind = kind;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.attributes = attributes;
        if let Some((address, length)) = destination.split_once('/') {
            message.header.destination_prefix_length = length.parse().unwrap();
            message.attributes.push(Destination(address.parse::<IpAddr>().unwrap().into()));
        }
        message
    }

    fn gateway(address: &str) -> RouteAttribute {
        Gateway(address.parse::<IpAddr>().unwrap().into())
    }

    fn words(step: Step, message: &RouteMessage) -> Option<String> {
        let said = said(step, message, |index| format!("dev{index}"))?;
        Some(format!(
            "{}: {}{}",
            said.device,
            said.detail,
            if said.subnet.is_some() { " (by the kernel)" } else { "" }
        ))
    }

    #[test]
    fn a_route_is_named_as_ip_route_does() {
        use RouteType::{BlackHole, Unicast};
        let mut hops = [RouteNextHop::default(), RouteNextHop::default()];
        hops[0].interface_index = 4;
        hops[0].attributes.push(gateway("10.0.1.1"));
        hops[1].interface_index = 5;
        for (step, message, expected) in [
            (
                Step::Added,
                route(Unicast, "", vec![gateway("10.0.1.1"), Oif(3)]),
                "dev3: default via 10.0.1.1 added",
            ),
            (
                Step::Removed,
                route(Unicast, "10.0.2.0/24", vec![Oif(3), Priority(7), Table(1000)]),
                "dev3: 10.0.2.0/24 in table 1000 removed",
            ),
            (Step::Added, route(BlackHole, "10.0.2.0/24", vec![]), ": blackhole 10.0.2.0/24 added"),
            (
                Step::Replaced,
                route(Unicast, "fd00:2::/64", vec![gateway("fd00:1::1"), Oif(2)]),
                "dev2: fd00:2::/64 via fd00:1::1 replaced what was there",
            ),
            (
                Step::Added,
                route(Unicast, "10.0.3.0/24", vec![RouteAttribute::MultiPath(hops.into())]),
                "dev4: 10.0.3.0/24 via 10.0.1.1 and on if5 added",
            ),
        ] {
            assert_eq!(words(step, &message).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_follows_from_addresses_is_left_out_or_marked() {
        let local = route(RouteType::Local, "10.0.1.2/32", vec![Oif(3)]);
        assert_eq!(words(Step::Added, &local), None);
        let cloned = {
            let mut cloned = route(RouteType::Unicast, "10.0.2.2/32", vec![Oif(3)]);
            cloned.header.flags = RouteFlags::Cloned;
            cloned
        };
        assert_eq!(words(Step::Added, &cloned), None);
        let by_kernel = |destination| {
            let mut route = route(RouteType::Unicast, destination, vec![Oif(3)]);
            route.header.protocol = RouteProtocol::Kernel;
            words(Step::Removed, &route)
        };
        assert_eq!(by_kernel("fe80::/64"), None);
        assert_eq!(by_kernel("10.0.1.0/24").as_deref(), Some("dev3: 10.0.1.0/24 removed (by the kernel)"));
    }

    #[test]
    fn routes_with_another_metric_or_table_are_other_routes() {
        let key = |attributes| {
            said(Step::Added, &route(RouteType::Unicast, "10.0.2.0/24", attributes), |_| String::new())
                .unwrap()
                .key
        };
        assert_eq!(key(vec![gateway("10.0.1.1")]), key(vec![gateway("10.0.1.9")]));
        assert_ne!(key(vec![Priority(1)]), key(vec![Priority(2)]));
        assert_ne!(key(vec![Table(100)]), key(vec![]));
    }
}
