//! What the programs counted, read into plain rows.

use std::{
    collections::{HashMap as StdHashMap, hash_map::Entry},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError, PerCpuArray, PerCpuValues},
};
use netbreak_common::{CHUNK, Chunk, FAMILY_NONE, FlowKey4, FlowKey6, Losses, Place, PlaceKey, PlaceTotal};

use crate::clock::{self, Nanos};

/// A place with its exact totals over all CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRow {
    /// Its number, which flows name.
    pub id: u32,
    /// Where and why.
    pub key: PlaceKey,
    /// The device's name; `None` without a device.
    pub device: Option<String>,
    /// All segments.
    pub packets: u64,
    /// The same as `sk_buff`s: a GSO packet is one.
    pub skbs: u64,
    /// Segments whose flow found no free slot.
    pub overflow: u64,
}

/// A flow at a place, summed over all CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// [`PlaceRow::id`].
    pub place: u32,
    /// Source and destination address; `None` without an IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Source port, ICMP identifier, or Ethernet type.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Segments.
    pub packets: u64,
    /// Bytes from the network header on.
    pub bytes: u64,
    /// First packet, CLOCK_MONOTONIC, to the kernel's tick (1 to 10 ms).
    pub first: Nanos,
    /// Last packet, likewise.
    pub last: Nanos,
}

/// Everything that was counted.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The exact table.
    pub places: Vec<PlaceRow>,
    /// The bounded one.
    pub flows: Vec<FlowRow>,
    /// What was lost.
    pub losses: Losses,
}

/// The exact table alone: small, and cheap enough to be read next to the kernel's own counters.
pub(super) fn places(ebpf: &Ebpf) -> Result<Vec<PlaceRow>, MapError> {
    let places: HashMap<&MapData, PlaceKey, Place> = map(ebpf, "PLACES")?.try_into()?;
    let totals: PerCpuArray<&MapData, PlaceTotal> = map(ebpf, "TOTALS")?.try_into()?;
    let row = |id: u32, key: PlaceKey, device: Option<String>| -> Result<PlaceRow, MapError> {
        let cpus = totals.get(&id, 0)?;
        let sum = |part: fn(&PlaceTotal) -> u64| cpus.iter().map(part).sum();
        let (packets, skbs) = (sum(|total| total.packets), sum(|total| total.skbs));
        Ok(PlaceRow { id, key, device, packets, skbs, overflow: sum(|total| total.overflow) })
    };
    let mut rows = Vec::new();
    for entry in places.iter() {
        let (key, place) = entry?;
        rows.push(row(place.id, key, name(&place.device))?);
    }
    // Place 0 stands for all that found the table of places full.
    rows.extend(Some(row(0, PlaceKey::default(), None)?).filter(|shared| shared.packets > 0));
    Ok(rows)
}

pub(super) fn read(ebpf: &Ebpf) -> Result<Tables, MapError> {
    let counters: PerCpuArray<&MapData, Chunk> = map(ebpf, "COUNTERS")?.try_into()?;
    let ticks = Ticks::read(ebpf)?;
    let mut chunks: StdHashMap<u32, PerCpuValues<Chunk>> = StdHashMap::new();
    let mut row = |place, addresses, ports: u32, slot: u32| -> Result<FlowRow, MapError> {
        let chunk = match chunks.entry(slot / CHUNK) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => unread.insert(counters.get(&(slot / CHUNK), 0)?),
        };
        let cpus = chunk.iter().map(|chunk| &chunk[(slot % CHUNK) as usize]);
        let used = || cpus.clone().filter(|cpu| cpu.packets > 0);
        Ok(FlowRow {
            place,
            addresses,
            source_port: (ports >> 16) as u16,
            destination_port: ports as u16,
            packets: used().map(|cpu| cpu.packets).sum(),
            bytes: used().map(|cpu| cpu.bytes).sum(),
            first: used().map(|cpu| ticks.time(cpu.first)).min().unwrap_or(0),
            last: used().map(|cpu| ticks.time(cpu.last)).max().unwrap_or(0),
        })
    };
    let places = places(ebpf)?;
    let without_header: StdHashMap<u32, bool> =
        places.iter().map(|place| (place.id, place.key.family == FAMILY_NONE && place.id != 0)).collect();
    let mut flows = Vec::new();
    let flows4: HashMap<&MapData, FlowKey4, u32> = map(ebpf, "FLOWS4")?.try_into()?;
    for entry in flows4.iter() {
        let (key, slot) = entry?;
        let addresses: (IpAddr, IpAddr) =
            (Ipv4Addr::from(key.source).into(), Ipv4Addr::from(key.destination).into());
        let addresses = (!without_header.get(&key.place).copied().unwrap_or(false)).then_some(addresses);
        flows.push(row(key.place, addresses, key.ports, slot)?);
    }
    let flows6: HashMap<&MapData, FlowKey6, u32> = map(ebpf, "FLOWS6")?.try_into()?;
    for entry in flows6.iter() {
        let (key, slot) = entry?;
        let addresses = (Ipv6Addr::from(key.source).into(), Ipv6Addr::from(key.destination).into());
        flows.push(row(key.place, Some(addresses), key.ports, slot)?);
    }
    Ok(Tables { places, flows, losses: losses(ebpf)? })
}

/// What ties the kernel's ticks to the clock.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    /// A tick.
    tick: u32,
    /// When it was.
    time: Nanos,
    /// How long one lasts.
    length: Nanos,
}

impl Ticks {
    /// From the place that was seen first: no counter is older.
    fn read(ebpf: &Ebpf) -> Result<Self, MapError> {
        let places: HashMap<&MapData, PlaceKey, Place> = map(ebpf, "PLACES")?.try_into()?;
        let mut oldest: Option<Place> = None;
        for entry in places.iter() {
            let (_, place) = entry?;
            if oldest.is_none_or(|oldest| place.time < oldest.time) {
                oldest = Some(place);
            }
        }
        let length = clock::tick();
        Ok(oldest.map_or(Ticks::default(), |place| Ticks { tick: place.tick, time: place.time, length }))
    }

    /// When `tick` was.
    fn time(&self, tick: u32) -> Nanos {
        self.time + u64::from(tick.wrapping_sub(self.tick)) * self.length
    }
}

fn losses(ebpf: &Ebpf) -> Result<Losses, MapError> {
    let losses: PerCpuArray<&MapData, Losses> = map(ebpf, "LOSSES")?.try_into()?;
    Ok(losses.get(&0, 0)?.iter().fold(Losses::default(), |sum, cpu| Losses {
        ring_full: sum.ring_full + cpu.ring_full,
        unreadable: sum.unreadable + cpu.unreadable,
    }))
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a aya::maps::Map, MapError> {
    ebpf.map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

/// A NUL-padded name; `None` when empty.
fn name(bytes: &[u8; 16]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
}
