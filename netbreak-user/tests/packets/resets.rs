//! Who ended connections by RST, and in which state.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{io::Read, thread};

use netbreak_user::lab::Role;
use netbreak_user::report::Leg;

use crate::common::{Served, V4, skipped};

const PORT: u16 = 9001;
const HTTP: [&str; 4] = ["--http", "9001/", "--interval", "20ms"];

/// A server that ends each connection so: it, and not a firewall, sends the RSTs, and has a connection until then.
fn a_server_that_resets(way: &[&str], end: fn(TcpStream)) {
    if skipped(&["ip"]) {
        return;
    }
    let served = Served::new();
    let listener = served.lab.namespace(Role::Server).run(|| TcpListener::bind(("0.0.0.0", PORT)));
    let listener = listener.unwrap().unwrap();
    // It ends with the tests.
    thread::spawn(move || listener.incoming().for_each(|connection| end(connection.unwrap())));
    let done = served.start(V4, &[way, &["--duration", "2s"]].concat()).finish();
    let probe = &done.report.targets[0].probes[0];
    // What a segment meets that crossed a RST is no socket any more: that RST is another one (`tcp_v4_send_reset`).
    let (of_connections, others): (Vec<_>, Vec<_>) = probe.rsts.iter().partition(|rst| rst.state.is_some());
    let server = Some(served.inode(Role::Server));
    assert!(others.iter().all(|rst| (rst.leg, rst.netns) == (Leg::Reply, server)), "{probe:#?}");
    let [rst] = of_connections[..] else { panic!("{probe:#?}") };
    let resets = probe.stream.as_ref().map_or(probe.reset, |stream| stream.resets);
    assert!(rst.segments == resets && 0 < resets, "{probe:#?}");
    assert!(probe.stream.is_some() || probe.sent == resets, "{probe:#?}");
    let seen = (rst.leg, rst.netns, rst.state.as_deref());
    assert_eq!(seen, (Leg::Reply, server, Some("ESTABLISHED")), "{rst:#?}");
}

#[test]
fn one_that_lingers_for_no_time() {
    a_server_that_resets(&HTTP, |mut connection| {
        assert!(connection.read(&mut [0; 4096]).unwrap() > 0);
        socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap();
    });
}

#[test]
fn one_that_does_not_read_the_request() {
    a_server_that_resets(&HTTP, |connection| {
        connection.peek(&mut [0]).unwrap();
    });
}

#[test]
fn one_that_does_not_read_a_stream() {
    a_server_that_resets(&["--stream", "9001"], |connection| {
        connection.peek(&mut [0]).unwrap();
    });
}
