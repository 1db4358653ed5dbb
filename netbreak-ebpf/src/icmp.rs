//! Errors that come back: `icmp_send` (this machine sends an ICMP error) and `inet_sk_error_report` (a socket is told).

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
    packet::{Packet, TCP},
    read::{Access, Kernel, Probed, Typed, load, offset},
    retransmit::place,
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
    let packet = Packet::rarely_of_skb(skb);
    let (ifindex, netns) = rarely_whereabouts(skb);
    let place = PlaceKey {
        location: 0,
        reason: (kind & 0xff) << 8 | (code & 0xff),
        ifindex,
        netns,
        sensor: sensor::ICMP_SENT,
        family: packet.family,
        protocol: packet.protocol,
        pad: 0,
    };
    account::count_rarely(&place, &packet, skb as u64);
    event::report_packet(ctx, &place, &packet, skb);
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
    let place = place::<A>(sensor::SOCKET_ERROR, error.unsigned_abs(), sk, &packet);
    account::count_rarely(&place, &packet, 0);
    if packet.protocol == TCP {
        event::report_socket(ctx, &place, &packet, || (None, 0));
    }
}
