//! Log lines of the kernel side, for debugging netbreak itself: `cargo xtask build-ebpf --log`, and the feature `log`.

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// Reads the log lines of an object; `None` when it was built without.
pub(super) fn open(ebpf: &mut Ebpf) -> Option<EbpfLogger<Stderr>> {
    EbpfLogger::init_with_logger(ebpf, Stderr).ok()
}

/// Writes each line to standard error.
pub(super) struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        eprintln!("{}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}
