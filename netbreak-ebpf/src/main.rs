//! The eBPF programs of netbreak: they count every dropped, retransmitted or reset packet of the machine, and send an
//! event only when the packet belongs to a probe.
//!
//! One file a family of tracepoints (`drop`, `retransmit`, `reset`, `icmp`, `path`, `route`, `ovs`); `read` loads kernel memory, `packet` finds
//! the flow, `account` counts, `event` reports, `fill` is run before all others. Each program exists twice: on a BTF tracepoint, where kernel structs
//! are plain loads, and (`*_raw`) on a raw tracepoint with bounded probe reads, for kernels that lack the former.
#![no_std]
#![no_main]

mod account;
mod bench;
mod connection;
mod drop;
mod event;
mod fill;
mod icmp;
mod maps;
mod ours;
mod ovs;
mod packet;
mod path;
mod read;
mod reset;
mod retransmit;
mod route;

/// The programs use GPL-only helpers (`bpf_probe_read_kernel`, `bpf_get_stack`).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
