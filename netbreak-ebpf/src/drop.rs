//! `kfree_skb`: a packet freed unread.

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{PlaceKey, sensor};

use crate::{
    account, event,
    ours::{Ours, identify_slowly},
    packet::Packet,
    read::{Access, Direct, Kernel, Probed, Typed, forget, load, netns, offset, setting},
};

/// (skb, location[, reason[, rx_sk]]), `trace_kfree_skb`.
#[btf_tracepoint(function = "kfree_skb")]
pub fn kfree_skb(ctx: BtfTracePointContext) -> i32 {
    let reason = if setting!(kfree_skb_arguments) >= 3 { ctx.arg(2) } else { 0 };
    let rx_sk = if setting!(kfree_skb_arguments) >= 4 { ctx.arg(3) } else { core::ptr::null() };
    dropped::<_, Direct>(&ctx, ctx.arg(0), ctx.arg(1), reason, rx_sk);
    0
}

/// As `kfree_skb`.
#[btf_tracepoint(function = "kfree_skb")]
pub fn kfree_skb_typed(ctx: BtfTracePointContext) -> i32 {
    let reason = if setting!(kfree_skb_arguments) >= 3 { ctx.arg(2) } else { 0 };
    let rx_sk = if setting!(kfree_skb_arguments) >= 4 { ctx.arg(3) } else { core::ptr::null() };
    dropped::<_, Typed>(&ctx, ctx.arg(0), ctx.arg(1), reason, rx_sk);
    0
}

/// As `kfree_skb`.
#[raw_tracepoint(tracepoint = "kfree_skb")]
pub fn kfree_skb_raw(ctx: RawTracePointContext) -> i32 {
    let reason = if setting!(kfree_skb_arguments) >= 3 { ctx.arg(2) } else { 0 };
    let rx_sk = if setting!(kfree_skb_arguments) >= 4 { ctx.arg(3) } else { core::ptr::null() };
    dropped::<_, Probed>(&ctx, ctx.arg(0), ctx.arg(1), reason, rx_sk);
    0
}

#[inline(always)]
fn dropped<C: EbpfContext, A: Access>(ctx: &C, skb: Kernel, location: u64, reason: u32, rx_sk: Kernel) {
    if !count::<A>(skb, location, reason, rx_sk) {
        return;
    }
    let mut ours = MaybeUninit::uninit();
    if identify_slowly(skb as u64, ours.as_mut_ptr()) {
        // SAFETY: it was written.
        report(ctx, skb as u64, location, reason, unsafe { ours.assume_init_ref() });
    }
}

/// Counts it. Returns whether it may be a packet of ours. Not inlined: what follows for such packets needs the stack, of
/// which there are 512 bytes for all (`MAX_BPF_STACK`; a program's own before 6.13, private stacks).
#[inline(never)]
fn count<A: Access>(skb: Kernel, location: u64, reason: u32, rx_sk: Kernel) -> bool {
    let (ifindex, netns) = whereabouts::<A>(skb, rx_sk);
    let packet = Packet::of_skb::<A>(skb);
    account::count(&place(location, reason, ifindex, netns, &packet), &packet, skb);
    packet.may_be_ours()
}

/// Sends its event. Not inlined, and it looks at the packet anew, for the same reason.
#[inline(never)]
fn report<C: EbpfContext>(ctx: &C, skb: u64, location: u64, reason: u32, ours: &Ours) {
    let packet = Packet::rarely_of_skb(skb as Kernel);
    let (ifindex, netns) = rarely_whereabouts(skb as Kernel);
    let place = place(location, reason, ifindex, netns, &packet);
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        ctx,
        "kfree_skb: reason {} ifindex {} protocol {}",
        reason,
        ifindex,
        packet.protocol
    );
    event::report(ctx, &place, &packet, skb as Kernel, ours);
}

#[inline(always)]
fn place(location: u64, reason: u32, ifindex: u32, netns: u32, packet: &Packet) -> PlaceKey {
    let Packet { family, protocol, .. } = *packet;
    PlaceKey { location, reason, ifindex, netns, sensor: sensor::DROP, family, protocol, pad: 0 }
}

/// (ifindex, namespace) of a packet: from its device, else its socket and route, else the receiving socket.
/// Before 6.12 nothing tells the receiving socket. UDP reuses `skb->dev` as scratch space on its receive queue
/// (`udp_set_dev_scratch`): such a "device" reads as zeros.
#[inline(always)]
pub fn whereabouts<A: Access>(skb: Kernel, rx_sk: Kernel) -> (u32, u32) {
    let device: Kernel = load::<_, A>(skb, offset!(skb_dev));
    if !device.is_null() {
        let ifindex: u32 = load::<_, A>(device, offset!(dev_ifindex));
        if ifindex != 0 {
            return (ifindex, netns::<A>(device, offset!(dev_net)));
        }
    }
    let sk: Kernel = load::<_, A>(skb, offset!(skb_sk));
    if !sk.is_null() {
        let ifindex: u32 = load::<_, Probed>(device_of_route(skb), offset!(dev_ifindex));
        return (ifindex, netns::<A>(sk, offset!(sk_net)));
    }
    (0, netns::<A>(rx_sk, offset!(sk_net)))
}

/// As [`whereabouts`] of a packet, for what happens rarely: the verifier goes on in one way.
#[inline(always)]
pub fn rarely_whereabouts(skb: Kernel) -> (u32, u32) {
    let mut found = MaybeUninit::uninit();
    write_whereabouts(skb as u64, found.as_mut_ptr());
    // SAFETY: it was written.
    let [ifindex, netns] = forget(unsafe { found.assume_init_ref() });
    (ifindex, netns)
}

/// Not inlined: what it leaves on the stack would be one more way for each.
#[inline(never)]
fn write_whereabouts(skb: u64, into: *mut [u32; 2]) {
    let (ifindex, netns) = whereabouts::<Probed>(skb as Kernel, core::ptr::null());
    // SAFETY: the caller's, of this size.
    unsafe { into.write([ifindex, netns]) };
}

/// The `net_device` that `whereabouts` speaks of; null without one.
#[inline(always)]
pub fn device(skb: Kernel) -> Kernel {
    let device: Kernel = load::<_, Probed>(skb, offset!(skb_dev));
    if load::<u32, Probed>(device, offset!(dev_ifindex)) != 0 { device } else { device_of_route(skb) }
}

/// On its way out, before a device is set: the route's device (`skb_dst`; the lowest bit is a flag).
#[inline(always)]
fn device_of_route(skb: Kernel) -> Kernel {
    let route = load::<usize, Probed>(skb, offset!(skb_dst)) & !1;
    load::<_, Probed>(route as Kernel, offset!(dst_dev))
}
