//! Tries everything for real.

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    counters,
    kernel::{KernelBtf, Options, Room, StartError, Tracer},
    netns::{self, Namespace},
    report::Sensor,
};

/// How it went.
#[derive(Debug)]
pub struct Observed {
    /// The programs, one a tracepoint, and what this kernel hides from them.
    pub programs: Result<Vec<Sensor>, StartError>,
    /// Arguments of `kfree_skb`; `None` without it, or without BTF.
    pub kfree_skb_arguments: Option<u32>,
    /// Drop reasons that the kernel's BTF names.
    pub reason_names: usize,
    /// What of our own namespace's counters could not be read, and why.
    pub counters_failed: Vec<String>,
    /// The machine's network namespaces.
    pub namespaces: Entered,
    /// A raw socket for IPv4 echoes, or why there is none.
    pub raw_v4: Result<(), String>,
    /// The same for IPv6.
    pub raw_v6: Result<(), String>,
}

/// How many network namespaces can be entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entered {
    /// Those that were found.
    pub found: usize,
    /// Those that could be entered, our own too.
    pub entered: usize,
    /// Why the first of the others could not.
    pub why: Option<String>,
}

/// Loads and attaches the programs with a table of `flows` flows, opens sockets, enters namespaces, and gives all of
/// it back.
pub fn observe(flows: u32) -> Observed {
    // A ledger for one probe: enough to attach what fills it.
    let follow = Some(Room::for_plan(1, 1));
    let started = Tracer::start(Options { flows, follow, ..Default::default() });
    let btf = KernelBtf::open().ok();
    Observed {
        programs: started.map(|tracer| tracer.sensors().to_vec()),
        kfree_skb_arguments: btf.as_ref().and_then(|btf| btf.tracepoint_arguments("kfree_skb")),
        reason_names: btf.map_or(0, |btf| btf.enumeration("skb_drop_reason").len()),
        counters_failed: own_counters(),
        namespaces: enter_all(),
        raw_v4: raw(Domain::IPV4, Protocol::ICMPV4),
        raw_v6: raw(Domain::IPV6, Protocol::ICMPV6),
    }
}

fn own_counters() -> Vec<String> {
    match Namespace::current() {
        Ok(ours) => counters::take(&[ours]).failed,
        Err(error) => vec![error.to_string()],
    }
}

fn raw(domain: Domain, protocol: Protocol) -> Result<(), String> {
    Socket::new(domain, Type::RAW, Some(protocol)).map(drop).map_err(|error| error.to_string())
}

/// On a thread of its own, which ends in the last one.
fn enter_all() -> Entered {
    let found = netns::list();
    let enter = || {
        let mut entered = Entered { found: found.len(), ..Entered::default() };
        for namespace in &found {
            match Namespace::open(&namespace.path).and_then(|opened| opened.enter()) {
                Ok(()) => entered.entered += 1,
                Err(error) if entered.why.is_none() => entered.why = Some(error.to_string()),
                Err(_) => {}
            }
        }
        entered
    };
    let failed = |why: &str| Entered { found: found.len(), entered: 0, why: Some(why.to_owned()) };
    std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, enter) {
        Ok(thread) => thread.join().unwrap_or_else(|_| failed("the thread that enters them panicked")),
        Err(error) => failed(&format!("cannot start a thread: {error}")),
    })
}
