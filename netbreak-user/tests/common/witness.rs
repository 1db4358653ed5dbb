//! A second tracer, for kernels that hide packets from the first one.

use std::collections::BTreeSet;
use std::fs;

use netbreak_user::kernel::{KernelBtf, blind_on_pid_1};

use super::tracefs::Instance;

/// The tracepoints that are watched.
const EVENTS: [&str; 4] =
    ["tcp/tcp_retransmit_skb", "tcp/tcp_retransmit_synack", "tcp/tcp_send_reset", "skb/kfree_skb"];

/// Sees what happens on top of process 1, where some kernels run no tracing program (`blind_on_pid_1`): an instance of
/// tracefs that records the tracepoints above while a thread of process 1 is the current one. On kernels that hide
/// nothing it records nothing, so that what it is asked for is 0 and what is compared with it must be exact.
///
/// Tracefs needs no BPF, so the two tracers are independent. Dropping the witness removes the instance.
pub struct Witness(Option<Watch>);

struct Watch {
    /// Private to this witness.
    instance: Instance,
    /// Of process 1.
    threads: BTreeSet<String>,
}

/// One hit of a tracepoint that no program could see.
#[derive(Debug)]
pub struct Unseen {
    event: String,
    fields: Vec<String>,
}

impl Unseen {
    /// The value of `name=value`.
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// A field's or, of `address:port`, the port's number.
    fn port(&self, name: &str) -> Option<u16> {
        self.field(name)?.rsplit(':').next()?.parse().ok()
    }
}

impl Witness {
    /// Begins to watch.
    pub fn new() -> Witness {
        Witness(blind_on_pid_1(&KernelBtf::open().unwrap()).then(Watch::new))
    }

    /// Retransmits of segments and of SYN-ACKs whose source port is one of `ports`. Addresses are no help: all labs
    /// have the same. A hit is a packet, which may be of several segments.
    pub fn retransmits(&self, ports: &impl Fn(u16) -> bool) -> u64 {
        self.count(|hit| hit.event.starts_with("tcp_retransmit") && hit.port("sport").is_some_and(ports))
    }

    /// RSTs from one of these ports.
    pub fn resets(&self, ports: &impl Fn(u16) -> bool) -> u64 {
        self.count(|hit| hit.event == "tcp_send_reset" && hit.port("src").is_some_and(ports))
    }

    /// Drops of this reason, of the whole machine: their lines name neither flow nor namespace.
    pub fn drops(&self, reason: &str) -> u64 {
        self.count(|hit| hit.event == "kfree_skb" && hit.fields.last().is_some_and(|word| word == reason))
    }

    fn count(&self, is_it: impl Fn(&Unseen) -> bool) -> u64 {
        let unseen = self.0.as_ref().map(Watch::unseen).unwrap_or_default();
        unseen.iter().filter(|hit| is_it(hit)).count() as u64
    }
}

impl Watch {
    fn new() -> Watch {
        let instance = Instance::new().unwrap_or_else(|e| panic!("tracefs: {e}"));
        let watch = Watch { instance, threads: threads() };
        let threads: Vec<&str> = watch.threads.iter().map(String::as_str).collect();
        // Of a CPU: room for some 10,000 hits.
        watch.write("buffer_size_kb", "1024");
        watch.write("set_event_pid", &threads.join(" "));
        for event in EVENTS {
            watch.write(&format!("events/{event}/enable"), "1");
        }
        watch
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.instance.directory.join(file), text).unwrap_or_else(|e| panic!("{file}: {e}"));
    }

    /// Everything so far. Fails when that may not be all.
    fn unseen(&self) -> Vec<Unseen> {
        for cpu in fs::read_dir(self.instance.directory.join("per_cpu")).unwrap() {
            let stats = fs::read_to_string(cpu.unwrap().path().join("stats")).unwrap();
            assert!(stats.lines().any(|line| line == "overrun: 0"), "the witness lost hits: {stats}");
        }
        let new: Vec<String> = threads().difference(&self.threads).cloned().collect();
        assert!(new.is_empty(), "process 1 has threads that are not watched: {new:?}");
        let trace = fs::read_to_string(self.instance.directory.join("trace")).unwrap();
        trace.lines().filter(|line| !line.starts_with('#')).filter_map(|line| self.parse(line)).collect()
    }

    /// `task-thread [cpu] flags seconds: event: fields`. `None` for threads that are not of process 1: the kernel
    /// chooses by thread and may record one too many while it switches between two (`trace_event_ignore_this_pid`).
    fn parse(&self, line: &str) -> Option<Unseen> {
        let mut words = line.split_whitespace();
        let task = words.by_ref().take_while(|word| !word.starts_with('[')).last();
        let thread = task.unwrap_or_else(|| panic!("no task in `{line}`")).rsplit('-').next()?;
        let event = words.nth(2).and_then(|word| word.strip_suffix(':'));
        let event = event.unwrap_or_else(|| panic!("no event in `{line}`")).to_owned();
        self.threads.contains(thread).then(|| Unseen { event, fields: words.map(str::to_owned).collect() })
    }
}

/// Those of process 1 now.
fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/1/task").unwrap();
    tasks.map(|task| task.unwrap().file_name().into_string().unwrap()).collect()
}
