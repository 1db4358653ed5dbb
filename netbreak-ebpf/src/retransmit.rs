//! Retransmitted segments: `tcp_retransmit_skb` and, for SYN-ACKs, `tcp_retransmit_synack`.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{PlaceKey, sensor};

use crate::{
    account, event,
    packet::Packet,
    read::{Access, Kernel, Probed, Typed, forget_in_place, load, netns, offset, setting},
};

/// (sk, skb[, err]), `__tcp_retransmit_skb`. Without `err` it fires only when the segment was sent.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    let error = if setting!(retransmit_arguments) >= 3 { ctx.arg(2) } else { 0 };
    retransmitted::<_, Typed>(&ctx, ctx.arg(0), ctx.arg(1), error);
    0
}

/// As `tcp_retransmit_skb`.
#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
pub fn tcp_retransmit_skb_raw(ctx: RawTracePointContext) -> i32 {
    let error = if setting!(retransmit_arguments) >= 3 { ctx.arg(2) } else { 0 };
    retransmitted::<_, Probed>(&ctx, ctx.arg(0), ctx.arg(1), error);
    0
}

#[inline(always)]
fn retransmitted<C: EbpfContext, A: Access>(ctx: &C, sk: Kernel, skb: Kernel, error: i32) {
    let mut packet = Packet::rarely_of_sock::<A>(sk);
    // `tcp_skb_pcount`, which is what `Tcp.RetransSegs` grows by. `cb` is an array of bytes: not a typed load.
    packet.segments = load::<u16, Probed>(skb, offset!(skb_tcp_gso_segs)).into();
    packet.bytes = load::<_, A>(skb, offset!(skb_len));
    let place = place::<A>(sensor::RETRANSMIT, error.unsigned_abs(), sk, &packet);
    account::count_rarely(&place, &packet, 0);
    event::report_socket(ctx, &place, &packet, || {
        let sequence = load::<u32, Probed>(skb, offset!(skb_tcp_seq));
        (Some(sequence), load::<u8, Probed>(skb, offset!(skb_tcp_flags)))
    });
}

/// (sk, req), `tcp_rtx_synack`. A request has the members of a socket that tell its flow (`sock_common`).
#[btf_tracepoint(function = "tcp_retransmit_synack")]
pub fn tcp_retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    retransmitted_synack(&ctx, ctx.arg(1));
    0
}

/// As `tcp_retransmit_synack`.
#[raw_tracepoint(tracepoint = "tcp_retransmit_synack")]
pub fn tcp_retransmit_synack_raw(ctx: RawTracePointContext) -> i32 {
    retransmitted_synack(&ctx, ctx.arg(1));
    0
}

/// Probe reads in both forms: to the verifier a request is no socket. It is rare enough.
#[inline(always)]
fn retransmitted_synack<C: EbpfContext>(ctx: &C, request: Kernel) {
    let packet = Packet::rarely_of_sock::<Probed>(request);
    let place = place::<Probed>(sensor::RETRANSMIT_SYNACK, 0, request, &packet);
    account::count_rarely(&place, &packet, 0);
    const SYN_ACK: u8 = 0x12;
    event::report_socket(ctx, &place, &packet, || (None, SYN_ACK));
}

/// The place of something that happened to a socket.
#[inline(always)]
pub fn place<A: Access>(sensor: u8, reason: u32, sk: Kernel, packet: &Packet) -> PlaceKey {
    let mut place = MaybeUninit::new(PlaceKey {
        location: 0,
        reason,
        ifindex: 0,
        netns: netns::<A>(sk, offset!(sk_net)),
        sensor,
        family: packet.family,
        protocol: packet.protocol,
        pad: 0,
    });
    // Many ways lead here.
    forget_in_place(&mut place);
    // SAFETY: made above.
    unsafe { place.assume_init() }
}
