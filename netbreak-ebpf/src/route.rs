//! Route lookups that fail: an answer that is never made, because there is no route for it, leaves no packet behind.
//!
//! A lookup has no packet either. An answer's is told by whom it is for, and by who makes it: the stack answers echoes
//! and SYNs at once, on the CPU that took them; a program answers a datagram in the thread that read it.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{
    Asked, FAMILY_V4, FAMILY_V6, Failed, HOPS, Hop, LEG_REPLY, READERS, STAGE_CONSUMED, STAGE_RECEIVE,
    STAGE_ROUTE, STAGE_SOCKET,
};

use crate::{
    maps,
    ours::Ours,
    packet::{ETH_P_IPV6, ICMP, ICMP6, UDP},
    path::record,
    read::{Access, Kernel, Probed, Typed, bytes, load, offset},
};

/// From the packet to the lookup for its answer, in one softirq: longer only if the CPU itself was away.
const AT_ONCE: u64 = 10_000_000;

/// From one table to the next of the same lookup.
const ONE_LOOKUP: u64 = 1_000_000;

/// (tb_id, flp, nhc, err): one table was asked (`fib_table_lookup`, net/ipv4/fib_trie.c).
#[btf_tracepoint(function = "fib_table_lookup")]
pub fn fib_table_lookup(ctx: BtfTracePointContext) -> i32 {
    asked4::<Typed>(ctx.arg(1), ctx.arg(3));
    0
}

/// As `fib_table_lookup`.
#[raw_tracepoint(tracepoint = "fib_table_lookup")]
pub fn fib_table_lookup_raw(ctx: RawTracePointContext) -> i32 {
    asked4::<Probed>(ctx.arg(1), ctx.arg(3));
    0
}

/// (net, res, table, flp): one table was asked (`fib6_table_lookup`, net/ipv6/route.c).
#[btf_tracepoint(function = "fib6_table_lookup")]
pub fn fib6_table_lookup(ctx: BtfTracePointContext) -> i32 {
    asked6::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(3));
    0
}

/// As `fib6_table_lookup`.
#[raw_tracepoint(tracepoint = "fib6_table_lookup")]
pub fn fib6_table_lookup_raw(ctx: RawTracePointContext) -> i32 {
    asked6::<Probed>(ctx.arg(0), ctx.arg(1), ctx.arg(3));
    0
}

#[inline(always)]
fn asked4<A: Access>(flow: Kernel, error: i32) {
    let sender = || {
        let protocol = load::<_, A>(flow, offset!(flow4_proto));
        let address = load::<_, A>(flow, offset!(flow4_daddr));
        sender(FAMILY_V4, protocol, address, load::<_, A>(flow, offset!(flow4_dport)))
    };
    if error == 0 {
        return found(flow, sender);
    }
    // Where a device is asked for, the destination is taken to be on its link (`ip_route_output_key_hash_rcu`).
    failed(flow, sender, || {
        (load::<u32, A>(flow, offset!(flow4_oif)) == 0).then_some(error.unsigned_abs() as u8)
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
fn asked6<A: Access>(net: Kernel, result: Kernel, flow: Kernel) {
    let sender = || {
        let protocol = load::<_, A>(flow, offset!(flow6_proto));
        // Its last word.
        let address = load::<_, A>(flow, offset!(flow6_daddr) + 12);
        sender(FAMILY_V6, protocol, address, load::<_, A>(flow, offset!(flow6_dport)))
    };
    let kind: u8 = load::<_, A>(result, offset!(fib6_result_type));
    if kind < RTN_BLACKHOLE {
        return found(flow, sender);
    }
    // `fib6_prop` (net/ipv6/route.c). Having no route is a route too, of which only the pointer tells.
    failed(flow, sender, || {
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

/// A table had a route: then it does not matter that others, which the same lookup asked before, had none.
#[inline(always)]
fn found(flow: Kernel, sender: impl FnOnce() -> u64) {
    let Some(routing) = maps::ROUTING.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own element.
    let failed = unsafe { &mut (*routing).failed };
    if failed.flow == flow as u64 && failed.sender == sender() {
        settle(failed, 0);
        failed.flow = 0;
    }
}

/// A table had no route, or one that carries nothing. `error` is asked only for an answer to a packet of ours.
#[inline(always)]
fn failed(flow: Kernel, sender: impl FnOnce() -> u64, error: impl FnOnce() -> Option<u8>) {
    let sender = sender();
    let Some(routing) = maps::ROUTING.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own element.
    let (taken, failed) = unsafe { (&(*routing).taken, &mut (*routing).failed) };
    let asked = if protocol(sender) == UDP {
        let thread = bpf_get_current_pid_tgid() as u32;
        let Some(read) = maps::READERS.get_ptr(thread & (READERS - 1)) else { return };
        // SAFETY: only this thread, and one whose number ends alike, writes it.
        let read = unsafe { &*read };
        if read.thread != thread {
            return;
        }
        read
    } else {
        taken
    };
    if asked.sender == sender
        && let Some(error) = error()
    {
        enter(flow as u64, asked, failed, error);
    }
}

/// Not inlined: what only packets of ours need is not to cost others registers and stack.
#[inline(never)]
fn enter(flow: u64, asked: &Asked, failed: &mut Failed, errno: u8) {
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    let is_stale = |since: u64, limit| time.wrapping_sub(since) > limit;
    if asked.thread == 0 && is_stale(asked.time, AT_ONCE) {
        return;
    }
    let is_same = failed.flow == flow && failed.sender == asked.sender;
    if is_same && failed.attempt == asked.attempt && !is_stale(failed.time, ONE_LOOKUP) {
        return settle(failed, errno);
    }
    let Asked { attempt, probe, netns, sender, .. } = *asked;
    let answer = Ours { attempt, probe, sequence: 0, leg: LEG_REPLY, flags: errno };
    let hop = Hop { time, netns, stage: STAGE_ROUTE, flags: errno, ..Hop::default() };
    if let Some((entry, hop)) = record(&answer, &hop) {
        *failed = Failed { flow, time, attempt, sender, entry, hop };
    }
}

/// What the lookup came to in the end: the errno, or 0.
#[inline(always)]
fn settle(failed: &Failed, errno: u8) {
    let Some(passage) = maps::LEDGER.get_ptr_mut(failed.entry) else { return };
    // SAFETY: as for `record`.
    unsafe {
        let hop = (&raw mut (*passage).hops).cast::<Hop>().add(failed.hop as usize % HOPS);
        if (*passage).attempt == failed.attempt + 1 && (*hop).stage == STAGE_ROUTE {
            (*hop).flags = errno;
        }
    }
}

/// Notes a request that the stack has taken from a device, or a program from its socket: its answer is next.
#[inline(always)]
pub fn request<A: Access>(skb: Kernel, ours: &Ours, hop: &Hop) {
    // On a socket's queue a packet has no device any more.
    let is_read = hop.ifindex == 0 && matches!(hop.stage, STAGE_SOCKET | STAGE_CONSUMED);
    if !is_read && hop.stage != STAGE_RECEIVE {
        return;
    }
    let Some(routing) = maps::ROUTING.get_ptr_mut(0) else { return };
    let sender = sender_of::<A>(skb);
    let thread = if is_read { bpf_get_current_pid_tgid() as u32 } else { 0 };
    let asked = Asked {
        time: hop.time,
        attempt: ours.attempt,
        sender,
        probe: ours.probe,
        netns: hop.netns,
        thread,
        pad: 0,
    };
    // SAFETY: this CPU's own element, and this thread's own.
    unsafe {
        if !is_read {
            (*routing).taken = asked;
        } else if protocol(sender) == UDP
            && let Some(read) = maps::READERS.get_ptr_mut(thread & (READERS - 1))
        {
            *read = asked;
        }
        (*routing).failed.flow = 0;
    }
}

/// The sender of a packet, as the lookup for its answer's route will name it.
#[inline(always)]
fn sender_of<A: Access>(skb: Kernel) -> u64 {
    let head = load::<Kernel, A>(skb, offset!(skb_head));
    let network = u32::from(load::<u16, A>(skb, offset!(skb_network_header)));
    let at = head.wrapping_add(network as usize);
    let (family, protocol, address, length) =
        if u16::from_be(load::<_, A>(skb, offset!(skb_protocol))) == ETH_P_IPV6 {
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

/// One number, which is never 0. Address (its last word) and port as on the wire.
#[inline(always)]
fn sender(family: u8, protocol: u8, address: u32, port: u16) -> u64 {
    u64::from(address) | u64::from(port) << 32 | u64::from(protocol) << 48 | u64::from(family) << 56
}

#[inline(always)]
fn protocol(sender: u64) -> u8 {
    (sender >> 48) as u8
}
