//! Segments that are sent again: as many traced as `Tcp.RetransSegs` counts.

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, Report};

use crate::common::{Served, V4, assert_balanced, skipped, wait_until};

fn rule(served: &Served, rule: &str) {
    let table = "table inet losses {\n chain losses {\n type filter hook forward priority 0;\n";
    served.lab.nft(Role::Router, &format!("{table}{rule}\n }}\n}}\n")).unwrap();
}

fn book(report: &Report, netns: u32) -> &Book {
    let is_it = |book: &&Book| book.netns == netns && book.counter == "Tcp.RetransSegs";
    report.books.iter().find(is_it).unwrap_or_else(|| panic!("no such book: {:#?}", report.books))
}

#[test]
fn a_stream_through_random_loss() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    rule(&served, "meta l4proto tcp numgen random mod 50 0 drop");
    let before = served.counter(Role::Client, "Tcp.RetransSegs");
    let done = served.start(V4, &["--stream", "5201", "--duration", "10s"]).finish();
    let resent = served.counter(Role::Client, "Tcp.RetransSegs") - before;
    let book = book(&done.report, served.inode(Role::Client));
    assert_eq!((book.traced, book.counted), (Some(resent), Some(resent)), "{:?}", done.report.losses);
    let probe = &done.report.targets[0].probes[0];
    assert_eq!(probe.retransmits.map(|r| r.segments), Some(resent), "{probe:#?}");
    assert!(resent > 0, "nothing was lost: {probe:#?}");
    assert_balanced(&done.report);
}

#[test]
fn syn_acks_that_are_lost_are_sent_again_and_counted() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    rule(&served, "oifname \"r0\" tcp flags & (syn | ack) == syn | ack numgen random mod 2 0 drop");
    let before = served.counter(Role::Server, "Tcp.RetransSegs");
    let arguments = ["--tcp", "7000", "--interval", "10ms", "--duration", "3s", "--timeout", "2s"];
    let done = served.start(V4, &arguments).finish();
    let book = book(&done.report, served.inode(Role::Server));
    assert_eq!(book.traced, book.counted, "{book:#?}\n{:?}", done.report.losses);
    // The server may go on after the run: it does not know that the clients are gone.
    let resent = served.counter(Role::Server, "Tcp.RetransSegs") - before;
    assert!(book.traced.is_some_and(|traced| 0 < traced && traced <= resent), "{book:#?}, {resent}");
}

#[test]
fn connects_and_a_stream_through_a_break_of_everything() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    let sent = |n| wait_until("connects leave", || served.counter(Role::Client, "Tcp.ActiveOpens") >= n);
    let ports = ["--tcp", "7000", "--http", "8080", "--stream", "5201"];
    let run = served.start(V4, &[&ports[..], &["--duration", "5s", "--timeout", "2s"]].concat());
    sent(200);
    rule(&served, "drop");
    sent(600);
    served.lab.nft(Role::Router, "delete table inet losses\n").unwrap();
    let done = run.finish();
    let book = book(&done.report, served.inode(Role::Client));
    assert_eq!(book.traced, book.counted, "{:?}\n{book:#?}", done.report.losses);
    assert!(book.traced.is_some_and(|traced| traced > 0), "{book:#?}");
}
