//! The other end of the probes: what `netbreak serve` does.

mod command;
mod connections;
mod datagrams;
mod error;
#[cfg(test)]
mod tests;

pub use command::command;
pub(crate) use connections::accept_each;
pub use error::ServeError;

use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::probe::Kind;

/// What to listen for. Port 0 is any free port.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on. With the unspecified one a datagram's reply leaves from the address that the route back
    /// chooses: a client that asked another address of this machine does not take it for an answer.
    pub bind: IpAddr,
    /// Accepts, and closes when the other end does.
    pub tcp: Vec<u16>,
    /// Answers every request with 200 and a short body.
    pub http: Vec<u16>,
    /// Echoes netbreak's own datagrams, never with more bytes than came in.
    pub udp: Vec<u16>,
    /// Reads and discards.
    pub stream: Vec<u16>,
}

impl Config {
    /// Nothing yet, on `bind`.
    pub fn new(bind: IpAddr) -> Config {
        Config { bind, tcp: vec![], http: vec![], udp: vec![], stream: vec![] }
    }
}

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Serves until the future is dropped. `ready` is called once, when every port is open, with what listens where, in the
/// order tcp, http, udp, stream of `config`. Needs a runtime with IO and time.
///
/// # Errors
/// The first port that cannot be had. Once all are open, nothing ends it: what a client does is the client's trouble.
pub async fn serve(config: Config, ready: impl FnOnce(Vec<(Kind, SocketAddr)>)) -> Result<(), ServeError> {
    let mut tasks = JoinSet::new();
    let mut open = Vec::new();
    for (kind, ports) in [
        (Kind::Tcp, &config.tcp),
        (Kind::Http, &config.http),
        (Kind::Udp, &config.udp),
        (Kind::Stream, &config.stream),
    ] {
        for port in ports {
            let asked = SocketAddr::new(config.bind, *port);
            let failed = |source| ServeError::Bind { kind, address: asked, source };
            if kind == Kind::Udp {
                let socket = datagrams(asked).map_err(failed)?;
                open.push((kind, socket.local_addr().map_err(failed)?));
                tasks.spawn(datagrams::answer(socket));
            } else {
                let listener = listen(asked).map_err(failed)?;
                open.push((kind, listener.local_addr().map_err(failed)?));
                tasks.spawn(connections::accept(listener, kind));
            }
        }
    }
    if open.is_empty() {
        return Err(ServeError::Nothing);
    }
    ready(open);
    // They do not end; a panic of one is told as it is.
    match tasks.join_next().await {
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => Ok(()),
    }
}

/// Opens a port for connections. Needs a runtime with IO.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new_raw(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // A server that is started again need not wait for TIME_WAIT to end.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn datagrams(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new_raw(
        Domain::for_address(address),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    socket.bind(&address.into())?;
    // As much as the kernel lets us have: it caps the value (`sock_setsockopt`).
    socket.set_recv_buffer_size(4 << 20)?;
    UdpSocket::from_std(socket.into())
}
