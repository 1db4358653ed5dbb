//! Loading, attaching and draining the programs.

use std::{sync::Arc, time::Duration};

use aya::{
    Ebpf, EbpfError,
    maps::{MapData, MapError, RingBuf},
};
use netbreak_common::{CHUNK, DEFAULT_FLOWS, Event, EventWithHeaders, MAX_PLACES};
use rustix::thread::{MembarrierCommand, membarrier};
use tokio::io::unix::AsyncFd;

use super::{
    aya_btf,
    btf::{BtfError, KernelBtf},
    fill::fill,
    ovs,
    programs::{self, Form, PATH, TRACEPOINTS},
    reasons::Reasons,
    registry::{Registry, Room},
    settings::settings,
    tables::{self, PlaceRow, Tables},
};
use crate::{
    clock::{self, Nanos},
    report::{Sensor, SensorState},
};

/// The object that the eBPF crate builds to.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netbreak.o"));

/// For how long the kernel's work on packets is waited for where it does not tell when it is done: the machine would have to
/// be busy for that long with a single one.
const WITHOUT_BARRIER: Duration = Duration::from_millis(20);

/// What a user may choose.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Flows with counters of their own.
    pub flows: u32,
    /// The form of programs to try first: another than the default is for measuring and testing only.
    pub form: Form,
    /// What tells the payloads of this run from those of others; `None` = no packet makes events.
    pub run_id: Option<u64>,
    /// Where they are followed from stage to stage: how many attempts are remembered until they are read.
    pub follow: Option<Room>,
    /// Shall events bring how their packets begin?
    pub headers: bool,
    /// Parse and do not count: for measuring only.
    pub parse_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flows: DEFAULT_FLOWS,
            form: Form::default(),
            run_id: None,
            follow: None,
            headers: false,
            parse_only: false,
        }
    }
}

/// Why the kernel side cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No type information.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// Maps or globals.
    #[error("cannot create the maps of the eBPF object: {0:#}")]
    Load(#[source] Box<EbpfError>),
    /// Reading or filling a map.
    #[error("cannot fill the maps of the eBPF object: {0}")]
    Map(#[from] MapError),
    /// The mandatory sensor.
    #[error("cannot attach to kfree_skb: {0}")]
    Mandatory(String),
}

/// The attached programs. Dropping it detaches them: nothing is pinned.
pub struct Tracer {
    ebpf: Ebpf,
    reasons: Reasons,
    sensors: Vec<Sensor>,
    registry: Arc<Registry>,
    steps: Vec<(&'static str, Nanos)>,
    #[cfg(feature = "log")]
    logger: Option<aya_log::EbpfLogger<super::log::Stderr>>,
}

/// The ring buffer of events.
pub struct Events(AsyncFd<RingBuf<MapData>>);

impl Tracer {
    /// Loads and attaches everything that this kernel allows.
    ///
    /// # Errors
    /// When nothing can be loaded, or `kfree_skb` cannot be attached. Other sensors that fail are in
    /// [`Tracer::sensors`].
    pub fn start(options: Options) -> Result<Self, StartError> {
        let mut steps = Steps::new();
        let btf = KernelBtf::open()?;
        let mut settings = settings(&btf)?;
        settings.parse_only = options.parse_only.into();
        settings.headers = options.headers.into();
        let room = options.follow.unwrap_or_default();
        (settings.probes, settings.ledger_mask) = (room.probes, room.attempts.saturating_sub(1));
        settings.run_id = options.run_id.map(run_id).unwrap_or_default();
        steps.done("BTF");
        let mut ebpf = aya_btf::loader()
            .override_global("SETTINGS", &settings, true)
            .map_max_entries("FLOWS4", options.flows)
            .map_max_entries("FLOWS6", options.flows)
            .map_max_entries("SLOTS", options.flows)
            .map_max_entries("COUNTERS", options.flows.div_ceil(CHUNK))
            .map_max_entries("LEDGER", room.entries())
            .load(OBJECT)
            .map_err(|error| StartError::Load(Box::new(error)))?;
        steps.done("object and maps");
        fill(&mut ebpf, "fill_place_ids", "PLACE_IDS", 1..MAX_PLACES)?;
        fill(&mut ebpf, "fill_slots", "SLOTS", 0..options.flows)?;
        let registry = Registry::new(
            take(&mut ebpf, "PROBES")?.try_into()?,
            take(&mut ebpf, "PROBE_PORTS")?.try_into()?,
            take(&mut ebpf, "LEDGER")?.try_into()?,
            room,
        );
        let reasons = Reasons::read(&btf);
        steps.done("filling maps, names of reasons");
        let path = options.follow.iter().flat_map(|_| PATH);
        let tracepoints: Vec<&str> = TRACEPOINTS.into_iter().chain(path).collect();
        // Without numbers of theirs raw tracepoints serve.
        let numbers = aya_btf::of_tracepoints(&btf, &tracepoints);
        let mut sensors = programs::attach_all(&mut ebpf, &tracepoints, &btf, numbers.as_ref(), options.form);
        if sensors[0].state == SensorState::Off {
            return Err(StartError::Mandatory(sensors[0].why.clone().unwrap_or_default()));
        }
        sensors.push(ovs::attach(&mut ebpf, &btf));
        sensors.extend(programs::pid_1(&btf));
        steps.done("loading and attaching");
        Ok(Self {
            #[cfg(feature = "log")]
            logger: super::log::open(&mut ebpf),
            ebpf,
            reasons,
            sensors,
            registry: Arc::new(registry),
            steps: steps.taken,
        })
    }

    /// How long each step of the start took, in nanoseconds.
    pub fn steps(&self) -> &[(&'static str, Nanos)] {
        &self.steps
    }

    /// How attaching each sensor went; after them what this kernel hides from all of them, if it hides anything.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// Names of reasons on this kernel.
    pub fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    /// Where probes make their flows known.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// The events. Within a tokio runtime; once.
    pub fn events(&mut self) -> Result<Events, StartError> {
        let ring = RingBuf::try_from(take(&mut self.ebpf, "EVENTS")?)?;
        // SAFETY: a `RingBuf` owns its file descriptor and keeps it until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) };
        Ok(Events(ring.map_err(|error| MapError::IoError(error.into()))?))
    }

    /// Prints the log lines of the kernel side that are there now.
    #[cfg(feature = "log")]
    pub fn print_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }

    /// The exact table alone.
    pub fn places(&self) -> Result<Vec<PlaceRow>, MapError> {
        tables::places(&self.ebpf)
    }

    /// Detaches the programs: from here on nothing is counted any more, so that the tables agree with each other.
    pub fn stop(&mut self) {
        programs::unload(&mut self.ebpf);
    }

    /// Everything that was counted. While programs are attached, flows may be ahead of the totals read before them.
    pub fn tables(&self) -> Result<Tables, MapError> {
        tables::read(&self.ebpf)
    }

    /// Times that the kernel skipped a program because it interrupted itself.
    pub fn misses(&self) -> u64 {
        programs::misses(&self.ebpf)
    }
}

impl Events {
    /// Waits until there are events, then hands each to `take`, with the bytes that its packet begins with (see
    /// [`Options::headers`]; none where there are none). Cancel-safe.
    pub async fn drain(&mut self, mut take: impl FnMut(&Event, &[u8])) -> std::io::Result<()> {
        let mut guard = self.0.readable_mut().await?;
        drain(guard.get_inner_mut(), &mut take);
        guard.clear_ready();
        Ok(())
    }

    /// Hands over what is left of all packets that died so far. Waits until the kernel is through with those that it is
    /// working on, some ten milliseconds: an ICMP error reaches us before the packet that it is about is freed
    /// (`arp_error_report`, net/ipv4/arp.c), and another CPU may be in between.
    pub fn drain_rest(&mut self, mut take: impl FnMut(&Event, &[u8])) {
        // It waits for a grace period of RCU, and so for every softirq (`membarrier`, kernel/sched/membarrier.c); not on a
        // kernel with CPUs that must not be disturbed (nohz_full).
        if membarrier(MembarrierCommand::Global).is_err() {
            std::thread::sleep(WITHOUT_BARRIER);
        }
        drain(self.0.get_mut(), &mut take);
    }
}

fn drain(ring: &mut RingBuf<MapData>, take: &mut impl FnMut(&Event, &[u8])) {
    while let Some(item) = ring.next() {
        if item.len() == size_of::<Event>() {
            // SAFETY: the record is an `Event` (its size is checked), which is plain data.
            take(&unsafe { item.as_ptr().cast::<Event>().read_unaligned() }, &[]);
        } else if item.len() == size_of::<EventWithHeaders>() {
            // SAFETY: as above.
            let with = unsafe { item.as_ptr().cast::<EventWithHeaders>().read_unaligned() };
            let length = (with.length as usize).min(with.headers.len());
            take(&with.event, &with.headers[..length]);
        }
    }
}

/// How long steps take.
struct Steps {
    last: Nanos,
    taken: Vec<(&'static str, Nanos)>,
}

impl Steps {
    fn new() -> Self {
        Self { last: clock::now(), taken: Vec::new() }
    }

    /// The step that began with the last one's end is over.
    fn done(&mut self, step: &'static str) {
        let now = clock::now();
        self.taken.push((step, now - self.last));
        self.last = now;
    }
}

/// As it lies in a packet.
fn run_id(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map, MapError> {
    ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}
