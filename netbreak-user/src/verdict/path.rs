//! The way that an answered attempt takes, and where lost ones left it.

use std::collections::HashMap;

use netbreak_common::{
    HOPS, Hop, LEG_REPLY, LEG_REQUEST, STAGE_BACKLOG, STAGE_CONSUMED, STAGE_GRO, STAGE_QUEUE, STAGE_RECEIVE,
    STAGE_ROUTE, STAGE_SOCKET, STAGE_TRANSMIT, STAGE_UPCALL,
};

use super::{
    Evidence, Names,
    last::{UPCALL_STAGE, is_a_read_datagram},
};
use crate::{
    clock::Nanos,
    kernel::Stop,
    report::{Leg, Path, PathStage, SinceUs},
};

/// Place and leg of a hop, which is what two attempts may have in common.
type At = (u8, u8, u32, u32);

/// The way of the probe with this index among the records: that of most answered attempts of the sample, and what lost
/// ones passed beside it. `None` where no packet of it was followed.
pub fn path(evidence: &Evidence, probe: usize) -> Option<Path> {
    let record = evidence.records.get(probe)?;
    let walks = evidence.trails.walks.iter().filter(|walk| walk.probe as usize == probe);
    let ways: Vec<Vec<(At, Nanos)>> = walks.map(|walk| first_packets(&walk.legs, evidence.names)).collect();
    let usual = most_common(&ways);
    let mut stages: Vec<PathStage> = Vec::new();
    let sample: Vec<&Vec<(At, Nanos)>> = ways.iter().filter(|way| same_places(way, &usual)).collect();
    for (number, at) in usual.iter().enumerate() {
        let mut since: Vec<Nanos> = match number.checked_sub(1) {
            Some(before) => sample.iter().map(|way| way[number].1.saturating_sub(way[before].1)).collect(),
            None => Vec::new(),
        };
        stages.push(PathStage { since_us: since_us(&mut since), ..stage(evidence, at) });
    }
    let mut places: Vec<At> = usual;
    for attempt in record.attempts.iter().filter(|attempt| attempt.needs_a_death()) {
        let end = |leg| {
            let trail = evidence.trails.of(probe as u32, attempt.seq, leg)?;
            let stop = trail.stops.iter().rfind(|stop| stop.is_on_the_way())?;
            Some((trail.last, leg, *stop))
        };
        let (request, reply) = (end(LEG_REQUEST), end(LEG_REPLY));
        // Elsewhere it was for an ICMP error, which looks for the way back of what it is about (`icmpv6_route_lookup`).
        let is_elsewhere = |stop: &Stop| {
            let is_for =
                |(.., asked): (_, _, Stop)| evidence.names.has_address(stop.netns, asked.destination);
            stop.stage == STAGE_ROUTE && !request.is_some_and(is_for)
        };
        let ends = [request, reply.filter(|(.., stop)| !is_elsewhere(stop))];
        // The reply's way, once there is one, goes on where the request's ended.
        let Some((_, leg, stop)) = ends.into_iter().flatten().max_by_key(|(last, leg, _)| (*last, *leg))
        else {
            continue;
        };
        let at = (leg, stop.stage, stop.netns, stop.ifindex);
        let position = places.iter().position(|place| *place == at).unwrap_or_else(|| {
            places.push(at);
            stages.push(stage(evidence, &at));
            places.len() - 1
        });
        stages[position].stopped += 1;
    }
    (!stages.is_empty()).then_some(Path { sample: sample.len() as u64, stages })
}

/// The hops of an attempt's first packet on either leg: a connection has more packets than that.
fn first_packets(legs: &[Vec<Hop>; 2], names: &dyn Names) -> Vec<(At, Nanos)> {
    let mut hops = Vec::new();
    for (leg, of_leg) in [LEG_REQUEST, LEG_REPLY].into_iter().zip(legs) {
        let packet = |hop: &Hop| (hop.sequence, hop.flags);
        // An answer without a route is no packet; this attempt got another one. An upcall gets a copy.
        let is_packet = |hop: &&Hop| !matches!(hop.stage, STAGE_ROUTE | STAGE_UPCALL);
        let of_leg: Vec<&Hop> = of_leg.iter().filter(is_packet).collect();
        // Of a leg with more hops than the ledger holds the first packet is there in part.
        let cut = of_leg.first().filter(|_| of_leg.len() == HOPS).map(|hop| packet(hop));
        let Some(first) = of_leg.iter().map(|hop| packet(hop)).find(|packet| Some(*packet) != cut) else {
            continue;
        };
        for hop in of_leg.iter().filter(|hop| packet(hop) == first) {
            let at = match hop.stage {
                STAGE_CONSUMED if !is_a_read_datagram(names.symbol(hop.location).as_deref()) => continue,
                STAGE_CONSUMED => (leg, STAGE_SOCKET, 0, 0),
                stage => (leg, stage, hop.netns, hop.ifindex),
            };
            hops.push((at, hop.time));
        }
    }
    // A server's program may read the request after the kernel has sent the reply.
    hops.sort_by_key(|((leg, ..), time)| (*leg, *time));
    hops
}

fn most_common(ways: &[Vec<(At, Nanos)>]) -> Vec<At> {
    let mut counts: HashMap<Vec<At>, usize> = HashMap::new();
    for way in ways {
        *counts.entry(way.iter().map(|(at, _)| *at).collect()).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))
        .map(|(way, _)| way)
        .unwrap_or_default()
}

fn same_places(way: &[(At, Nanos)], places: &[At]) -> bool {
    way.len() == places.len() && way.iter().zip(places).all(|((at, _), place)| at == place)
}

fn stage(evidence: &Evidence, (leg, stage, netns, ifindex): &At) -> PathStage {
    let device = evidence.names.device(*netns, *ifindex);
    PathStage {
        leg: if *leg == LEG_REPLY { Leg::Reply } else { Leg::Request },
        stage: name(*stage).to_owned(),
        device: device.map(|device| device.name.clone()),
        ifindex: (*ifindex != 0).then_some(*ifindex),
        netns: (*netns != 0).then_some(*netns),
        netns_name: evidence.names.netns(*netns),
        since_us: None,
        stopped: 0,
    }
}

/// A stage in words.
fn name(stage: u8) -> &'static str {
    match stage {
        STAGE_QUEUE => "qdisc",
        STAGE_TRANSMIT => "device transmit",
        STAGE_BACKLOG => "cpu backlog",
        STAGE_GRO => "gro",
        STAGE_RECEIVE => "device receive",
        STAGE_SOCKET => "socket",
        STAGE_ROUTE => "routing",
        STAGE_UPCALL => UPCALL_STAGE,
        _ => "stack",
    }
}

fn since_us(nanos: &mut [Nanos]) -> Option<SinceUs> {
    nanos.sort_unstable();
    let at =
        |percent: usize| nanos.get((nanos.len().checked_sub(1)?) * percent / 100).map(|n| *n as f64 / 1e3);
    Some(SinceUs { p50: at(50)?, p99: at(99)? })
}
