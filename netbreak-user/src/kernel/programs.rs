//! The programs, one a tracepoint: which there are, and attaching each in the best form that this kernel allows.

use std::{
    error::Error,
    fs,
    os::fd::AsRawFd,
    sync::{Mutex, PoisonError},
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, Program, ProgramError, RawTracePoint},
};

use super::btf::KernelBtf;
use crate::report::{Sensor, SensorState};

/// Tracepoints, in the order of reports. The first is the one that a run cannot do without.
pub const TRACEPOINTS: [&str; 8] = [
    "kfree_skb",
    "tcp_retransmit_skb",
    "tcp_retransmit_synack",
    "tcp_send_reset",
    "tcp_receive_reset",
    "inet_sock_set_state",
    "icmp_send",
    "inet_sk_error_report",
];

/// Tracepoints that the packets of probes are followed by.
pub const PATH: [&str; 9] = [
    "net_dev_queue",
    "net_dev_start_xmit",
    "netif_rx",
    "napi_gro_receive_entry",
    "netif_receive_skb",
    "skb_copy_datagram_iovec",
    "consume_skb",
    "fib_table_lookup",
    "fib6_table_lookup",
];

/// Arguments of a tracepoint, and members of structs, without which its program cannot run.
type Needs = (&'static str, u32, &'static [(&'static str, &'static str)]);

/// The needs of those tracepoints whose programs are the only ones to have them.
const NEEDS: &[Needs] = &[
    (
        "fib_table_lookup",
        4,
        &[
            ("flowi4", "__fl_common.flowic_oif"),
            ("flowi4", "__fl_common.flowic_flags"),
            ("flowi4", "__fl_common.flowic_proto"),
            ("flowi4", "daddr"),
            ("flowi4", "uli.ports.dport"),
        ],
    ),
    (
        "fib6_table_lookup",
        4,
        &[
            ("flowi6", "__fl_common.flowic_proto"),
            ("flowi6", "daddr"),
            ("flowi6", "uli.ports.dport"),
            ("fib6_table", "tb6_id"),
            ("fib6_result", "fib6_type"),
            ("fib6_result", "f6i"),
            ("net", "ipv6.fib6_null_entry"),
        ],
    ),
];

/// Why the program of a tracepoint cannot run on this kernel; `None` if it can.
fn lacks(btf: &KernelBtf, tracepoint: &str) -> Option<String> {
    let Some(arguments) = btf.tracepoint_arguments(tracepoint) else {
        return Some(format!("this kernel has no tracepoint {tracepoint}"));
    };
    let (_, needed, members) = NEEDS.iter().find(|(name, ..)| *name == tracepoint)?;
    if arguments != *needed {
        return Some(format!(
            "this kernel's tracepoint {tracepoint} has {arguments} arguments, not {needed}"
        ));
    }
    members
        .iter()
        .find_map(|(structure, member)| btf.offset(structure, member).err())
        .map(|error| error.to_string())
}

/// The sensor that says what no program sees on some kernels.
pub const PID_1: &str = "pid 1";

/// Whether this kernel runs no tracing program while a CPU serves a thread of process 1. Kernels with a certain patch
/// return early from `__bpf_trace_run` (kernel/trace/bpf_trace.c) when `current->tgid` is 1, unless the program has
/// `bpf_prog_aux.init_owned` set. It is no miss to them, so nothing counts it.
pub fn blind_on_pid_1(btf: &KernelBtf) -> bool {
    btf.has_member("bpf_prog_aux", "init_owned")
}

/// `None` on kernels that hide nothing.
pub fn pid_1(btf: &KernelBtf) -> Option<Sensor> {
    blind_on_pid_1(btf).then(|| Sensor {
        name: PID_1.to_owned(),
        state: SensorState::Degraded,
        why: Some(
            "this kernel runs no tracing program while a CPU serves PID 1: packets that a softirq handles then are \
             not traced (books that depend on timers may be short by a few)"
                .to_owned(),
        ),
    })
}

/// How programs read kernel memory: from the cheapest way, which the newest kernels allow, to what each kernel allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Plain loads of structs and of a packet's bytes (Linux 6.17 and later).
    #[default]
    Direct,
    /// Plain loads of structs, a probe read for a packet's bytes.
    Typed,
    /// Probe reads only, on a raw tracepoint.
    Raw,
}

/// Loads and attaches the programs of tracepoints, each in the form `best` or else in one that needs less, and says how
/// that went, in their order.
pub fn attach_all(
    ebpf: &mut Ebpf,
    tracepoints: &[&str],
    btf: &KernelBtf,
    aya_btf: Option<&Btf>,
    best: Form,
) -> Vec<Sensor> {
    let lacks: Vec<Option<String>> = tracepoints.iter().map(|tracepoint| lacks(btf, tracepoint)).collect();
    let wanted: Vec<&str> = std::iter::zip(tracepoints, &lacks)
        .filter_map(|(tracepoint, lacks)| lacks.is_none().then_some(*tracepoint))
        .collect();
    load_at_once(ebpf, &wanted, aya_btf, best);
    let sensor = |(tracepoint, lacks): (&&str, Option<String>)| {
        let (state, why) = match lacks {
            Some(why) => (SensorState::Off, Some(why)),
            None => attach(ebpf, tracepoint, aya_btf, best),
        };
        Sensor { name: (*tracepoint).to_owned(), state, why }
    };
    std::iter::zip(tracepoints, lacks).map(sensor).collect()
}

/// Those that take the verifier longest: they are loaded first, so that no CPU waits for another one's last.
const SLOW: [&str; 3] = ["kfree_skb", "tcp_send_reset", "icmp_send"];

/// Loads the programs of tracepoints, in the form `best`, on all CPUs at once: nearly all of it is the verifier's time. One
/// that the kernel refuses is loaded again by [`attach`], which says why.
fn load_at_once(ebpf: &mut Ebpf, wanted: &[&str], aya_btf: Option<&Btf>, best: Form) {
    let Some(aya_btf) = aya_btf.filter(|_| best != Form::Raw) else { return };
    let tracepoint_of = |program: &str| {
        let typed = program.strip_suffix("_typed").filter(|_| best == Form::Typed);
        let name = typed.or((best == Form::Direct).then_some(program))?;
        wanted.iter().find(|tracepoint| **tracepoint == name).copied()
    };
    let mut programs: Vec<(&str, &mut BtfTracePoint)> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| match program {
            Program::BtfTracePoint(program) => Some((tracepoint_of(name)?, program)),
            _ => None,
        })
        .collect();
    programs.sort_by_key(|(tracepoint, _)| SLOW.contains(tracepoint));
    let queue = Mutex::new(programs);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(MOST_LOADERS)) {
            scope.spawn(|| {
                while let Some((tracepoint, program)) = next() {
                    // Whoever attaches it tries again and tells.
                    let _ = program.load(tracepoint, aya_btf);
                }
            });
        }
    });
}

/// Threads that load programs: more have nothing to do.
const MOST_LOADERS: usize = 8;

/// Attaches the program of one tracepoint, in the form `best` or else in one that needs less, and says how that went.
fn attach(
    ebpf: &mut Ebpf,
    tracepoint: &str,
    aya_btf: Option<&Btf>,
    best: Form,
) -> (SensorState, Option<String>) {
    // Programs that read no bytes have no form of their own between the two.
    let (direct, typed) = (tracepoint.to_owned(), format!("{tracepoint}_typed"));
    let forms = match best {
        Form::Direct => vec![direct, typed],
        Form::Typed => vec![typed, direct],
        Form::Raw => vec![],
    };
    let mut refused = None;
    for program in forms {
        match attach_typed(ebpf, &program, tracepoint, aya_btf) {
            Ok(()) => return (SensorState::On, None),
            // That the kernel refuses it says more than that there is no such program.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let why = refused.map_or("it was not asked for".to_owned(), |error| reason(&error));
    match attach_raw(ebpf, tracepoint) {
        Ok(()) => (
            SensorState::Degraded,
            Some(format!("as a raw tracepoint (slower): the BTF tracepoint failed: {why}")),
        ),
        Err(error) => (SensorState::Off, Some(reason(&error))),
    }
}

fn attach_typed(
    ebpf: &mut Ebpf,
    program: &str,
    tracepoint: &str,
    btf: Option<&Btf>,
) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint = ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    if program.fd().is_err() {
        program.load(tracepoint, btf.ok_or(ProgramError::NotLoaded)?)?;
    }
    program.attach().map(drop)
}

fn attach_raw(ebpf: &mut Ebpf, tracepoint: &str) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint =
        ebpf.program_mut(&format!("{tracepoint}_raw")).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach(tracepoint).map(drop)
}

/// An error in one line: what the kernel said, and the end of the verifier's log if there is one.
pub(super) fn reason(error: &ProgramError) -> String {
    let mut text = error.to_string();
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        let log = verifier_log.to_string();
        let last: Vec<&str> =
            log.lines().rev().filter(|line| !line.starts_with("processed")).take(3).collect();
        text = format!("{io_error}: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "));
    } else if let Some(source) = error.source() {
        text = format!("{text}: {source}");
    }
    text.replace('\n', " | ")
}

/// Detaches and unloads every program. The maps stay.
pub fn unload(ebpf: &mut Ebpf) {
    for (_, program) in ebpf.programs_mut() {
        // The only error is that it never was loaded: each tracepoint has a second form that is not used.
        let _ = match program {
            Program::BtfTracePoint(program) => program.unload(),
            Program::RawTracePoint(program) => program.unload(),
            Program::KProbe(program) => program.unload(),
            _ => Ok(()),
        };
    }
    // A program may still run on another CPU: this returns after a grace period (`synchronize_rcu` in
    // kernel/sched/membarrier.c). Where it is refused, in-flight programs have had the time of the closes above.
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}

/// Times that the kernel did not run a program because it was running on that CPU already (`__bpf_trace_run`).
/// 0 on kernels that do not tell.
pub fn misses(ebpf: &Ebpf) -> u64 {
    ebpf.programs()
        .filter_map(|(_, program)| {
            let fd = match program {
                Program::BtfTracePoint(program) => program.fd().ok()?.try_clone().ok()?,
                Program::RawTracePoint(program) => program.fd().ok()?.try_clone().ok()?,
                Program::KProbe(program) => program.fd().ok()?.try_clone().ok()?,
                _ => return None,
            };
            let info = fs::read_to_string(format!(
                "/proc/self/fdinfo/{}",
                std::os::fd::AsFd::as_fd(&fd).as_raw_fd()
            ));
            let info = info.ok()?;
            let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
            line.trim().parse::<u64>().ok()
        })
        .sum()
}
