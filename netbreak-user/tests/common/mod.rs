//! What tests of real packets share: a lab that answers, and `netbreak run` in it.

mod process;
mod served;
mod skip;
mod tracefs;
mod wait;
mod witness;

pub use process::{Done, Run};
pub use served::{HTTP, STREAM, Served, TCP, UDP, V4, V6};
pub use skip::skipped;
pub use wait::wait_until;
pub use witness::Witness;

use std::time::Duration;

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, Death, Probe, Report};

/// How long anything may take. Two cores may be shared by many.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Attempts of all deaths for which `is_so` holds.
pub fn died(probes: &[Probe], is_so: impl Fn(&Death) -> bool) -> u64 {
    probes.iter().flat_map(|probe| &probe.deaths).filter(|death| is_so(death)).map(|d| d.attempts).sum()
}

/// Packets of the exact table's rows with this reason, device and namespace.
pub fn total(report: &Report, reason: &str, device: Option<&str>, netns: u32) -> u64 {
    let is_it = |reason_: Option<&str>, device_: Option<&str>, netns_| {
        reason_ == Some(reason) && netns_ == Some(netns) && device.is_none_or(|d| device_ == Some(d))
    };
    let rows = report.drop_totals.iter();
    rows.filter(|row| is_it(row.reason.as_deref(), row.device.as_deref(), row.netns)).map(|r| r.packets).sum()
}

/// Fails unless every book of the report balances, with those that do not.
pub fn assert_balanced(served: &Served, report: &Report, witness: &Witness) {
    let open = |book: &&Book| !is_closed(book, unseen(served, book, witness));
    let open: Vec<_> = report.books.iter().filter(open).collect();
    assert!(open.is_empty() && !report.books.is_empty(), "books: {open:#?}\nlosses: {:?}", report.losses);
}

/// Does a book balance, but for at most the `unseen` hits of its tracepoints that a witness saw and no program could? The
/// witness watches a little longer than the book is open, so there may be more of them; where there is none it must
/// balance exactly.
pub fn is_closed(book: &Book, unseen: u64) -> bool {
    book.traced
        .zip(book.counted)
        .is_some_and(|(traced, counted)| (traced..=traced + unseen).contains(&counted))
}

/// How much of a book's counter no program could see.
pub fn unseen(served: &Served, book: &Book, witness: &Witness) -> u64 {
    let ours = |port| served.ports().contains(&port) == (book.netns == served.inode(Role::Client));
    match book.counter.as_str() {
        _ if !served.lab.names().iter().any(|(inode, _)| *inode == book.netns) => 0,
        "Tcp.RetransSegs" => witness.retransmits(&ours),
        "Tcp.OutRsts" => witness.resets(&ours),
        _ => 0,
    }
}
