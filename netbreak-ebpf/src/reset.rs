//! RSTs: `tcp_send_reset` and `tcp_receive_reset`.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{PlaceKey, sensor};

use crate::{
    account,
    connection::is_probe_port,
    drop::rarely_whereabouts,
    event,
    ours::{Ours, identify_slowly},
    packet::Packet,
    read::{Access, Kernel, Probed, Typed, forget, setting},
    retransmit::place,
};

const RST: u8 = 0x04;

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
        let packet = Packet::rarely_of_sock::<Probed>(sk);
        let place = place::<Probed>(sensor::RESET_SENT, reason, sk, &packet);
        account::count_rarely(&place, &packet, 0);
        event::report_socket(ctx, &place, &packet, || (None, RST));
    } else if !skb.is_null() {
        // The flow of the packet that is answered: the RST goes the other way.
        let answered = Packet::rarely_of_skb(skb);
        let packet = Packet {
            source: answered.destination,
            destination: answered.source,
            source_port: answered.destination_port,
            destination_port: answered.source_port,
            segments: 1,
            ..answered
        };
        let (ifindex, netns) = rarely_whereabouts(skb);
        let place = PlaceKey { ifindex, netns, ..place::<Probed>(sensor::RESET_SENT, reason, sk, &packet) };
        account::count_rarely(&place, &packet, skb as u64);
        if !answered.may_be_ours() {
            return;
        }
        let packet = forget(&packet);
        let mut ours = MaybeUninit::<Ours>::uninit();
        if identify_slowly(skb as u64, ours.as_mut_ptr()) {
            // SAFETY: it was written.
            let ours = unsafe { ours.assume_init_mut() };
            (ours.leg, ours.flags) = (1 - ours.leg, RST);
            event::report(ctx, &place, &packet, skb, ours);
        }
    }
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
