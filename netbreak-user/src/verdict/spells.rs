//! When a connection was dropped: a table tells of each flow only the first and the last time, between which a long
//! connection may have been well for hours.

use std::{collections::HashMap, net::IpAddr};

use crate::{
    clock::{Nanos, SECOND},
    kernel::{FlowRow, Tables},
};

/// A pause no longer than this ends no spell, and none that is no longer than twice what the spell has lasted: TCP waits
/// twice as long before each time that it sends a segment again (`tcp_retransmit_timer`, net/ipv4/tcp_timer.c).
const PAUSE: Nanos = SECOND;

/// It never waits longer (`TCP_RTO_MAX`, include/net/tcp.h).
const LONGEST_PAUSE: Nanos = 120 * SECOND;

/// Spells of all flows that are kept: this bounds memory. One more is part of its flow's last one.
const MOST: usize = 200_000;

/// A flow where it was dropped: place, addresses, ports.
type Key = (u32, Option<(IpAddr, IpAddr)>, u16, u16);

/// Times between which segments of a flow were dropped, without a longer pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// When the first was dropped; of a spell that is not the flow's first: that, or up to a look earlier.
    pub first: Nanos,
    /// When the last was.
    pub last: Nanos,
}

/// The spells of all flows, from looking at the tables again and again.
#[derive(Debug, Default)]
pub struct Spells {
    looked: Nanos,
    count: usize,
    flows: HashMap<Key, (u64, Vec<Spell>)>,
}

impl Spells {
    /// Takes what was counted until `now`.
    pub fn look(&mut self, tables: &Tables, now: Nanos) {
        for flow in &tables.flows {
            let (packets, spells) = self.flows.entry(key(flow)).or_default();
            if std::mem::replace(packets, flow.packets) == flow.packets {
                continue;
            }
            let first = match spells.last_mut() {
                Some(spell) if flow.last <= spell.end() || self.count >= MOST => {
                    spell.last = flow.last;
                    continue;
                }
                Some(_) => self.looked.min(flow.last),
                None => flow.first,
            };
            spells.push(Spell { first, last: flow.last });
            self.count += 1;
        }
        self.looked = now;
    }

    /// Those of a flow, ascending.
    pub fn of(&self, flow: &FlowRow) -> &[Spell] {
        self.flows.get(&key(flow)).map_or(&[], |(_, spells)| spells)
    }
}

impl Spell {
    /// Until when its next drop belongs to it.
    fn end(&self) -> Nanos {
        self.last + (2 * (self.last - self.first)).clamp(PAUSE, LONGEST_PAUSE)
    }
}

fn key(flow: &FlowRow) -> Key {
    (flow.place, flow.addresses, flow.source_port, flow.destination_port)
}

#[cfg(test)]
mod tests {
    use super::super::tests::build::*;
    use super::*;

    fn flow(packets: u64, last: Nanos) -> FlowRow {
        FlowRow {
            place: 1,
            addresses: Some((LOCAL.into(), REMOTE.into())),
            source_port: 40,
            destination_port: SERVICE,
            packets,
            bytes: packets * 60,
            first: 10 * SECOND,
            last,
        }
    }

    /// Looks once a second; of each, packets and the last one's second.
    fn spells(looks: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut spells = Spells::default();
        for (now, (packets, last)) in (11..).zip(looks) {
            let flows = vec![flow(*packets, last * SECOND)];
            spells.look(&Tables { flows, ..Tables::default() }, now * SECOND);
        }
        let found = spells.of(&flow(0, 0)).iter();
        found.map(|spell| (spell.first / SECOND, spell.last / SECOND)).collect()
    }

    #[test]
    fn a_pause_ends_a_spell() {
        assert_eq!(spells(&[(1, 10), (2, 11), (2, 11)]), [(10, 11)]);
        // Again at 15: no earlier than the look at 14.
        assert_eq!(spells(&[(1, 10), (1, 10), (1, 10), (1, 10), (3, 15)]), [(10, 10), (14, 15)]);
        assert_eq!(spells(&[]), []);
    }

    #[test]
    fn tcp_waits_longer_each_time() {
        let looks = [(1, 10), (2, 11), (3, 12), (3, 12), (3, 12), (3, 12), (4, 16), (4, 16)];
        assert_eq!(spells(&looks), [(10, 16)]);
    }
}
