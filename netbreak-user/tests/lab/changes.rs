//! Changes of links, addresses, routes and neighbours are heard in the namespace that they happen in.

use netbreak_user::clock::Nanos;
use netbreak_user::lab::{Lab, Role};
use netbreak_user::watch::{Event, Watcher, What};

use crate::PATIENCE;
use crate::skip::skipped;
use crate::wait::wait_until;

/// But for link-local addresses, which the kernel gives a device when it likes.
fn heard_by(watcher: &mut Watcher, at: Nanos) -> Vec<Event> {
    let events = watcher.drain(at).unwrap().into_iter();
    events.filter(|event| !event.detail.starts_with("fe80:")).collect()
}

#[test]
fn changes_of_links_are_heard_in_their_namespace() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let mut router = Watcher::open(lab.namespace(Role::Router)).unwrap();
    let mut client = Watcher::open(lab.namespace(Role::Client)).unwrap();
    assert_eq!(heard_by(&mut router, 1), [], "what was there is no change");
    lab.ip(Role::Router, "link set r1 down").unwrap();
    lab.ip(Role::Router, "link set r1 up").unwrap();
    lab.ip(Role::Router, "address add 10.9.9.9/32 dev r1").unwrap();
    lab.ip(Role::Router, "link delete r1").unwrap();
    let mut heard = Vec::new();
    wait_until(PATIENCE, "the removal is heard", || {
        heard.extend(heard_by(&mut router, 2));
        heard.last().is_some_and(|e| e.detail == "removed" && e.what == What::Link)
    });
    assert!(
        heard.iter().all(|e| e.device == "r1" && e.netns == lab.namespace(Role::Router).inode()),
        "{heard:?}"
    );
    let details: Vec<&str> = heard.iter().map(|e| e.detail.as_str()).collect();
    let order = ["down", "up", "10.9.9.9/32 added", "removed"].map(|d| details.iter().position(|x| *x == d));
    assert!(order.is_sorted() && order[0].is_some(), "{details:?}");
    assert_eq!((heard_by(&mut client, 3), router.lost()), (vec![], 0));
}

#[test]
fn changes_of_routes_and_neighbours_are_heard() {
    if skipped(&["ip", "ping"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    // The router never has to ask for the client, which would tell it of the router.
    lab.ip(Role::Router, "neigh replace 10.0.1.2 lladdr 02:00:00:00:01:02 dev r0 nud permanent").unwrap();
    let mut watcher = Watcher::open(lab.namespace(Role::Client)).unwrap();
    let mut at = 1;
    // Does something, and gives what was heard until something about `what` ends in `last`.
    let mut heard = |doing: &dyn Fn(), what: What, last: &str| {
        let mut told = Vec::new();
        at += 1;
        doing();
        wait_until(PATIENCE, last, || {
            told.extend(heard_by(&mut watcher, at).into_iter().map(|e| (e.what, e.device, e.detail)));
            told.iter().any(|(of, _, detail)| *of == what && detail.ends_with(last))
        });
        let words = told.iter().map(|(what, device, detail)| format!("{} {device} {detail}", what.name()));
        words.collect::<Vec<_>>()
    };
    let ip = |arguments| move |lab: &Lab| lab.ip(Role::Client, arguments).unwrap();
    for (arguments, what, expected) in [
        ("route del default", What::Route, "route c0 default via 10.0.1.1 removed"),
        ("route add default via 10.0.1.1", What::Route, "route c0 default via 10.0.1.1 added"),
        (
            "route replace default via 10.0.1.9",
            What::Route,
            "route c0 default via 10.0.1.9 replaced what was there",
        ),
        (
            "route add blackhole 10.7.0.0/16 table 1000",
            What::Route,
            "route  blackhole 10.7.0.0/16 in table 1000 added",
        ),
        ("route del 10.0.1.0/24 dev c0", What::Route, "route c0 10.0.1.0/24 removed"),
        ("route add 10.0.1.0/24 dev c0", What::Route, "route c0 10.0.1.0/24 added"),
        ("-6 route del default", What::Route, "route c0 default via fd00:1::1 removed"),
        ("neighbour del 10.0.1.1 dev c0", What::Neighbour, "neighbour c0 10.0.1.1 removed"),
        // The route to the address's own subnet comes and goes with it.
        ("address add 10.8.0.1/24 dev c0", What::Address, "address c0 10.8.0.1/24 added"),
        ("address del 10.8.0.1/24 dev c0", What::Address, "address c0 10.8.0.1/24 removed"),
    ] {
        let last = expected.splitn(3, ' ').last().unwrap();
        let told = heard(&|| ip(arguments)(&lab), what, last);
        assert_eq!(told, [expected], "{arguments}");
    }
    // A next hop that nobody has: it fails after three questions, once, however often it is asked for.
    let ping = |address| {
        lab.namespace(Role::Client)
            .command(&["ping", "-c", "1", "-W", "5", address])
            .unwrap()
            .output()
            .unwrap();
    };
    let told = heard(&|| ping("10.0.1.77"), What::Neighbour, "failed");
    assert_eq!(told, ["neighbour c0 10.0.1.77 failed"]);
    lab.ip(Role::Router, "address add 10.0.1.77/24 dev r0").unwrap();
    let told = heard(&|| ping("10.0.1.77"), What::Neighbour, "again");
    assert_eq!(told, ["neighbour c0 10.0.1.77 answered again"]);
    assert_eq!((watcher.lost(), watcher.unreadable()), (0, 0));
}
