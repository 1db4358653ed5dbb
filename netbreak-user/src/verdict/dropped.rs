//! TCP connections that were dropped here, of whatever run: their segments do not say whose they are, but a report that
//! has them knows its own by addresses and ports.

use std::collections::BTreeMap;

use netbreak_common::sensor;

use super::{
    Names, Spells, cause,
    ending::{Ending, OTHERHOST},
    explain::{Place, explain},
    stage,
};
use crate::{
    clock::{Nanos, seconds_since},
    kernel::{PlaceRow, Tables},
    report::{Death, Dropped, Leg},
};

const TCP: u8 = 6;

/// By place of death, a row for each of the `spells` in which a connection was dropped there; only in these namespaces
/// (inode numbers), if any are named. Times are seconds from `start` on.
pub fn dropped(
    tables: &Tables,
    spells: &Spells,
    names: &dyn Names,
    start: Nanos,
    only: &[u32],
) -> Vec<Dropped> {
    let is_it = |place: &&PlaceRow| {
        (place.key.sensor, place.key.protocol) == (sensor::DROP, TCP)
            && (only.is_empty() || only.contains(&place.key.netns))
    };
    let mut found: BTreeMap<u32, Dropped> = tables
        .places
        .iter()
        .filter(is_it)
        .filter_map(|place| {
            let death = death(place, names)?;
            Some((place.id, Dropped::at(death)))
        })
        .collect();
    for flow in &tables.flows {
        let Some((source, destination)) = flow.addresses else { continue };
        let Some(dropped) = found.get_mut(&flow.place) else { continue };
        // With another link address it died at the device that it was for; at any other one it was a copy.
        let Death { reason, netns, ifindex, .. } = &dropped.death;
        let own = netns.and_then(|netns| names.device_of(netns, destination));
        if reason.as_deref() == Some(OTHERHOST) && (own.is_none() || own != *ifindex) {
            continue;
        }
        for spell in spells.of(flow) {
            dropped.src.push(source.to_string());
            dropped.sport.push(flow.source_port);
            dropped.dst.push(destination.to_string());
            dropped.dport.push(flow.destination_port);
            dropped.first_s.push(seconds_since(start, spell.first));
            dropped.last_s.push(seconds_since(start, spell.last));
        }
        dropped.death.attempts += 1;
    }
    let mut found: Vec<Dropped> = found.into_values().filter(|dropped| !dropped.src.is_empty()).collect();
    for Dropped { death, first_s, last_s, .. } in &mut found {
        death.first_s = first_s.iter().copied().fold(f64::MAX, f64::min);
        death.last_s = last_s.iter().copied().fold(f64::MIN, f64::max);
    }
    found
}

/// What the kernel freed there died of that; `None` where it was a copy whatever its flow.
fn death(place: &PlaceRow, names: &dyn Names) -> Option<Death> {
    let key = &place.key;
    let ending = Ending {
        reason: names.drop_reason(key.reason),
        symbol: names.symbol(key.location),
        // They are counted without them.
        callers: Vec::new(),
    };
    if ending.is_a_copy() && !ending.is_for_another() {
        return None;
    }
    let cause = cause::of_drop(&ending);
    let stage = stage::of(&ending);
    let netns_name = names.netns(key.netns);
    let explain = explain(&Place {
        leg: Leg::Unknown,
        cause,
        reason: ending.reason.as_deref(),
        symbol: ending.symbol.as_deref(),
        stage,
        device: place.device.as_deref(),
        netns: netns_name.as_deref(),
        destination: "TARGET",
        doing: None,
    });
    Some(Death {
        attempts: 0,
        leg: Leg::Unknown,
        cause,
        node: None,
        stage: stage.map(str::to_owned),
        reason: ending.reason,
        symbol: ending.symbol,
        device: place.device.clone(),
        ifindex: (key.ifindex != 0).then_some(key.ifindex),
        netns: (key.netns != 0).then_some(key.netns),
        netns_name,
        first_s: 0.0,
        last_s: 0.0,
        explain,
    })
}

#[cfg(test)]
mod tests {
    use netbreak_common::PlaceKey;

    use super::super::tests::build::*;
    use super::*;
    use crate::{clock::SECOND, kernel::FlowRow, report::Cause};

    fn place(id: u32, name: &str, symbol: &str, protocol: u8) -> PlaceRow {
        let key = PlaceKey {
            location: address(symbol),
            reason: reason(name),
            netns: ROUTER,
            sensor: sensor::DROP,
            protocol,
            ..PlaceKey::default()
        };
        PlaceRow { id, key, device: Some("r0".to_owned()), packets: 9, skbs: 9, overflow: 0 }
    }

    fn flow(place: u32, source_port: u16) -> FlowRow {
        FlowRow {
            place,
            addresses: Some((LOCAL.into(), REMOTE.into())),
            source_port,
            destination_port: SERVICE,
            packets: 3,
            bytes: 180,
            first: u64::from(source_port) * SECOND,
            last: u64::from(source_port) * SECOND + SECOND,
        }
    }

    #[test]
    fn connections_are_listed_by_place_and_copies_are_not() {
        let mut at_server = place(5, "OTHERHOST", "ip_rcv_core", 6);
        (at_server.key.netns, at_server.key.ifindex) = SERVERS;
        let tables = Tables {
            places: vec![
                place(1, "NETFILTER_DROP", "nft_do_chain", 6),
                place(2, "NETFILTER_DROP", "nft_do_chain", 17),
                place(3, "OTHERHOST", "ip_rcv_core", 6),
                place(4, "NO_SOCKET", "tcp_v4_rcv", 6),
                at_server,
            ],
            flows: vec![flow(1, 40), flow(1, 41), flow(2, 42), flow(3, 43), flow(5, 44)],
            ..Tables::default()
        };
        let mut spells = Spells::default();
        spells.look(&tables, 50 * SECOND);
        let found = dropped(&tables, &spells, &names(), SECOND, &[]);
        let [one, misdirected] = &found[..] else { panic!("{found:#?}") };
        assert_eq!((misdirected.death.cause, &misdirected.sport[..]), (Cause::Neighbour, &[44][..]));
        assert_eq!((one.death.cause, one.death.attempts), (Cause::Netfilter, 2));
        assert_eq!((&one.sport[..], &one.dport[..]), (&[40, 41][..], &[SERVICE; 2][..]));
        assert_eq!((one.death.first_s, one.death.last_s), (39.0, 41.0));
        assert_eq!((&one.src[0][..], &one.dst[0][..]), ("10.0.1.2", "10.0.2.2"));
        assert!(one.death.explain.starts_with("a netfilter rule in router dropped them"));
        assert_eq!(dropped(&tables, &spells, &names(), SECOND, &[HERE]), []);
    }
}
