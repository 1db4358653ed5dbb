//! Puts the eBPF object where the library embeds it from.
fn main() {
    println!("cargo::rerun-if-changed=../target/ebpf/bpfel-unknown-none/release/netbreak");
    std::fs::copy(
        "../target/ebpf/bpfel-unknown-none/release/netbreak",
        std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("netbreak.o"),
    )
    .unwrap();
}
