//! RSTs: `tcp_send_reset` and `tcp_receive_reset`.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{CLOSED, PlaceKey, sensor};

use crate::{
    account,
    connection::{is_known_port, is_probe_port},
    drop::rarely_whereabouts,
    event, maps,
    ours::{Ours, identify_slowly},
    packet::Packet,
    read::{Access, Kernel, Probed, Typed, setting},
    retransmit::place,
};

const RST: u8 = 0x04;
/// `TCP_CLOSE`, include/net/tcp_states.h.
const CLOSE: u8 = 7;

/// (sk, skb[, reason]): skb is the packet that is answered with a RST, null when a socket resets on its own account
/// (`tcp_send_active_reset`); sk is null when the packet belongs to no socket (`tcp_v4_send_reset`).
#[btf_tracepoint(function = "tcp_send_reset")]
pub fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let reason = if setting!(send_reset_arguments) >= 3 { ctx.arg(2) } else { 0 };
    reset_sent(&ctx, ctx.arg(0), ctx.arg(1), reason);
    0
}

/// As `tcp_send_reset`.
#[raw_tracepoint(tracepoint = "tcp_send_reset")]
pub fn tcp_send_reset_raw(ctx: RawTracePointContext) -> i32 {
    let reason = if setting!(send_reset_arguments) >= 3 { ctx.arg(2) } else { 0 };
    reset_sent(&ctx, ctx.arg(0), ctx.arg(1), reason);
    0
}

/// Probe reads in both forms: some kernels mark both pointers as maybe null, and RSTs are rare.
#[inline(always)]
fn reset_sent<C: EbpfContext>(ctx: &C, sk: Kernel, skb: Kernel, reason: u32) {
    if !sk.is_null() {
        return by_socket(ctx, sk, reason);
    }
    let skb = skb as u64;
    if skb == 0 || !count(skb, reason) {
        return;
    }
    let mut ours = MaybeUninit::<Ours>::uninit();
    if identify_slowly(skb, ours.as_mut_ptr()) {
        // SAFETY: it was written.
        let ours = unsafe { ours.assume_init_mut() };
        (ours.leg, ours.flags) = (1 - ours.leg, RST);
        report(ctx, skb, reason, ours);
    }
}

/// A socket's. Not inlined, as `drop::count`.
#[inline(never)]
fn by_socket<C: EbpfContext>(ctx: &C, sk: Kernel, reason: u32) {
    let mut packet = Packet::rarely_of_sock::<Probed>(sk);
    let place = place::<Probed>(sensor::RESET_SENT, reason, sk, &packet);
    account::count_rarely(&place, &packet, 0);
    // The other way round it is how probes end their connections.
    if is_known_port(packet.destination_port) {
        if packet.state == CLOSE {
            packet.state = state_before(sk as u64);
        }
        event::report_socket(ctx, &place, &packet, || (None, RST));
    }
}

/// A socket that resets its connection as it is closed has been closed by then (`__tcp_close`, `tcp_disconnect`): the state
/// that it was in until then. The RST has been sent, its receiver may have been closed meanwhile, and this may be another CPU
/// (`tcp_send_active_reset`): hence the map of sockets.
#[inline(always)]
fn state_before(sk: u64) -> u8 {
    match maps::CLOSED.get(slot(sk)) {
        Some(closed) if closed.socket == sk => closed.state as u8,
        _ => CLOSE,
    }
}

/// Where a socket's element is. Sockets lie at least so far apart that the lowest bits do not tell.
#[inline(always)]
fn slot(socket: u64) -> u32 {
    ((socket >> 6) ^ (socket >> 12)) as u32 % CLOSED
}

/// (sk, oldstate, newstate), `inet_sk_state_store`.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    state_set(ctx.arg::<Kernel>(0) as u64, ctx.arg(1), ctx.arg(2));
    0
}

/// As `inet_sock_set_state`.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state_raw(ctx: RawTracePointContext) -> i32 {
    state_set(ctx.arg::<Kernel>(0) as u64, ctx.arg(1), ctx.arg(2));
    0
}

#[inline(always)]
fn state_set(socket: u64, before: u32, now: u32) {
    if now == u32::from(CLOSE)
        && let Some(closed) = maps::CLOSED.get_ptr_mut(slot(socket))
    {
        // SAFETY: an element of a map. Where two CPUs write at once, the socket that a reader looks for is gone before its
        // state is.
        unsafe {
            (&raw mut (*closed).socket).write_volatile(socket);
            (&raw mut (*closed).state).write_volatile(before);
        }
    }
}

/// Counts the RST that answers a packet which belongs to no socket. Returns whether that may be one of ours. Not inlined,
/// as `drop::count`.
#[inline(never)]
fn count(skb: u64, reason: u32) -> bool {
    let mut packet = Packet::rarely_of_skb(skb as Kernel);
    let may_be_ours = packet.may_be_ours();
    answer(&mut packet);
    account::count_rarely(&place_of_answer(skb, reason, &packet), &packet, skb);
    may_be_ours
}

/// Sends its event. Not inlined, as `drop::report`.
#[inline(never)]
fn report<C: EbpfContext>(ctx: &C, skb: u64, reason: u32, ours: &Ours) {
    let mut packet = Packet::rarely_of_skb(skb as Kernel);
    answer(&mut packet);
    event::report(ctx, &place_of_answer(skb, reason, &packet), &packet, skb as Kernel, ours);
}

/// The flow of the packet that is answered, the other way round.
#[inline(always)]
fn answer(packet: &mut Packet) {
    core::mem::swap(&mut packet.source, &mut packet.destination);
    core::mem::swap(&mut packet.source_port, &mut packet.destination_port);
    packet.segments = 1;
}

#[inline(always)]
fn place_of_answer(skb: u64, reason: u32, packet: &Packet) -> PlaceKey {
    let (ifindex, netns) = rarely_whereabouts(skb as Kernel);
    let Packet { family, protocol, .. } = *packet;
    PlaceKey { location: 0, reason, ifindex, netns, sensor: sensor::RESET_SENT, family, protocol, pad: 0 }
}

/// (sk), `tcp_reset`.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    reset_received::<_, Typed>(&ctx, ctx.arg(0));
    0
}

/// As `tcp_receive_reset`.
#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
pub fn tcp_receive_reset_raw(ctx: RawTracePointContext) -> i32 {
    reset_received::<_, Probed>(&ctx, ctx.arg(0));
    0
}

#[inline(always)]
fn reset_received<C: EbpfContext, A: Access>(ctx: &C, sk: Kernel) {
    // The socket's own direction: what was reset, not the RST.
    let packet = Packet::rarely_of_sock::<A>(sk);
    let place = place::<A>(sensor::RESET_RECEIVED, 0, sk, &packet);
    account::count_rarely(&place, &packet, 0);
    // What comes to a server is how probes end their connections.
    if is_probe_port(packet.source_port) {
        event::report_socket(ctx, &place, &packet, || (None, RST));
    }
}
