//! Segments that are sent again: as many traced as `Tcp.RetransSegs` counts, but for those that a witness saw where this
//! kernel runs no program.

use netbreak_user::lab::Role;
use netbreak_user::report::{Book, Report};

use crate::common::{PATIENCE, Served, V4, Witness, is_closed, skipped, unseen, wait_until};

fn rule(served: &Served, rule: &str) {
    let table = "table inet losses {\n chain losses {\n type filter hook forward priority 0;\n";
    served.lab.nft(Role::Router, &format!("{table}{rule}\n }}\n}}\n")).unwrap();
}

fn book(report: &Report, netns: u32) -> &Book {
    let is_it = |book: &&Book| book.netns == netns && book.counter == "Tcp.RetransSegs";
    report.books.iter().find(is_it).unwrap_or_else(|| panic!("no such book: {:#?}", report.books))
}

/// A stream that loses one packet of fifty. Each may hold `segments` of them.
fn a_stream(segments: u64) {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    let limit = segments.to_string();
    served.lab.exec(Role::Client, &["ip", "link", "set", "c0", "gso_max_segs", &limit]).unwrap();
    rule(&served, "meta l4proto tcp numgen random mod 50 0 drop");
    let witness = Witness::new();
    let before = served.counter(Role::Client, "Tcp.RetransSegs");
    let done = served.start(V4, &["--stream", "5201", "--duration", "5s"]).finish();
    let resent = served.counter(Role::Client, "Tcp.RetransSegs") - before;
    let book = book(&done.report, served.inode(Role::Client));
    let (traced, counted) = book.traced.zip(book.counted).unwrap();
    // The witness sees packets, not how many segments are in each.
    let unseen = unseen(&served, book, &witness);
    println!("{traced} of {counted} traced, {unseen} packets unseen, {resent} resent up to now");
    assert!(is_closed(book, unseen * segments), "{unseen}, {book:#?}\n{:?}", done.report.losses);
    // The kernel goes on for a socket that was closed, if its last segments were lost.
    assert!(counted <= resent, "{book:#?}, {resent}");
    let probe = &done.report.targets[0].probes[0];
    assert_eq!(probe.retransmits.map(|r| r.segments), Some(traced), "{probe:#?}");
    assert!(traced > 0, "nothing was lost: {probe:#?}");
}

#[test]
fn a_stream_of_single_segments_through_random_loss() {
    a_stream(1);
}

#[test]
fn a_stream_of_large_packets_through_random_loss() {
    a_stream(45);
}

#[test]
fn syn_acks_that_are_lost_are_sent_again_and_counted() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let served = Served::new();
    rule(&served, "oifname \"r0\" tcp flags & (syn | ack) == syn | ack numgen random mod 2 0 drop");
    let witness = Witness::new();
    let before = served.counter(Role::Server, "Tcp.RetransSegs");
    let arguments = ["--tcp", "7000", "--interval", "10ms", "--duration", "3s", "--timeout", "2s"];
    let done = served.start(V4, &arguments).finish();
    let book = book(&done.report, served.inode(Role::Server));
    let unseen = unseen(&served, book, &witness);
    assert!(is_closed(book, unseen), "{unseen}, {book:#?}\n{:?}", done.report.losses);
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
    // One segment a packet: the witness sees packets.
    served.lab.exec(Role::Client, &["ip", "link", "set", "c0", "gso_max_segs", "1"]).unwrap();
    let witness = Witness::new();
    let sent =
        |n| wait_until(PATIENCE, "connects leave", || served.counter(Role::Client, "Tcp.ActiveOpens") >= n);
    let ports = ["--tcp", "7000", "--http", "8080", "--stream", "5201"];
    let run = served.start(V4, &[&ports[..], &["--duration", "5s", "--timeout", "2s"]].concat());
    sent(200);
    rule(&served, "drop");
    sent(600);
    served.lab.nft(Role::Router, "delete table inet losses\n").unwrap();
    let done = run.finish();
    let book = book(&done.report, served.inode(Role::Client));
    let unseen = unseen(&served, book, &witness);
    assert!(is_closed(book, unseen), "{unseen}, {book:#?}\n{:?}", done.report.losses);
    assert!(book.traced.is_some_and(|traced| traced > 0), "{book:#?}");
}
