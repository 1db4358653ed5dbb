//! Errors that come back: `icmp_send` (this machine sends an ICMP error) and `inet_sk_error_report` (a socket is told).

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{PlaceKey, sensor};

use crate::{
    account,
    drop::rarely_whereabouts,
    event,
    ours::{Ours, identify_slowly},
    packet::{Packet, TCP},
    read::{Access, Kernel, Probed, Typed, load, offset},
    retransmit,
};

/// (skb, type, code): skb is the packet that the error is about (`__icmp_send`). IPv4 only.
#[btf_tracepoint(function = "icmp_send")]
pub fn icmp_send(ctx: BtfTracePointContext) -> i32 {
    sent(&ctx, ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

/// As `icmp_send`.
#[raw_tracepoint(tracepoint = "icmp_send")]
pub fn icmp_send_raw(ctx: RawTracePointContext) -> i32 {
    sent(&ctx, ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

/// Probe reads in both forms: errors are rare, and the verifier is done sooner.
#[inline(always)]
fn sent<C: EbpfContext>(ctx: &C, skb: Kernel, kind: u32, code: u32) {
    let (skb, reason) = (skb as u64, (kind & 0xff) << 8 | (code & 0xff));
    if !count(skb, reason) {
        return;
    }
    let mut ours = MaybeUninit::uninit();
    if identify_slowly(skb, ours.as_mut_ptr()) {
        // SAFETY: it was written.
        report(ctx, skb, reason, unsafe { ours.assume_init_ref() });
    }
}

/// Counts it. Returns whether it may be about a packet of ours. Not inlined, as `drop::count`.
#[inline(never)]
fn count(skb: u64, reason: u32) -> bool {
    let packet = Packet::rarely_of_skb(skb as Kernel);
    account::count_rarely(&place(skb, reason, &packet), &packet, skb);
    packet.may_be_ours()
}

/// Sends its event. Not inlined, as `drop::report`.
#[inline(never)]
fn report<C: EbpfContext>(ctx: &C, skb: u64, reason: u32, ours: &Ours) {
    let packet = Packet::rarely_of_skb(skb as Kernel);
    event::report(ctx, &place(skb, reason, &packet), &packet, skb as Kernel, ours);
}

#[inline(always)]
fn place(skb: u64, reason: u32, packet: &Packet) -> PlaceKey {
    let (ifindex, netns) = rarely_whereabouts(skb as Kernel);
    let Packet { family, protocol, .. } = *packet;
    PlaceKey { location: 0, reason, ifindex, netns, sensor: sensor::ICMP_SENT, family, protocol, pad: 0 }
}

/// (sk), `sk_error_report`.
#[btf_tracepoint(function = "inet_sk_error_report")]
pub fn inet_sk_error_report(ctx: BtfTracePointContext) -> i32 {
    error_reported::<_, Typed>(&ctx, ctx.arg(0));
    0
}

/// As `inet_sk_error_report`.
#[raw_tracepoint(tracepoint = "inet_sk_error_report")]
pub fn inet_sk_error_report_raw(ctx: RawTracePointContext) -> i32 {
    error_reported::<_, Probed>(&ctx, ctx.arg(0));
    0
}

#[inline(always)]
fn error_reported<C: EbpfContext, A: Access>(ctx: &C, sk: Kernel) {
    let mut packet = Packet::rarely_of_sock::<A>(sk);
    // `sk_protocol` is 8 or 16 bits wide, by kernel, and a bit field on some: its low byte is enough.
    packet.protocol = load::<u8, Probed>(sk, offset!(sk_protocol));
    let error: i32 = load::<_, A>(sk, offset!(sk_err));
    let place = retransmit::place::<A>(sensor::SOCKET_ERROR, error.unsigned_abs(), sk, &packet);
    account::count_rarely(&place, &packet, 0);
    if packet.protocol == TCP {
        event::report_socket(ctx, &place, &packet, || (None, 0));
    }
}
