//! Makes probe flows known to the programs, and reads what they noted of attempts.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::maps::{Array, HashMap, MapData, MapError};
use netbreak_common::{
    FAMILY_V4, FAMILY_V6, LEG_REPLY, LEG_REQUEST, PORT_WORDS, Passage, ProbeKey, ProbeValue,
};

use super::{sweep::Sweep, trails::Trails};
use crate::probe::{FlowRegistry, Owner, ProbeFlow};

/// How much the ledger holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Probes; 0 = no path is followed.
    pub probes: u32,
    /// Attempts of each: a power of two.
    pub attempts: u32,
}

/// What the ledger may take of the kernel's memory, in bytes.
const LEDGER_BYTES: usize = 64 << 20;

impl Room {
    /// For so many probes, of each of which so many attempts may be open at once.
    pub fn for_plan(probes: u32, open: u32) -> Room {
        let most = (LEDGER_BYTES / size_of::<Passage>() / 2) as u32 / probes.max(1);
        // The largest power of two that is not larger.
        let most = 1 << most.max(1).ilog2();
        Room { probes, attempts: open.next_power_of_two().min(most) }
    }

    /// Entries of the ledger: one an attempt and leg. A map has at least one.
    pub fn entries(self) -> u32 {
        (self.probes * self.attempts * 2).max(1)
    }

    fn place(self, probe: u32, attempt: u64, leg: u8) -> u32 {
        (probe * self.attempts + (attempt % u64::from(self.attempts)) as u32) * 2 + u32::from(leg)
    }
}

/// The probe flows that the kernel side knows.
pub struct Registry(Mutex<Maps>);

struct Maps {
    flows: HashMap<MapData, ProbeKey, ProbeValue>,
    ports: Array<MapData, u64>,
    ledger: Array<MapData, Passage>,
    room: Room,
    trails: Trails,
    /// How many flows have each local port: a port's bit is cleared with its last flow.
    users: Vec<u16>,
    words: Vec<u64>,
    failed: u64,
}

impl Registry {
    pub(super) fn new(
        flows: HashMap<MapData, ProbeKey, ProbeValue>,
        ports: Array<MapData, u64>,
        ledger: Array<MapData, Passage>,
        room: Room,
    ) -> Self {
        let (users, words) = (vec![0; 1 << 16], vec![0; PORT_WORDS as usize]);
        let trails = Trails::default();
        Self(Mutex::new(Maps { flows, ports, ledger, room, trails, users, words, failed: 0 }))
    }

    /// For the probes of a namespace (inode number).
    pub fn of(self: &Arc<Self>, netns: u32) -> Home {
        Home { registry: Arc::clone(self), netns }
    }

    /// Reads the ledger of a run that is not ours: the probes of which something was seen before, or `all`.
    pub fn sweep(&self, sweep: &mut Sweep, all: bool) {
        self.lock().sweep(sweep, all);
    }

    /// What was read from the ledger so far; it is gone from here.
    pub fn take_trails(&self) -> Trails {
        std::mem::take(&mut self.lock().trails)
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flows that found the map full: their packets make no events.
    pub fn failed(&self) -> u64 {
        self.lock().failed
    }
}

/// The registry as the probes of one namespace use it.
pub struct Home {
    registry: Arc<Registry>,
    netns: u32,
}

impl FlowRegistry for Home {
    fn register(&self, flow: ProbeFlow, owner: Owner) -> bool {
        let mut maps = self.registry.lock();
        match maps.register(flow, owner, self.netns) {
            Err(error) if is_known(&error) => false,
            Err(_) => {
                maps.failed += 1;
                true
            }
            Ok(()) => true,
        }
    }

    fn forget(&self, flow: ProbeFlow) {
        // A flow that was never entered is already forgotten.
        let _ = self.registry.lock().forget(flow);
    }

    fn settled(&self, probe: u32, attempt: u64, answered: bool) {
        self.registry.lock().settled(probe, attempt, answered);
    }
}

impl Maps {
    fn register(&mut self, flow: ProbeFlow, owner: Owner, netns: u32) -> Result<(), MapError> {
        const NEW_ONLY: u64 = 1; // BPF_NOEXIST: another probe's flow stays that one's.
        let Owner { probe, attempt, piece } = owner;
        let value = ProbeValue { attempt, probe, piece, netns, first_sequence: 0, is_open: 0, sent: 0 };
        self.flows.insert(key(flow), value, NEW_ONLY)?;
        let port = usize::from(flow.local_port);
        self.users[port] += 1;
        self.show(port)
    }

    fn forget(&mut self, flow: ProbeFlow) -> Result<(), MapError> {
        self.flows.remove(&key(flow))?;
        let port = usize::from(flow.local_port);
        self.users[port] = self.users[port].saturating_sub(1);
        self.show(port)
    }

    fn settled(&mut self, probe: u32, attempt: u64, answered: bool) {
        if probe >= self.room.probes || answered && !self.trails.wants(probe, attempt) {
            return;
        }
        let passage = |leg| self.ledger.get(&self.room.place(probe, attempt, leg), 0).ok();
        let (request, reply) = (passage(LEG_REQUEST), passage(LEG_REPLY));
        let legs = [request.as_ref(), reply.as_ref()];
        match answered {
            true => self.trails.answered(probe, attempt, legs),
            false => self.trails.unanswered(probe, attempt, legs),
        }
    }

    fn sweep(&mut self, sweep: &mut Sweep, all: bool) {
        for probe in 0..self.room.probes {
            if !all && !sweep.is_active(probe) {
                continue;
            }
            for attempt in 0..u64::from(self.room.attempts) {
                let entry = |leg| self.room.place(probe, attempt, leg);
                let mut legs = [LEG_REQUEST, LEG_REPLY].map(|leg| self.ledger.get(&entry(leg), 0).ok());
                let entry = entry(LEG_REQUEST);
                if let Some(attempt) = sweep.news(probe, entry, &mut legs, self.trails.len()) {
                    self.trails.unanswered(probe, attempt, [legs[0].as_ref(), legs[1].as_ref()]);
                }
            }
            sweep.looked(probe);
        }
    }

    /// Writes the port's bit if it changed.
    fn show(&mut self, port: usize) -> Result<(), MapError> {
        let (word, bit) = (port / 64, 1u64 << (port % 64));
        let wanted = if self.users[port] > 0 { self.words[word] | bit } else { self.words[word] & !bit };
        if wanted != self.words[word] {
            self.words[word] = wanted;
            self.ports.set(word as u32, wanted, 0)?;
        }
        Ok(())
    }
}

/// Did the map have the key already?
fn is_known(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::EEXIST))
}

fn key(flow: ProbeFlow) -> ProbeKey {
    let (family, remote) = match flow.remote.ip() {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (FAMILY_V4, bytes)
        }
        IpAddr::V6(address) => (FAMILY_V6, address.octets()),
    };
    ProbeKey { remote, remote_port: flow.remote.port(), local_port: flow.local_port, family, pad: [0; 3] }
}
