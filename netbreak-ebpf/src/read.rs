//! Reading kernel memory: settings, and members of kernel structs.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use netbreak_common::Settings;

/// The loader overrides it. In the object's read-only data, so the verifier knows every number in it.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings {
    start: 0,
    offsets: netbreak_common::Offsets::ZERO,
    kfree_skb_arguments: 0,
    retransmit_arguments: 0,
    send_reset_arguments: 0,
    parse_only: 0,
    pad: 0,
};

/// A number of `SETTINGS`. The read is volatile because the compiler must not use the zeros above.
macro_rules! setting {
    ($($field:ident).+) => {{
        // SAFETY: a shared static of plain integers.
        unsafe { core::ptr::read_volatile(&raw const $crate::read::SETTINGS.$($field).+) }
    }};
}

/// The offset of a member.
macro_rules! offset {
    ($field:ident) => {
        $crate::read::setting!(offsets.$field) as usize
    };
}

pub(crate) use {offset, setting};

/// A pointer into kernel memory. Typed for the verifier when it came from a BTF tracepoint's argument.
pub type Kernel = *const u8;

/// The member of type `T` at `base + offset`; zero if it cannot be read.
///
/// `TYPED`: `base` is typed for the verifier (BTF tracepoints), and the member is one plain load, which the verifier
/// checks and the kernel guards by its exception table. Else: a probe read.
#[inline(always)]
pub fn load<T: Copy, const TYPED: bool>(base: Kernel, offset: usize) -> T {
    let member = base.wrapping_add(offset).cast::<T>();
    if TYPED {
        // SAFETY: the verifier refuses the program unless a member of this size lies at this offset.
        return unsafe { core::ptr::read_volatile(member) };
    }
    let mut value = MaybeUninit::<T>::zeroed();
    read(member.cast(), &mut value);
    // SAFETY: zeroed at first, and only integers and raw pointers are loaded.
    unsafe { value.assume_init() }
}

/// One bounded read of any kernel memory. False if it faulted; then `into` is zeroed.
#[inline(always)]
pub fn read<T>(from: Kernel, into: &mut MaybeUninit<T>) -> bool {
    // SAFETY: the helper checks `from` and writes exactly `size_of::<T>()` bytes.
    unsafe { bpf_probe_read_kernel(into.as_mut_ptr().cast(), size_of::<T>() as u32, from.cast()) == 0 }
}

/// The network namespace's inode number; 0 without a namespace.
#[inline(always)]
pub fn netns<const TYPED: bool>(owner: Kernel, offset_of_net: usize) -> u32 {
    if owner.is_null() {
        return 0;
    }
    let net: Kernel = load::<_, TYPED>(owner, offset_of_net);
    if net.is_null() { 0 } else { load::<_, TYPED>(net, offset!(net_inum)) }
}
