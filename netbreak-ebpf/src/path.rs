//! Where the packets of probes pass: a hop for the ledger, nothing for all others.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use netbreak_common::{
    HOPS, Hop, LEG_REQUEST, STAGE_BACKLOG, STAGE_CONSUMED, STAGE_GRO, STAGE_QUEUE, STAGE_RECEIVE,
    STAGE_SOCKET, STAGE_TRANSMIT,
};

use crate::{
    maps,
    ours::{Ours, identify},
    read::{Access, Direct, Kernel, Probed, Typed, load, netns, offset, setting},
    route,
};

/// A stage in each of the three forms (see `Access`). The packet is the tracepoint's first argument.
macro_rules! stage {
    ($tracepoint:tt, $direct:ident, $typed:ident, $raw:ident, $stage:expr) => {
        stage!($tracepoint, $direct, $typed, $raw, $stage, |_| 0);
    };
    ($tracepoint:tt, $direct:ident, $typed:ident, $raw:ident, $stage:expr, $location:expr) => {
        #[doc = concat!("`", $tracepoint, "`")]
        #[btf_tracepoint(function = $tracepoint)]
        pub fn $direct(ctx: BtfTracePointContext) -> i32 {
            let location: fn(&BtfTracePointContext) -> u64 = $location;
            pass::<Direct>(ctx.arg(0), $stage, || location(&ctx));
            0
        }

        #[doc = concat!("`", $tracepoint, "`")]
        #[btf_tracepoint(function = $tracepoint)]
        pub fn $typed(ctx: BtfTracePointContext) -> i32 {
            let location: fn(&BtfTracePointContext) -> u64 = $location;
            pass::<Typed>(ctx.arg(0), $stage, || location(&ctx));
            0
        }

        #[doc = concat!("`", $tracepoint, "`")]
        #[raw_tracepoint(tracepoint = $tracepoint)]
        pub fn $raw(ctx: RawTracePointContext) -> i32 {
            let location: fn(&RawTracePointContext) -> u64 = $location;
            pass::<Probed>(ctx.arg(0), $stage, || location(&ctx));
            0
        }
    };
}

// (skb)
stage!("net_dev_queue", net_dev_queue, net_dev_queue_typed, net_dev_queue_raw, STAGE_QUEUE);
// (skb, dev)
stage!(
    "net_dev_start_xmit",
    net_dev_start_xmit,
    net_dev_start_xmit_typed,
    net_dev_start_xmit_raw,
    STAGE_TRANSMIT
);
// (skb)
stage!("netif_rx", netif_rx, netif_rx_typed, netif_rx_raw, STAGE_BACKLOG);
// (skb)
stage!(
    "napi_gro_receive_entry",
    napi_gro_receive_entry,
    napi_gro_receive_entry_typed,
    napi_gro_receive_entry_raw,
    STAGE_GRO
);
// (skb)
stage!("netif_receive_skb", netif_receive_skb, netif_receive_skb_typed, netif_receive_skb_raw, STAGE_RECEIVE);
// (skb, len)
stage!(
    "skb_copy_datagram_iovec",
    skb_copy_datagram_iovec,
    skb_copy_datagram_iovec_typed,
    skb_copy_datagram_iovec_raw,
    STAGE_SOCKET
);
// (skb[, location])
stage!("consume_skb", consume_skb, consume_skb_typed, consume_skb_raw, STAGE_CONSUMED, |ctx| if setting!(
    consume_skb_arguments
) >= 2
{
    ctx.arg(1)
} else {
    0
});

#[inline(always)]
fn pass<A: Access>(skb: Kernel, stage: u8, location: impl FnOnce() -> u64) {
    let mut ours = MaybeUninit::uninit();
    if identify::<A>(skb, ours.as_mut_ptr()) {
        // SAFETY: it was written.
        note::<A>(skb, stage, location(), unsafe { ours.assume_init_ref() });
    }
}

/// Not inlined: what only packets of ours need is not to cost others registers and stack.
#[inline(never)]
fn note<A: Access>(skb: Kernel, stage: u8, location: u64, ours: &Ours) {
    if ours.probe >= setting!(probes) || !ours.is_known {
        return;
    }
    let device: Kernel = load::<_, A>(skb, offset!(skb_dev));
    let (mut ifindex, mut inode) = (0, 0);
    if !device.is_null() {
        ifindex = load::<u32, A>(device, offset!(dev_ifindex));
        inode = netns::<A>(device, offset!(dev_net));
    }
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    let Ours { sequence, flags, .. } = *ours;
    let destination = ours.destination.to_ne_bytes();
    let hop = Hop { time, location, ifindex, netns: inode, sequence, destination, stage, flags, pad: [0; 6] };
    record(ours, &hop);
    if stage == STAGE_RECEIVE && ours.leg == LEG_REQUEST {
        route::request::<A>(skb, ours, &hop);
    }
}

/// Enters a hop into the ledger: (entry of the ledger, number of the hop there).
#[inline(always)]
pub fn record(ours: &Ours, hop: &Hop) -> Option<(u32, u32)> {
    let mask = setting!(ledger_mask);
    let slot = (ours.probe * (mask + 1) + (ours.attempt as u32 & mask)) * 2 + u32::from(ours.leg);
    let passage = maps::LEDGER.get_ptr_mut(slot)?;
    let mark = ours.attempt + 1;
    // SAFETY: an attempt's packets are at one place at a time, but for copies: two CPUs that write at once may lose a
    // hop, and never make one up, since a hop is written before it is counted.
    unsafe {
        if (*passage).attempt != mark {
            if (*passage).attempt > mark {
                // It comes so late that a younger attempt has its place: its own time is long over.
                return None;
            }
            (*passage).count = 0;
            (*passage).attempt = mark;
        }
        let count = (*passage).count;
        let hops = (&raw mut (*passage).hops).cast::<Hop>();
        hops.add(count as usize % HOPS).write(*hop);
        (*passage).count = count + 1;
        Some((slot, count))
    }
}
