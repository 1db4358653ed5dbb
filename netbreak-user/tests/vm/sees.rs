//! What netbreak sees on this kernel; and that it is clean where nothing is broken, with books that balance.

use std::fs;

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, VerdictWord, json};

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
    balance(&served, &done.report.books);
}

/// No book may differ, and none may be open without a reason. Of the client's those that every kernel can keep are kept.
fn balance(served: &Served, books: &[Book]) {
    let wrong: Vec<_> = books.iter().filter(|book| book.balanced == Some(false)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mute: Vec<_> = books.iter().filter(|book| book.balanced.is_none() && book.why.is_none()).collect();
    assert!(mute.is_empty(), "{mute:#?}");
    for counter in ["Icmp.OutEchos", "Icmp.InEchoReps", "Tcp.RetransSegs", "Tcp.OutRsts"] {
        let client = served.inode(Role::Client);
        let book = books.iter().find(|book| book.netns == client && book.counter == counter);
        assert_eq!(book.and_then(|book| book.balanced), Some(true), "{counter}: {book:#?}");
    }
}
