//! Keeping aya from reading the kernel's BTF: all hundred thousand types, as a whole, each time, 40 ms and 20 MB.

use aya::{Btf, EbpfLoader, Endianness};
use rustix::{
    process::chroot,
    thread::{UnshareFlags, unshare_unsafe},
};

use super::btf::{KernelBtf, typedef_of};

/// All that aya wants to know of it to load the programs of tracepoints: which number the typedef of each has. So it gets
/// a BTF in which these have their numbers, and all other numbers are types without a name.
///
/// Without the tracepoints that this kernel does not have. `None` is not to be expected.
pub fn of_tracepoints(kernel: &KernelBtf, tracepoints: &[&str]) -> Option<Btf> {
    let mut found: Vec<(u32, String)> = tracepoints
        .iter()
        .filter_map(|name| Some((kernel.tracepoint_number(name)?, typedef_of(name))))
        .collect();
    found.sort();
    Btf::parse(&encode(&found), Endianness::default()).ok()
}

/// In the kernel's own format (Documentation/bpf/btf.rst). `typedefs` ascends; the first type has the number 1.
fn encode(typedefs: &[(u32, String)]) -> Vec<u8> {
    const MAGIC: u16 = 0xeb9f;
    const VERSION: u8 = 1;
    const HEADER: u32 = 24;
    const KIND_FORWARD: u32 = 7 << 24;
    const KIND_TYPEDEF: u32 = 8 << 24;
    const NO_NAME: u32 = 0;

    let mut types: Vec<[u32; 3]> = Vec::new();
    let mut strings = vec![0];
    for (number, name) in typedefs {
        types.resize((*number as usize).saturating_sub(1), [NO_NAME, KIND_FORWARD, 0]);
        types.push([strings.len() as u32, KIND_TYPEDEF, 0]);
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let types: Vec<u8> = types.concat().into_iter().flat_map(u32::to_ne_bytes).collect();
    let mut all = [MAGIC.to_ne_bytes(), [VERSION, 0]].concat();
    let sizes = [HEADER, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
    all.extend(sizes.into_iter().flat_map(u32::to_ne_bytes));
    [all, types, strings].concat()
}

/// A loader. Making one reads the kernel's BTF, though nothing in the object is relocated by it; so it is made in a thread
/// for whom there is no such file. Where that is not allowed (it needs CAP_SYS_CHROOT) it takes its time.
pub fn loader() -> EbpfLoader<'static> {
    let hidden = std::thread::spawn(|| {
        // SAFETY: only this thread's root directory becomes its own; file descriptors stay shared.
        let is_own = unsafe { unshare_unsafe(UnshareFlags::FS) }.is_ok();
        if is_own {
            // Any directory that has no `sys/kernel/btf`.
            let _ = chroot("/proc/self/fdinfo");
        }
        EbpfLoader::new()
    });
    let mut loader = hidden.join().unwrap_or_else(|_| EbpfLoader::new());
    loader.btf(None);
    loader
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracepoints_keep_their_numbers() {
        let kernel = KernelBtf::open().expect("the test machine has BTF");
        let names = ["kfree_skb", "no_such_tracepoint", "icmp_send"];
        assert!(of_tracepoints(&kernel, &names).is_some());

        let read = btf_rs::Btf::from_bytes(&encode(&[(3, typedef_of("b")), (7, typedef_of("a"))])).unwrap();
        assert_eq!(read.resolve_ids_by_name("btf_trace_b").unwrap(), [3]);
        assert_eq!(read.resolve_ids_by_name("btf_trace_a").unwrap(), [7]);
    }
}
