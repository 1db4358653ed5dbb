//! `ovs_dp_upcall`: Open vSwitch has no flow for a packet, or one that asks for it, and hands a copy to ovs-vswitchd.
//!
//! What came of it is what the function returns, so there are two probes; where a kernel has none, the tracepoint tells
//! that it was tried.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns,
    macros::{kprobe, kretprobe, raw_tracepoint},
    programs::{ProbeContext, RawTracePointContext, RetProbeContext},
};
use netbreak_common::{ABSENT, Hop, PlaceKey, STAGE_UPCALL, UPCALL_COMMAND, UPCALL_UNKNOWN, Upcall, sensor};

use crate::{
    account,
    drop::rarely_whereabouts,
    maps,
    ours::{Ours, identify_slowly},
    packet::Packet,
    path::record,
    read::{Kernel, Probed, forget, load, netns, offset, setting},
};

/// (dp, skb, key, upcall_info, cutlen), net/openvswitch/datapath.c. Bottom halves are off from here to the return
/// (`netif_receive_skb`, `dev_queue_xmit` or `ovs_packet_cmd_execute` is the caller), so that nothing else on this CPU
/// comes in between.
#[kprobe]
pub fn ovs_dp_upcall_begins(ctx: ProbeContext) -> u32 {
    let (Some(datapath), Some(packet), Some(info)) = (ctx.arg(0), ctx.arg(1), ctx.arg(3)) else { return 0 };
    if let Some(upcall) = maps::UPCALL.get_ptr_mut(0) {
        // SAFETY: this CPU's own element.
        unsafe { *upcall = Upcall { datapath, packet, info } };
    }
    0
}

/// The function returns 0 or a negative errno, and its caller still holds the packet.
#[kretprobe]
pub fn ovs_dp_upcall_ends(ctx: RetProbeContext) -> u32 {
    let Some(upcall) = maps::UPCALL.get_ptr_mut(0) else { return 0 };
    // SAFETY: this CPU's own element.
    let begun = unsafe { *upcall };
    if begun.packet == 0 {
        return 0;
    }
    // SAFETY: as above.
    unsafe { (*upcall).packet = 0 };
    let result: i32 = ctx.ret();
    upcalled(&begun, result.unsigned_abs() as u8);
    0
}

/// (dp, skb, key, upcall_info).
#[raw_tracepoint(tracepoint = "ovs_dp_upcall")]
pub fn ovs_dp_upcall_raw(ctx: RawTracePointContext) -> i32 {
    let begun = Upcall { datapath: ctx.arg(0), packet: ctx.arg(1), info: ctx.arg(3) };
    upcalled(&begun, UPCALL_UNKNOWN);
    0
}

/// Counts it, and notes it for a packet of ours.
#[inline(always)]
fn upcalled(upcall: &Upcall, errno: u8) {
    if !count(upcall, errno) {
        return;
    }
    let mut ours = MaybeUninit::uninit();
    if identify_slowly(upcall.packet, ours.as_mut_ptr()) {
        // SAFETY: it was written.
        note(upcall.packet, errno, unsafe { ours.assume_init_ref() });
    }
}

/// Returns whether it may be a packet of ours. Not inlined, as `drop::count`.
#[inline(never)]
fn count(upcall: &Upcall, errno: u8) -> bool {
    let skb = upcall.packet as Kernel;
    let packet = Packet::rarely_of_skb(skb);
    let (ifindex, inode) = rarely_whereabouts(skb);
    let place = PlaceKey {
        location: u64::from(datapath_netns(upcall.datapath as Kernel, inode)),
        reason: u32::from(errno) | command(upcall.info as Kernel) << UPCALL_COMMAND,
        ifindex,
        netns: inode,
        sensor: sensor::UPCALL,
        family: packet.family,
        protocol: packet.protocol,
        pad: 0,
    };
    account::count_rarely(&place, &packet, upcall.packet);
    packet.may_be_ours()
}

/// The namespace that a datapath belongs to: its ports may have been moved to others. Without type information of the
/// module it is taken to be the port's.
#[inline(always)]
fn datapath_netns(datapath: Kernel, of_port: u32) -> u32 {
    if setting!(offsets.datapath_net) == ABSENT {
        return of_port;
    }
    netns::<Probed>(datapath, offset!(datapath_net))
}

/// `OVS_PACKET_CMD_MISS`: there was no flow, and the packet itself goes no further. `OVS_PACKET_CMD_ACTION`: a flow asked
/// for it. 0 = not known.
#[inline(always)]
fn command(info: Kernel) -> u32 {
    if setting!(offsets.upcall_command) == ABSENT {
        return 0;
    }
    load::<u8, Probed>(info, offset!(upcall_command)).into()
}

/// Not inlined: what hardly any packet needs.
#[inline(never)]
fn note(skb: u64, errno: u8, ours: &Ours) {
    // Many ways lead here.
    let ours = forget(ours);
    if ours.probe >= setting!(probes) || !ours.is_known {
        return;
    }
    let (ifindex, netns) = rarely_whereabouts(skb as Kernel);
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    let destination = ours.destination.to_ne_bytes();
    let (sequence, stage, flags) = (ours.sequence, STAGE_UPCALL, errno);
    record(
        &ours,
        &Hop { time, location: 0, ifindex, netns, sequence, destination, stage, flags, pad: [0; 6] },
    );
}
