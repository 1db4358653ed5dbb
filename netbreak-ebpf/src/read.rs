//! Reading kernel memory: settings, and members of kernel structs.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use netbreak_common::Settings;

/// The loader overrides it. In the object's read-only data, so the verifier knows every number in it.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings {
    run_id: [0; 2],
    offsets: netbreak_common::Offsets::ZERO,
    kfree_skb_arguments: 0,
    retransmit_arguments: 0,
    send_reset_arguments: 0,
    consume_skb_arguments: 0,
    probes: 0,
    ledger_mask: 0,
    headers: 0,
    parse_only: 0,
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

/// How a program may read kernel memory.
pub trait Access {
    /// Members of kernel structs by plain loads, which the verifier checks against BTF and the kernel guards by its
    /// exception table.
    const MEMBERS: bool;
    /// Bytes behind a `void *` or `unsigned char *` member in the same way (the verifier allows it from 6.17 on), and not
    /// from a copy.
    const BYTES: bool;

    /// The same value. Where what is read happens rarely, the ways that lead to it become one, as by [`forget`].
    #[inline(always)]
    fn merged<T: Copy>(value: T) -> T {
        value
    }
}

/// A raw tracepoint, or a pointer that the verifier knows nothing about: probe reads only.
pub struct Probed;

impl Access for Probed {
    const MEMBERS: bool = false;
    const BYTES: bool = false;
}

/// Probe reads only, a packet's bytes by one for each number: slower than a copy of them, and the verifier has fewer ways to
/// go. For what happens rarely.
pub struct Rarely;

impl Access for Rarely {
    const MEMBERS: bool = false;
    const BYTES: bool = true;

    #[inline(always)]
    fn merged<T: Copy>(value: T) -> T {
        forget(&value)
    }
}

/// A BTF tracepoint.
pub struct Typed;

impl Access for Typed {
    const MEMBERS: bool = true;
    const BYTES: bool = false;
}

/// A BTF tracepoint on a kernel that lets a program follow a pointer to bytes.
pub struct Direct;

impl Access for Direct {
    const MEMBERS: bool = true;
    const BYTES: bool = true;
}

/// The member of type `T` at `base + offset`; zero if it cannot be read.
#[inline(always)]
pub fn load<T: Copy, A: Access>(base: Kernel, offset: usize) -> T {
    let member = base.wrapping_add(offset).cast::<T>();
    if A::MEMBERS {
        // SAFETY: the verifier refuses the program unless a member of this size lies at this offset.
        return unsafe { core::ptr::read_volatile(member) };
    }
    let mut value = MaybeUninit::<T>::uninit();
    read(member.cast(), &mut value);
    // SAFETY: the helper filled it, and only integers and raw pointers are loaded.
    unsafe { value.assume_init() }
}

/// The value of type `T` at `at + offset`, where `at` points to bytes; zero if it cannot be read.
#[inline(always)]
pub fn bytes<T: Copy, A: Access>(at: Kernel, offset: usize) -> T {
    if A::BYTES { load::<T, A>(at, offset) } else { load::<T, Probed>(at, offset) }
}

/// One bounded read of any kernel memory. False if it faulted; then `into` is filled with zeros: it is initialised either
/// way (`bpf_probe_read_kernel_common`, kernel/trace/bpf_trace.c).
#[inline(always)]
pub fn read<T>(from: Kernel, into: &mut MaybeUninit<T>) -> bool {
    // SAFETY: the helper checks `from` and writes exactly `size_of::<T>()` bytes.
    unsafe { bpf_probe_read_kernel(into.as_mut_ptr().cast(), size_of::<T>() as u32, from.cast()) == 0 }
}

/// The same value, of which the verifier knows nothing any more: the ways that lead here become one, and it looks at
/// what follows once. A probe read, so not for what happens often.
#[inline(always)]
pub fn forget<T: Copy>(value: &T) -> T {
    let mut copy = MaybeUninit::uninit();
    read((&raw const *value).cast(), &mut copy);
    // SAFETY: the helper copied a whole `T`.
    unsafe { copy.assume_init() }
}

/// As [`forget`], where the value lies: a function's stack is short of room for a copy.
#[inline(always)]
pub fn forget_in_place<T: Copy>(value: &mut MaybeUninit<T>) {
    let place = (&raw const *value).cast();
    read(place, value);
}

/// The same number, of which the compiler knows nothing: it leaves in the program the bounds that it is given next. Before
/// 5.16 the verifier forgets those of a number that was on the stack meanwhile (`__mark_reg_unknown` in
/// `check_stack_read`, kernel/bpf/verifier.c).
#[inline(always)]
pub fn unbounded(number: u32) -> u32 {
    // SAFETY: a local variable.
    unsafe { core::ptr::read_volatile(&raw const number) }
}

/// The network namespace's inode number; 0 without a namespace.
#[inline(always)]
pub fn netns<A: Access>(owner: Kernel, offset_of_net: usize) -> u32 {
    if owner.is_null() {
        return 0;
    }
    let net: Kernel = load::<_, A>(owner, offset_of_net);
    if net.is_null() { 0 } else { load::<_, A>(net, offset!(net_inum)) }
}
