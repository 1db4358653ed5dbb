//! What netbreak sees on this kernel; and that it is clean where nothing is broken, with books that balance.

use std::fs;

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, DropRow, Report, VerdictWord, json};

use crate::common::{Served, V4, V6};
use crate::out;

/// Every kind of probe but streams, over both families, with what the report says of it left behind.
#[test]
fn a_network_that_works_is_clean() {
    let served = Served::new();
    let probes = ["--icmp", "--tcp", "7000", "--http", "8080", "--udp", "4000"];
    // A guest's processor is emulated: nothing is to be late, however busy the machine is.
    let plan = ["--interval", "100ms", "--duration", "3s", "--timeout", "10s"];
    let done = served.start_all(&[V4, V6], &[&probes[..], &plan].concat()).finish();
    fs::write(out().join("report.json"), json::render(&done.report).unwrap()).unwrap();
    for probe in done.report.targets.iter().flat_map(|target| &target.probes) {
        assert!(probe.sent > 0 && probe.answered == probe.sent, "{probe:#?}");
        assert_eq!((probe.unanswered(), probe.unexplained), (0, 0), "{probe:#?}");
    }
    assert_eq!((done.report.verdict, done.status), (VerdictWord::Clean, 0));
    balance(&served, &done.report);
}

/// No book may differ, and none may be open without a reason. Of the client's those that every kernel can keep are kept.
fn balance(served: &Served, report: &Report) {
    let books = &report.books;
    let is_wrong = |book: &&Book| book.balanced == Some(false) && !is_of_no_socket(report, book);
    let wrong: Vec<_> = books.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mute: Vec<_> = books.iter().filter(|book| book.balanced.is_none() && book.why.is_none()).collect();
    assert!(mute.is_empty(), "{mute:#?}");
    for counter in ["Icmp.OutEchos", "Icmp.InEchoReps", "Tcp.RetransSegs", "Tcp.OutRsts"] {
        let client = served.inode(Role::Client);
        let book = books.iter().find(|book| book.netns == client && book.counter == counter);
        let is_kept = |book: &Book| book.balanced == Some(true) || is_of_no_socket(report, book);
        assert!(book.is_some_and(is_kept), "{counter}: {book:#?}");
    }
}

/// Up to 6.9 a RST is not traced that answers a segment for which there is no socket (`tcp_v4_send_reset` in
/// net/ipv4/tcp_ipv4.c), such as a FIN that crosses the probe's own RST. Is that all that this book lacks?
fn is_of_no_socket(report: &Report, book: &Book) -> bool {
    let mut release =
        report.run.kernel.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>());
    let release = (release.next().unwrap().unwrap(), release.next().unwrap().unwrap());
    let at = |row: &&DropRow| matches!(row.symbol.as_deref(), Some("tcp_v4_rcv" | "tcp_v6_rcv"));
    let here = report.drops.iter().filter(at).filter(|row| row.netns == Some(book.netns));
    let no_socket: u64 = here.map(|row| row.packets).sum();
    let lacking = book.counted.zip(book.traced).map(|(counted, traced)| counted.checked_sub(traced));
    book.counter == "Tcp.OutRsts"
        && release < (6, 10)
        && lacking.flatten().is_some_and(|lacking| lacking <= no_socket)
}
