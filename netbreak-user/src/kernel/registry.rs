//! Makes probe flows known to the programs.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use aya::maps::{Array, HashMap, MapData, MapError};
use netbreak_common::{FAMILY_V4, FAMILY_V6, PORT_WORDS, ProbeKey};

use crate::probe::{FlowRegistry, ProbeFlow};

/// The probe flows that the kernel side knows.
pub struct Registry(Mutex<Maps>);

struct Maps {
    flows: HashMap<MapData, ProbeKey, u32>,
    ports: Array<MapData, u64>,
    /// How many flows have each local port: a port's bit is cleared with its last flow.
    users: Vec<u16>,
    words: Vec<u64>,
    failed: u64,
}

impl Registry {
    pub(super) fn new(flows: HashMap<MapData, ProbeKey, u32>, ports: Array<MapData, u64>) -> Self {
        let (users, words) = (vec![0; 1 << 16], vec![0; PORT_WORDS as usize]);
        Self(Mutex::new(Maps { flows, ports, users, words, failed: 0 }))
    }

    /// Flows that found the map full: their packets make no events.
    pub fn failed(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed
    }
}

impl FlowRegistry for Registry {
    fn register(&self, flow: ProbeFlow) {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if maps.register(flow).is_err() {
            maps.failed += 1;
        }
    }

    fn forget(&self, flow: ProbeFlow) {
        // A flow that was never entered is already forgotten.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(flow);
    }
}

impl Maps {
    fn register(&mut self, flow: ProbeFlow) -> Result<(), MapError> {
        const NEW_ONLY: u64 = 1; // BPF_NOEXIST: a flow that is known already does not count twice.
        self.flows.insert(key(flow), 0, NEW_ONLY)?;
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

fn key(flow: ProbeFlow) -> ProbeKey {
    let (family, remote) = match flow.remote {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (FAMILY_V4, bytes)
        }
        IpAddr::V6(address) => (FAMILY_V6, address.octets()),
    };
    ProbeKey {
        remote,
        remote_port: flow.remote_port,
        local_port: flow.local_port,
        protocol: flow.protocol,
        family,
        pad: [0; 2],
    }
}
