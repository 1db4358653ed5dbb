//! What tests of real packets share: a lab that answers, and `netbreak run` in it.

mod process;
mod served;
mod witness;

pub use process::{Done, Run};
pub use served::{HTTP, Served, TCP, UDP, V4, V6};
pub use witness::Witness;

use std::time::{Duration, Instant};

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, Death, Probe, Report};

/// How long anything may take. Two cores may be shared by many.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says why a test cannot run here, if it cannot. With NETBREAK_REQUIRE=1 that is a failure.
pub fn skipped(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |program: &&&str| std::env::split_paths(&path).any(|dir| dir.join(program).exists());
    let why = match programs.iter().find(|p| !installed(p)) {
        _ if !rustix::process::geteuid().is_root() => "not root".to_owned(),
        Some(program) => format!("`{program}` is not installed"),
        None => return false,
    };
    assert!(std::env::var_os("NETBREAK_REQUIRE").is_none_or(|v| v != "1"), "NETBREAK_REQUIRE=1, but {why}");
    println!("skipped: {why}");
    true
}

/// Polls until `condition` holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

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
