//! One TCP connect, from the socket to the connection or the reason why there is none.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Protocol, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};

use crate::clock;

use super::attempt::Outcome;
use super::socket::{self, Registered, next_icmp_error, queue_icmp_errors};
use super::spec::{PrepareError, Spec};
use super::ticker::poll;
use super::{FlowRegistry, ProbeFlow};

/// A socket with a port of its own, whose close sends a RST.
///
/// An ordinary close would leave our port in TIME_WAIT for a minute: at 10,000 connects a second all ports would be
/// used up after three seconds, and the probe would measure that.
pub(super) fn open(spec: &Spec) -> Result<Socket, PrepareError> {
    let socket = socket::open(spec, Type::STREAM, Protocol::TCP)?;
    abort_on_close(&socket, true).map_err(|source| PrepareError::Socket {
        kind: spec.kind,
        address: spec.address,
        source,
    })?;
    Ok(socket)
}

/// Whether closing sends a RST (`SO_LINGER` of 0 s).
pub(super) fn abort_on_close(socket: &Socket, abort: bool) -> io::Result<()> {
    socket.set_linger(abort.then_some(Duration::ZERO))
}

/// A connect on its way. The socket is closed before its flow is forgotten: fields drop in this order.
pub(super) struct Connecting {
    pub(super) socket: Socket,
    pub(super) flow: Registered,
}

/// Makes the flow known and sends the SYN. The port is told in any case; 0 where the kernel had none left.
pub(super) fn start(spec: &Spec, registry: &Arc<dyn FlowRegistry>) -> (u16, Result<Connecting, i32>) {
    let opened = open(spec).map_err(|error| match error {
        PrepareError::Source { source, .. }
        | PrepareError::Interface { source, .. }
        | PrepareError::Socket { source, .. } => errno_of(&source),
        PrepareError::NoRawSockets { .. } | PrepareError::TooManySockets { .. } => libc::EPERM,
    });
    let socket = match opened {
        Ok(socket) => socket,
        Err(errno) => return (0, Err(errno)),
    };
    let local_port = match socket::local_port(&socket) {
        Ok(port) => port,
        Err(error) => return (0, Err(errno_of(&error))),
    };
    let remote = spec.remote();
    let flow = ProbeFlow { protocol: 6, remote: remote.ip(), remote_port: remote.port(), local_port };
    let flow = Registered::new(registry, flow);
    match socket.connect(&remote.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => (local_port, Err(errno_of(&error))),
        _ => (local_port, Ok(Connecting { socket, flow })),
    }
}

/// A connection, and the flow that it is.
pub(super) struct Connected {
    pub(super) socket: AsyncFd<Socket>,
    pub(super) flow: Registered,
}

/// Waits for the end of the handshake. `Err` is the attempt's outcome.
pub(super) async fn finish(connecting: Connecting, remote: IpAddr) -> Result<Connected, Outcome> {
    let Connecting { socket, flow } = connecting;
    let failed = |error: io::Error| Outcome::SendFailed { errno: errno_of(&error) };
    // Not before `connect`: an unconnected TCP socket polls as hung up (`tcp_poll`), which tokio keeps for good.
    let socket = poll(socket, Interest::WRITABLE | Interest::ERROR).map_err(failed)?;
    loop {
        let mut ready = socket.ready(Interest::WRITABLE | Interest::ERROR).await.map_err(failed)?;
        if let Some(end) = look(socket.get_ref()) {
            drop(ready);
            end?;
            queue_icmp_errors(socket.get_ref(), remote, false).map_err(failed)?;
            return Ok(Connected { socket, flow });
        }
        ready.clear_ready();
    }
}

/// How the handshake ended; `None` = it has not.
///
/// A RST and an ICMP port unreachable (as a `reject` rule sends it) both end in ECONNREFUSED: the error queue tells them
/// apart. An ICMP error that comes while `connect` holds the socket's lock is only queued (`tcp_v4_err`), the connect
/// goes on: it counts all the same, since on an idle socket it would have ended it.
fn look(socket: &Socket) -> Option<Result<(), Outcome>> {
    if socket.peer_addr().is_ok() {
        return Some(Ok(()));
    }
    let at = clock::now();
    if let Some((errno, _)) = next_icmp_error(socket, &mut [0; 64]) {
        return Some(Err(Outcome::Unreachable { at, errno }));
    }
    let error = match socket.take_error() {
        Ok(error) => error?,
        Err(error) => error,
    };
    Some(Err(match errno_of(&error) {
        libc::ECONNREFUSED => Outcome::Refused { at },
        // Established, and gone before we looked.
        libc::ECONNRESET | libc::EPIPE => Outcome::Reset { at },
        // The kernel gave up before we did (`tcp_syn_retries`).
        libc::ETIMEDOUT => Outcome::TimedOut,
        errno => Outcome::SendFailed { errno },
    }))
}

/// The number of an error; EIO if it has none.
pub(super) fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
