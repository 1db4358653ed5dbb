//! Route lookups that fail: an answer that is never made, because there is no route for it, leaves no packet behind.
//!
//! A lookup has no packet either: whom the answer is for tells which it is. The stack itself answers echoes and SYNs at
//! once, on the CPU that took them. A program answers a datagram when it has read it, of which nothing tells: what its
//! lookup finds says something of the latest datagram of that sender, and of those before it.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{
    Asked, FAMILY_V4, FAMILY_V6, Failed, HOPS, Hop, LEG_REPLY, Routing, SENDERS, STAGE_ROUTE,
};

use crate::{
    maps,
    ours::Ours,
    packet::{ETH_P_IPV6, ICMP, ICMP6, UDP},
    path::record,
    read::{Access, Kernel, Probed, Typed, bytes, load, offset},
};

/// Nanoseconds from a packet to the lookup for the answer that its stack makes: one softirq, in which a virtual CPU may
/// have been away.
const AT_ONCE: u64 = 2_000_000;

/// Nanoseconds from one table to the next of the same lookup.
const ONE_LOOKUP: u64 = 1_000_000;

/// (tb_id, flp, nhc, err): one table was asked (`fib_table_lookup`, net/ipv4/fib_trie.c).
#[btf_tracepoint(function = "fib_table_lookup")]
pub fn fib_table_lookup(ctx: BtfTracePointContext) -> i32 {
    table4::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(3));
    0
}

/// As `fib_table_lookup`.
#[raw_tracepoint(tracepoint = "fib_table_lookup")]
pub fn fib_table_lookup_raw(ctx: RawTracePointContext) -> i32 {
    table4::<Probed>(ctx.arg(0), ctx.arg(1), ctx.arg(3));
    0
}

/// (net, res, table, flp): one table was asked (`fib6_table_lookup`, net/ipv6/route.c).
#[btf_tracepoint(function = "fib6_table_lookup")]
pub fn fib6_table_lookup(ctx: BtfTracePointContext) -> i32 {
    table6::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

/// As `fib6_table_lookup`.
#[raw_tracepoint(tracepoint = "fib6_table_lookup")]
pub fn fib6_table_lookup_raw(ctx: RawTracePointContext) -> i32 {
    table6::<Probed>(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[inline(always)]
fn table4<A: Access>(table: u32, flow: Kernel, error: i32) {
    let lookup = Lookup {
        flow: flow as u64,
        table: || table,
        sender: || {
            let protocol = load::<_, A>(flow, offset!(flow4_proto));
            let address = load::<_, A>(flow, offset!(flow4_daddr));
            sender(FAMILY_V4, protocol, address, load::<_, A>(flow, offset!(flow4_dport)))
        },
        // Nothing tells: elsewhere on the machine somebody may answer the same address.
        is_in: |_| true,
    };
    if error == 0 {
        return found(lookup);
    }
    failed(lookup, || {
        // Where a device is asked for, the destination is taken to be on its link (`ip_route_output_key_hash_rcu`).
        let device: u32 = load::<_, A>(flow, offset!(flow4_oif));
        // An ICMP error has a lookup for the flow that it is about too, the other way round (`icmp_route_lookup`): that
        // one has a flag, since its source is another host's.
        let flags: u8 = load::<_, A>(flow, offset!(flow4_flags));
        (device == 0 && flags == 0).then_some(error.unsigned_abs() as u8)
    });
}

/// Kinds of routes (linux/rtnetlink.h): the first of those that carry nothing, and those of them that are told apart.
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;
const RTN_THROW: u8 = 9;

const EAGAIN: u8 = 11;
const EACCES: u8 = 13;
const EINVAL: u8 = 22;
const ENETUNREACH: u8 = 101;
const EHOSTUNREACH: u8 = 113;

#[inline(always)]
fn table6<A: Access>(net: Kernel, result: Kernel, table: Kernel, flow: Kernel) {
    let lookup = Lookup {
        flow: flow as u64,
        table: || load::<_, A>(table, offset!(fib6_table_id)),
        sender: || {
            let protocol = load::<_, A>(flow, offset!(flow6_proto));
            // Its last word.
            let address = load::<_, A>(flow, offset!(flow6_daddr) + 12);
            sender(FAMILY_V6, protocol, address, load::<_, A>(flow, offset!(flow6_dport)))
        },
        is_in: |netns| load::<u32, A>(net, offset!(net_inum)) == netns,
    };
    let kind: u8 = load::<_, A>(result, offset!(fib6_result_type));
    if kind < RTN_BLACKHOLE {
        return found(lookup);
    }
    // `fib6_prop` (net/ipv6/route.c). That there is no route is a route as well, of which only the pointer tells.
    failed(lookup, || {
        Some(match kind {
            RTN_UNREACHABLE => {
                let route: Kernel = load::<_, Probed>(result, offset!(fib6_result_route));
                let none: Kernel = load::<_, Probed>(net, offset!(net_fib6_null_entry));
                if route == none { ENETUNREACH } else { EHOSTUNREACH }
            }
            RTN_PROHIBIT => EACCES,
            RTN_THROW => EAGAIN,
            _ => EINVAL,
        })
    });
}

/// One table being asked. What is not asked for need not be loaded.
struct Lookup<T, S, N> {
    /// Address of what is looked up: all tables of one lookup are asked for the same.
    flow: u64,
    table: T,
    /// For an answer to whom it may be.
    sender: S,
    /// Is it in this namespace?
    is_in: N,
}

/// A table had a route: then it does not matter that others, which the same lookup asked before, had none.
#[inline(always)]
fn found(lookup: Lookup<impl FnOnce() -> u32, impl FnOnce() -> u64, impl FnOnce(u32) -> bool>) {
    let Some(routing) = maps::ROUTING.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own element.
    let Routing { asked, failed } = unsafe { &mut *routing };
    if asked.sender | failed.flow == 0 {
        return;
    }
    let sender = (lookup.sender)();
    if failed.flow == lookup.flow && failed.sender == sender {
        if goes_on(failed, (lookup.table)(), now()) {
            settle(failed, |hop| hop.flags = 0);
        }
        failed.flow = 0;
    }
    if asked.sender == sender && (lookup.is_in)(asked.netns) {
        // It is answered. Whoever looks for the same again answers somebody else.
        asked.sender = 0;
    }
}

/// A table had no route, or one that carries nothing. `errno` is asked only for an answer to a packet of ours.
#[inline(always)]
fn failed(
    lookup: Lookup<impl FnOnce() -> u32, impl FnOnce() -> u64, impl FnOnce(u32) -> bool>,
    errno: impl FnOnce() -> Option<u8>,
) {
    let sender = (lookup.sender)();
    let Some(routing) = maps::ROUTING.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own element.
    let Routing { asked, failed } = unsafe { &mut *routing };
    let asked = if protocol(sender) == UDP {
        let Some(latest) = maps::SENDERS.get_ptr_mut(sender_index(sender)) else { return };
        // SAFETY: whoever writes it at the same time does so for a packet that this lookup may be for as well.
        unsafe { &mut *latest }
    } else {
        asked
    };
    // Of datagrams the namespace may be another one's, which has taken a younger one meanwhile.
    if asked.sender == sender
        && (protocol(sender) == UDP || (lookup.is_in)(asked.netns))
        && let Some(errno) = errno()
    {
        enter(lookup.flow, (lookup.table)(), asked, failed, errno);
    }
}

/// Not inlined: what only packets of ours need is not to cost others registers and stack.
#[inline(never)]
fn enter(flow: u64, table: u32, asked: &mut Asked, failed: &mut Failed, errno: u8) {
    let time = now();
    let Asked { attempt, probe, sender, .. } = *asked;
    if failed.flow == flow && failed.sender == sender && goes_on(failed, table, time) {
        failed.last = table;
        return settle(failed, |hop| (hop.time, hop.flags) = (time, errno));
    }
    let is_datagram = protocol(sender) == UDP;
    let is_at_once = || time.wrapping_sub(asked.time) <= AT_ONCE && asked.thread == thread();
    if !is_datagram && (failed.flow != 0 || !is_at_once()) {
        // The one lookup for its answer is over: this one is for somebody else's, who has the same address elsewhere.
        asked.sender = 0;
        return;
    }
    let netns = if is_datagram { 0 } else { asked.netns };
    let answer =
        Ours { attempt, probe, sequence: 0, destination: 0, leg: LEG_REPLY, flags: errno, is_known: true };
    let hop = Hop { time, netns, stage: STAGE_ROUTE, flags: errno, ..Hop::default() };
    if let Some((entry, hop)) = record(&answer, &hop) {
        *failed = Failed { flow, time, attempt, sender, entry, hop, first: table, last: table };
    }
}

/// Is a table being asked that the lookup that failed has not asked yet?
#[inline(always)]
fn goes_on(failed: &Failed, table: u32, time: u64) -> bool {
    table != failed.first && table != failed.last && time.wrapping_sub(failed.time) <= ONE_LOOKUP
}

/// A softirq has the same one from beginning to end.
#[inline(always)]
fn thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Changes the hop of the lookup that failed last.
#[inline(always)]
fn settle(failed: &Failed, change: impl FnOnce(&mut Hop)) {
    let Some(passage) = maps::LEDGER.get_ptr_mut(failed.entry) else { return };
    // SAFETY: as for `record`.
    unsafe {
        let hop = (&raw mut (*passage).hops).cast::<Hop>().add(failed.hop as usize % HOPS);
        if (*passage).attempt == failed.attempt + 1 && (*hop).stage == STAGE_ROUTE {
            change(&mut *hop);
        }
    }
}

/// Notes a request that a stack took from a device.
#[inline(always)]
pub fn request<A: Access>(skb: Kernel, ours: &Ours, hop: &Hop) {
    let sender = sender_of::<A>(skb);
    let Hop { time, netns, .. } = *hop;
    let Ours { attempt, probe, .. } = *ours;
    let asked = Asked { time, attempt, sender, probe, netns, thread: thread(), pad: 0 };
    if protocol(sender) == UDP {
        let Some(latest) = maps::SENDERS.get_ptr_mut(sender_index(sender)) else { return };
        // SAFETY: as in `failed`.
        unsafe { *latest = asked };
    } else if let Some(routing) = maps::ROUTING.get_ptr_mut(0) {
        // SAFETY: this CPU's own element.
        unsafe {
            (*routing).asked = asked;
            (*routing).failed.flow = 0;
        }
    }
}

/// Where the latest datagram of a sender is kept, by its port.
#[inline(always)]
fn sender_index(sender: u64) -> u32 {
    (sender >> 32 ^ sender >> 40) as u32 & (SENDERS - 1)
}

/// The sender of a packet, as the lookup for its answer's route will name it.
#[inline(always)]
fn sender_of<A: Access>(skb: Kernel) -> u64 {
    let head = load::<Kernel, A>(skb, offset!(skb_head));
    let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
    let at = head.wrapping_add(network as usize);
    let is_v6 = u16::from_be(load::<_, A>(skb, offset!(skb_protocol))) == ETH_P_IPV6;
    let (family, protocol, address, length) = if is_v6 {
        (FAMILY_V6, bytes::<u8, A>(at, 6), bytes::<u32, A>(at, 8 + 12), 40)
    } else {
        let length = usize::from(bytes::<u8, A>(at, 0) & 0xf) * 4;
        (FAMILY_V4, bytes::<u8, A>(at, 9), bytes::<u32, A>(at, 12), length)
    };
    let port = match protocol {
        // Where others have their ports an echo's lookup has type and code: of IPv4 none (`icmp_reply`), so that of type
        // 0, and of IPv6 the reply's (`icmpv6_echo_reply`). An ICMP error's has its own.
        ICMP => 0,
        ICMP6 => u16::from_ne_bytes([129, 0]),
        _ => bytes::<u16, A>(at, length),
    };
    sender(family, protocol, address, port)
}

/// Address (its last word) and port as on the wire, protocol and family, in one number that is never 0.
#[inline(always)]
fn sender(family: u8, protocol: u8, address: u32, port: u16) -> u64 {
    u64::from(address) | u64::from(port) << 32 | u64::from(protocol) << 48 | u64::from(family) << 56
}

#[inline(always)]
fn protocol(sender: u64) -> u8 {
    (sender >> 48) as u8
}
