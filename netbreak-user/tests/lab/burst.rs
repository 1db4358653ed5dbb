//! Bursts of packets through the lab, and how many of them were not answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use netbreak_user::lab::{Family, Lab, Role, SERVER_V4, SERVER_V6};
use netbreak_user::probe::Kind;

/// Packets of one burst.
pub const BURST: u64 = 20;

/// How long answers are waited for that are not to come, or that are asked for again.
pub const SOON: Duration = Duration::from_millis(300);
/// How long answers are waited for of which each counts: a busy machine delivers late, and late is not lost. Where all
/// come it costs nothing. TCP sends a SYN again after a second (`TCP_TIMEOUT_INIT`), which is not to pass for the first.
pub const SURELY: Duration = Duration::from_millis(900);

/// Sends a burst of one kind and says how many packets were not answered. This one and those below wait for an answer
/// as long as `patience` says.
pub fn lost(lab: &Lab, family: Family, kind: Kind, arguments: &[&str], patience: Duration) -> u64 {
    let port = || arguments.iter().find_map(|argument| argument.parse().ok());
    match kind {
        Kind::Icmp if arguments.contains(&"--dont-fragment") => {
            ping(lab, family, &["-s", "1400", "-M", "do"], patience)
        }
        Kind::Icmp => ping(lab, family, &[], patience),
        Kind::Udp if arguments.contains(&"--dont-fragment") => udp(lab, family, None, 1400, patience),
        Kind::Udp => udp(lab, family, port(), 10, patience),
        _ => tcp(lab, family, port(), patience),
    }
}

fn server(family: Family) -> IpAddr {
    if family == Family::V4 { SERVER_V4.into() } else { SERVER_V6.into() }
}

fn any(family: Family) -> SocketAddr {
    let address: IpAddr =
        if family == Family::V4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    (address, 0).into()
}

pub fn ping(lab: &Lab, family: Family, more: &[&str], patience: Duration) -> u64 {
    let (count, wait) = (BURST.to_string(), patience.as_secs_f64().to_string());
    let server = server(family).to_string();
    // All at once (-l): once it has had an answer, ping does not wait for the others as long as -W says, but for one
    // interval after the last echo (`__schedule_exit` of iputils).
    let mut argv = vec!["ping", "-n", "-q", "-c", &count, "-l", &count, "-i", &wait, "-W", &wait];
    argv.extend(more);
    argv.push(&server);
    let output = lab.namespace(Role::Client).command(&argv).unwrap().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains(" packets transmitted") && !output.status.success() {
        // It does not even begin without a route.
        return BURST;
    }
    let number = |before: &str| -> u64 {
        let words = text.split(before).next().unwrap_or_default();
        words
            .split_whitespace()
            .last()
            .and_then(|w| w.parse().ok())
            .unwrap_or_else(|| panic!("ping said: {text}"))
    };
    assert_eq!(number(" packets transmitted"), BURST, "{text}");
    BURST - number(" received")
}

/// To an echo of our own, or to `port` where nobody answers. Linux sends what fits the link with DF set.
pub fn udp(lab: &Lab, family: Family, port: Option<u16>, size: usize, patience: Duration) -> u64 {
    let bind = |role| lab.namespace(role).run(|| UdpSocket::bind(any(family)).unwrap()).unwrap();
    let (client, echo) = (bind(Role::Client), bind(Role::Server));
    for socket in [&client, &echo] {
        socket.set_read_timeout(Some(patience)).unwrap();
    }
    let port = port.unwrap_or_else(|| echo.local_addr().unwrap().port());
    for _ in 0..BURST {
        // A refused or forbidden datagram is an error here, and not answered either.
        let _ = client.send_to(&vec![7; size], (server(family), port));
    }
    let mut buffer = [0; 2048];
    let arrived: Vec<SocketAddr> =
        (0..BURST).map_while(|_| echo.recv_from(&mut buffer).ok()).map(|(_, from)| from).collect();
    for from in &arrived {
        let _ = echo.send_to(&vec![7; size], from);
    }
    let answered = arrived.iter().take_while(|_| client.recv(&mut buffer).is_ok()).count();
    BURST - answered as u64
}

/// One connect, to a listener of our own or to `port`. A SYN that dies is sent again, so more packets than this may be
/// counted. Nothing of the connection is on its way any more when this returns, or the next fault would count it: a busy
/// machine delivers late what nobody waits for.
pub fn tcp(lab: &Lab, family: Family, port: Option<u16>, patience: Duration) -> u64 {
    let listener = lab.namespace(Role::Server).run(|| TcpListener::bind(any(family)).unwrap()).unwrap();
    let own = listener.local_addr().unwrap().port();
    let address = SocketAddr::from((server(family), port.unwrap_or(own)));
    let connect = || TcpStream::connect_timeout(&address, patience);
    let Ok(client) = lab.namespace(Role::Client).run(connect).unwrap() else { return 1 };
    if port.is_none() {
        // The last packet of the handshake has arrived then.
        vanish(listener.accept().unwrap().0);
    }
    vanish(client);
    0
}

/// Ends one side of a connection without a packet (`tcp_disconnect` in net/ipv4/tcp.c).
fn vanish(stream: TcpStream) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open and the value is an integer of the size that is said.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
