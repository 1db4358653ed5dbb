//! What a server must and must not do. That it answers each probe is tested with the probes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;

use super::*;
use crate::probe::wire::{Header, build_payload, make_reply, parse_payload};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn start(config: Config) -> Vec<(Kind, SocketAddr)> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(serve(config, |open| tell.send(open).unwrap()));
    told.await.unwrap()
}

#[test]
fn ready_tells_kinds_and_ports_in_order() {
    run(async {
        let config = Config { tcp: vec![0, 0], http: vec![0], udp: vec![0], stream: vec![0], bind: HERE };
        let open = start(config).await;
        let kinds: Vec<_> = open.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Tcp, Kind::Tcp, Kind::Http, Kind::Udp, Kind::Stream]);
        assert!(open.iter().all(|(_, at)| at.ip() == HERE && at.port() != 0));
    });
}

#[test]
fn a_taken_port_is_refused_with_advice() {
    run(async {
        let open = start(Config { tcp: vec![0], udp: vec![0], ..Config::new(HERE) }).await;
        let (tcp, udp) = (open[0].1.port(), open[1].1.port());
        let refused = async |config| serve(config, |_| ()).await.unwrap_err().to_string();
        assert_eq!(
            refused(Config { http: vec![tcp], ..Config::new(HERE) }).await,
            format!(
                "cannot serve http on 127.0.0.1:{tcp}: Address already in use (os error 98); \
                 `ss -lntp sport = :{tcp}` shows who has it; port 0 takes any free one"
            )
        );
        assert!(refused(Config { udp: vec![udp], ..Config::new(HERE) }).await.contains("`ss -lnup sport"));
        let away = Config { tcp: vec![0], ..Config::new([192, 0, 2, 1].into()) };
        assert!(refused(away).await.contains("192.0.2.1 is no address of this network namespace"));
        assert!(refused(Config::new(HERE)).await.starts_with("nothing to serve"));
    });
}

#[test]
fn udp_answers_only_requests_of_ours_and_with_as_many_bytes() {
    run(async {
        let server = start(Config { udp: vec![0], ..Config::new(HERE) }).await[0].1;
        let client = UdpSocket::bind((HERE, 0)).await.unwrap();
        client.connect(server).await.unwrap();
        let header = Header { seq: 1, run_id: 2, sent: 3, probe: 4 };
        let (mut request, mut reply) = (vec![], vec![]);
        build_payload(&header, 100, &mut request);
        build_payload(&header, 100, &mut reply);
        assert!(make_reply(&mut reply));
        for junk in [&b"hello"[..], &[], &reply, &request[..39]] {
            client.send(junk).await.unwrap();
        }
        // The server takes datagrams in their order: what comes first is the answer to this one.
        client.send(&request).await.unwrap();
        let mut buffer = [0; 200];
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 100);
        assert_eq!(parse_payload(&buffer[..100]), Some(header));
        let more = tokio::time::timeout(Duration::from_millis(50), client.recv(&mut buffer)).await;
        assert!(more.is_err(), "junk was answered");
    });
}

#[test]
fn tcp_and_stream_say_nothing_and_close_when_the_other_end_does() {
    run(async {
        for config in
            [Config { tcp: vec![0], ..Config::new(HERE) }, Config { stream: vec![0], ..Config::new(HERE) }]
        {
            let mut client = TcpStream::connect(start(config).await[0].1).await.unwrap();
            client.write_all(&[7; 100_000]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = vec![];
            client.read_to_end(&mut answer).await.unwrap();
            assert!(answer.is_empty());
        }
    });
}
