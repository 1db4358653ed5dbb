//! https against a server with a certificate of its own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::stats::Counts;
use super::super::*;
use super::support::*;

/// Answers each request in TLS with 200, as `localhost`; returns its port. It goes on until the tests are over.
fn https_server() -> u16 {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream =
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            // Clients that do not believe us go away.
            while !request.ends_with(b"\r\n\r\n")
                && let Ok(length @ 1..) = stream.read(&mut buffer)
            {
                request.extend_from_slice(&buffer[..length]);
            }
            if request.starts_with(b"GET /x HTTP/1.1\r\nHost: localhost\r\n") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

fn spec(port: u16, insecure: bool) -> Spec {
    Spec {
        http_path: "/x".to_owned(),
        http_host: "localhost".to_owned(),
        insecure,
        ..quick(Kind::Https, V4, Some(port))
    }
}

#[test]
fn requests_in_tls_are_answered_and_their_parts_timed() {
    let record = runtime().block_on(run_one(spec(https_server(), true)));
    assert_eq!(counts(&record), all(50), "{record:?}");
    assert_eq!((record.http_errors, record.tls_errors, &record.tls_error), (Some(0), Some(0), &None));
    let phases = record.phases.unwrap();
    let (connect, tls) = (phases.connect.unwrap(), phases.tls.unwrap());
    let rtt = stats::Rtt::of(&record.attempts).unwrap();
    assert!(tls.min > connect.min, "a handshake is a round trip and sums: {phases:?}");
    assert!(connect.min + tls.min + phases.first_byte.unwrap().min <= rtt.max, "{phases:?} {rtt:?}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_an_answer_of_the_path() {
    let record = runtime().block_on(run_one(spec(https_server(), false)));
    assert_eq!((counts(&record), record.tls_errors, record.http_errors), (all(50), Some(50), Some(0)));
    assert!(record.tls_error.as_ref().unwrap().contains("UnknownIssuer"), "{record:?}");
    assert_eq!(record.phases.unwrap().tls, None);
}

#[test]
fn what_is_no_tls_is_an_answer_and_an_early_end_a_reset() {
    runtime().block_on(async {
        let (ports, _server) = server(V4, 0).await;
        let record = run_one(spec(ports[1].port(), true)).await;
        assert_eq!((counts(&record), record.tls_errors), (all(50), Some(50)), "{:?}", record.tls_error);
    });
    let listener = TcpListener::bind((V4, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let record = runtime().block_on(run_one(spec(port, true)));
    assert_eq!(counts(&record), Counts { sent: 50, reset: 50, ..Counts::default() });
    assert_eq!(record.tls_errors, Some(0));
}

#[test]
fn a_name_that_no_certificate_can_hold_is_said_before_the_run() {
    let refused = refusal(Spec { http_host: "a b".to_owned(), ..spec(1, true) });
    assert!(refused.starts_with("https to 127.0.0.1: a b is no name"), "{refused}");
}
