//! An XDP program that drops probe packets: too small to need a compiler or a file.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::step::XdpMode;

/// `struct bpf_insn` (include/uapi/linux/bpf.h) of a little-endian machine.
const fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    code as u64
        | (destination as u64) << 8
        | (source as u64) << 12
        | (offset as u16 as u64) << 16
        | (immediate as u32 as u64) << 32
}

const MOVE: u8 = 0xb7;
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
const AND: u8 = 0x57;
const LOAD_WORD: u8 = 0x61;
const LOAD_HALF: u8 = 0x69;
const LOAD_BYTE: u8 = 0x71;
const IF_GREATER: u8 = 0x2d;
const IF_EQUAL: u8 = 0x15;
const IF_NOT: u8 = 0x55;
const EXIT: u8 = 0x95;

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

/// Drops IPv4; of IPv6, all but hop-by-hop options and ICMPv6 other than echoes: ARP, neighbour and multicast listener
/// discovery pass. Offsets are those of Ethernet frames; what is too short to be looked at passes, too.
const PROGRAM: [u64; 20] = [
    instruction(MOVE, 0, 0, 0, XDP_PASS),
    instruction(LOAD_WORD, 2, 1, 0, 0), // xdp_md.data
    instruction(LOAD_WORD, 3, 1, 4, 0), // xdp_md.data_end
    instruction(COPY, 4, 2, 0, 0),
    instruction(ADD, 4, 0, 0, 21),
    instruction(IF_GREATER, 4, 3, 13, 0), // too short: the end
    instruction(LOAD_HALF, 5, 2, 12, 0),
    instruction(IF_EQUAL, 5, 0, 10, 0x0008), // ETH_P_IP, as it lies in memory: drop
    instruction(IF_NOT, 5, 0, 10, 0xdd86),   // not ETH_P_IPV6: the end
    instruction(LOAD_BYTE, 5, 2, 20, 0),
    instruction(IF_EQUAL, 5, 0, 8, 0), // IPPROTO_HOPOPTS: the end
    instruction(IF_NOT, 5, 0, 6, 58),  // not IPPROTO_ICMPV6: drop
    instruction(COPY, 4, 2, 0, 0),
    instruction(ADD, 4, 0, 0, 55),
    instruction(IF_GREATER, 4, 3, 4, 0), // too short: the end
    instruction(LOAD_BYTE, 5, 2, 54, 0),
    instruction(AND, 5, 0, 0, 0xfe),
    instruction(IF_NOT, 5, 0, 1, 128), // neither ICMPV6_ECHO_REQUEST nor ICMPV6_ECHO_REPLY: the end
    instruction(MOVE, 0, 0, 0, XDP_DROP),
    instruction(EXIT, 0, 0, 0, 0),
];

/// Commands and types of bpf(2), include/uapi/linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
/// include/uapi/linux/if_link.h.
const XDP_FLAGS_SKB_MODE: u32 = 2;
const XDP_FLAGS_DRV_MODE: u32 = 4;

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
}

/// The first fields of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct Attach {
    program: u32,
    device: u32,
    kind: u32,
    flags: u32,
}

/// Attaches the program to a device of the calling thread's namespace. It goes with the descriptor.
pub(super) fn attach(device: &str, mode: XdpMode) -> io::Result<OwnedFd> {
    let name = CString::new(device)?;
    // SAFETY: the name ends with a zero byte and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let load = Load {
        kind: BPF_PROG_TYPE_XDP,
        length: PROGRAM.len() as u32,
        instructions: PROGRAM.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
    };
    let program = bpf(BPF_PROG_LOAD, &load)?;
    let flags = match mode {
        XdpMode::Generic => XDP_FLAGS_SKB_MODE,
        XdpMode::Native => XDP_FLAGS_DRV_MODE,
    };
    bpf(BPF_LINK_CREATE, &Attach { program: program.as_raw_fd() as u32, device: index, kind: BPF_XDP, flags })
}

/// bpf(2) with a command that makes a descriptor.
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes and what they point to, all of which outlives the call, and takes
    // the fields behind them for 0 (`bpf_check_uarg_tail_zero` in kernel/bpf/syscall.c).
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    let descriptor = i32::try_from(result).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: both commands return a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
