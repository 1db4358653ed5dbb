use netbreak_common::{FAMILY_V4, PlaceKey, UPCALL_COMMAND, UPCALL_UNKNOWN, sensor};

use super::build::*;
use crate::kernel::PlaceRow;
use crate::report::Book;
use crate::verdict::{Cut, Own, books};

fn row(sensor: u8, reason: u32, protocol: u8, packets: u64) -> PlaceRow {
    let key = PlaceKey { reason, sensor, protocol, netns: HERE, family: FAMILY_V4, ..PlaceKey::default() };
    PlaceRow { id: 1, key, device: None, packets, skbs: packets, overflow: 0 }
}

fn resent(packets: u64) -> PlaceRow {
    row(sensor::RETRANSMIT, 0, 6, packets)
}

fn cut(before: Vec<PlaceRow>, after: Vec<PlaceRow>) -> Cut {
    Cut { before, after }
}

/// The book of this counter, when the counter says `counted` and every other one 0.
fn book(end: &Cut, own: Option<Own>, counter: &str, counted: Option<u64>) -> Book {
    let count = |name: &str| if name == counter { counted } else { Some(0) };
    let all = books(HERE, &Cut::default(), end, own, &count, &names());
    all.into_iter().find(|book| book.counter == counter).unwrap()
}

#[test]
fn what_happened_at_the_moment_of_the_snapshot_belongs_to_either_side() {
    let end = cut(vec![resent(10)], vec![resent(13)]);
    for (counted, traced, balanced) in
        [(9, 10, false), (10, 10, true), (12, 12, true), (13, 13, true), (14, 13, false)]
    {
        let book = book(&end, None, "Tcp.RetransSegs", Some(counted));
        assert_eq!((book.traced, book.balanced), (Some(traced), Some(balanced)), "{book:?}");
        assert_eq!(book.why.is_some(), !balanced, "{book:?}");
    }
}

#[test]
fn a_book_that_does_not_balance_says_by_how_much_and_which_way() {
    let end = cut(vec![resent(10)], vec![resent(10)]);
    let why = |counted| book(&end, None, "Tcp.RetransSegs", Some(counted)).why.unwrap();
    assert!(why(12).starts_with("2 more were counted than traced"), "{}", why(12));
    assert!(why(7).starts_with("3 more were traced than counted"), "{}", why(7));
}

#[test]
fn what_was_there_at_the_start_does_not_count() {
    let start = cut(vec![resent(4)], vec![resent(4)]);
    let end = cut(vec![resent(10)], vec![resent(10)]);
    let count = |name: &str| Some(if name == "Tcp.RetransSegs" { 6 } else { 0 });
    let books = books(HERE, &start, &end, None, &count, &names());
    let book = books.iter().find(|book| book.counter == "Tcp.RetransSegs").unwrap();
    assert_eq!((book.traced, book.balanced), (Some(6), Some(true)));
}

#[test]
fn only_the_rows_of_a_book_count() {
    let mut elsewhere = resent(100);
    elsewhere.key.netns = ROUTER;
    let failed = row(sensor::RETRANSMIT, 105, 6, 5);
    let synack = row(sensor::RETRANSMIT_SYNACK, 0, 6, 2);
    let reset = row(sensor::RESET_SENT, 3, 6, 7);
    let rows = vec![resent(10), elsewhere, failed, synack, reset];
    let end = cut(rows.clone(), rows);
    assert_eq!(book(&end, None, "Tcp.RetransSegs", Some(12)).balanced, Some(true));
    assert_eq!(book(&end, None, "Tcp.OutRsts", Some(7)).balanced, Some(true));
}

#[test]
fn segments_that_could_not_be_sent_are_counted_as_traced() {
    let count = |name: &str| {
        Some(match name {
            "Tcp.RetransSegs" => 13,
            "TcpExt.TCPRetransFail" => 3,
            _ => 0,
        })
    };
    let end = cut(vec![resent(10)], vec![resent(10)]);
    let books = books(HERE, &Cut::default(), &end, None, &count, &names());
    let book = books.iter().find(|book| book.counter == "Tcp.RetransSegs").unwrap();
    assert_eq!((book.traced, book.balanced), (Some(13), Some(true)));
}

#[test]
fn a_counter_that_is_missing_leaves_the_book_open_and_says_so() {
    let book = book(&Cut::default(), None, "Tcp.OutRsts", None);
    assert_eq!((book.counted, book.balanced), (None, None));
    assert!(book.why.unwrap().contains("does not count Tcp.OutRsts"));
}

#[test]
fn a_reason_that_this_kernel_lacks_leaves_the_book_open_and_says_so() {
    // The table of names has no IP_RPFILTER.
    let book = book(&Cut::default(), None, "TcpExt.IPReversePathFilter", Some(4));
    assert_eq!((book.traced, book.counted, book.balanced), (None, Some(4), None));
    assert!(book.why.unwrap().contains("IP_RPFILTER"));
}

#[test]
fn drops_are_told_apart_by_reason_and_protocol() {
    let rows = vec![
        row(sensor::DROP, reason("NO_SOCKET"), 17, 5),
        row(sensor::DROP, reason("NO_SOCKET"), 6, 50),
        row(sensor::DROP, reason("IP_INHDR"), 1, 2),
        row(sensor::DROP, reason("IP_CSUM"), 17, 3),
    ];
    let end = cut(rows.clone(), rows);
    assert_eq!(book(&end, None, "Udp.NoPorts", Some(5)).balanced, Some(true));
    assert_eq!(book(&end, None, "Ip.InHdrErrors", Some(5)).balanced, Some(true));
}

#[test]
fn the_probes_own_numbers_make_books_of_their_own() {
    let own = Own { echoes: [Some(500), None], replies: [Some(499), None], no_route: [3, 0] };
    let echoes = book(&Cut::default(), Some(own), "Icmp.OutEchos", Some(500));
    assert_eq!((echoes.traced, echoes.balanced), (Some(500), Some(true)));
    assert_eq!(book(&Cut::default(), Some(own), "Icmp.InEchoReps", Some(500)).balanced, Some(false));
    // A send without a route is counted by the kernel, and there never was a packet.
    assert_eq!(book(&Cut::default(), Some(own), "Ip.OutNoRoutes", Some(3)).balanced, Some(true));
    let count = |_: &str| Some(0);
    let all = books(HERE, &Cut::default(), &Cut::default(), Some(own), &count, &names());
    assert!(!all.iter().any(|book| book.counter == "Icmp6OutEchos"), "no IPv6 probe, no book");
}

/// Upcalls of a datapath of this namespace, by a port that was moved to another one.
fn upcalls(errno: i32, command: u32, count: u64) -> PlaceRow {
    let mut row = row(sensor::UPCALL, errno as u32 | command << UPCALL_COMMAND, 1, count);
    (row.key.netns, row.key.location) = (ROUTER, HERE.into());
    row
}

#[test]
fn failed_upcalls_are_what_the_datapath_lost_and_misses_what_it_missed() {
    let mut elsewhere = upcalls(libc::ENOTCONN, 1, 100);
    elsewhere.key.location = ROUTER.into();
    let rows = vec![upcalls(0, 1, 50), upcalls(libc::ENOTCONN, 1, 6), upcalls(libc::EAGAIN, 2, 3), elsewhere];
    let end = cut(rows.clone(), rows);
    assert_eq!(book(&end, None, "Openvswitch.lost", Some(9)).balanced, Some(true));
    assert_eq!(book(&end, None, "Openvswitch.missed", Some(56)).balanced, Some(true));
    assert_eq!(book(&end, None, "Openvswitch.lost", Some(10)).balanced, Some(false));
    let unknown = vec![upcalls(UPCALL_UNKNOWN.into(), 0, 50)];
    let end = cut(unknown.clone(), unknown);
    for counter in ["Openvswitch.lost", "Openvswitch.missed"] {
        let book = book(&end, None, counter, Some(50));
        assert_eq!((book.traced, book.counted, book.balanced), (None, Some(50), None));
        assert!(book.why.unwrap().starts_with("not traceable here"));
    }
}

#[test]
fn without_a_datapath_there_is_no_book_about_one() {
    let count = |name: &str| if name.starts_with("Openvswitch") { None } else { Some(0) };
    let all = books(HERE, &Cut::default(), &Cut::default(), None, &count, &names());
    assert!(!all.iter().any(|book| book.counter.starts_with("Openvswitch")));
}
