//! One TCP connect, from the socket to the connection or the reason why there is none.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Protocol, Socket, Type};
use tokio::io::Interest;

use crate::clock::{self, Nanos};

use super::attempt::Outcome;
use super::socket::{self, Registered, next_icmp_error, queue_icmp_errors};
use super::spec::{PrepareError, Spec};
use super::ticker::poll;
use super::{FlowRegistry, Owner, ProbeFlow};

/// A socket with a port of its own, whose close sends a RST.
///
/// An ordinary close would leave our port in TIME_WAIT for a minute: at 10,000 connects a second all ports would be
/// used up after three seconds, and the probe would measure that.
pub(super) fn open(spec: &Spec, source: Option<IpAddr>) -> Result<Socket, PrepareError> {
    let socket = socket::open(spec, source, Type::STREAM, Protocol::TCP)?;
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

/// A connect that has begun, or could not.
pub(super) struct Started {
    /// When the SYN was handed to the kernel.
    pub(super) at: Nanos,
    /// Our port; 0 where the kernel had none left.
    pub(super) local_port: u16,
    /// The errno where nothing could be sent.
    pub(super) result: Result<Connecting, i32>,
}

/// Makes the flow known and sends the SYN, from the source whose turn it is.
pub(super) fn start(spec: &Spec, registry: &Arc<dyn FlowRegistry>, owner: Owner, turn: u64) -> Started {
    let (Connecting { socket, flow }, local_port) = match bound(spec, registry, owner, turn) {
        Ok(bound) => bound,
        Err(errno) => return Started { at: clock::now(), local_port: 0, result: Err(errno) },
    };
    let at = clock::now();
    let result = match socket.connect(&spec.remote().into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(errno_of(&error)),
        _ => Ok(Connecting { socket, flow }),
    };
    Started { at, local_port, result }
}

/// A socket with a flow that is known as ours alone, and its port, of the source whose turn it is or of the next one that
/// has a port left; or the errno where there is none.
fn bound(
    spec: &Spec,
    registry: &Arc<dyn FlowRegistry>,
    owner: Owner,
    turn: u64,
) -> Result<(Connecting, u16), i32> {
    let mut failed = libc::EADDRNOTAVAIL;
    for source in spec.sources_from(turn) {
        match bound_to(spec, registry, owner, source) {
            // All ports of this source are in use (`inet_csk_get_port`).
            Err(errno @ libc::EADDRINUSE) => failed = errno,
            bound => return bound,
        }
    }
    Err(failed)
}

fn bound_to(
    spec: &Spec,
    registry: &Arc<dyn FlowRegistry>,
    owner: Owner,
    source: Option<IpAddr>,
) -> Result<(Connecting, u16), i32> {
    // Ports of which other probes visit the same target, from another namespace or source, and the target's own, from which
    // a connection to this very host would meet itself: held, so that the next one is another.
    let mut taken = Vec::new();
    loop {
        let socket = open(spec, source).map_err(|error| error.errno())?;
        let local_port = socket::local_port(&socket).map_err(|error| errno_of(&error))?;
        let flow = ProbeFlow { remote: spec.remote(), local_port };
        let is_remote = local_port == flow.remote.port();
        match (!is_remote).then(|| Registered::new(registry, flow, owner)).flatten() {
            Some(flow) => return Ok((Connecting { socket, flow }, local_port)),
            None => taken.push(socket),
        }
    }
}

/// A connection, and the flow that it is.
pub(super) struct Connected {
    pub(super) socket: Socket,
    pub(super) flow: Registered,
}

/// Waits for the end of the handshake. `Err` is the attempt's outcome.
pub(super) async fn finish(connecting: Connecting, remote: IpAddr) -> Result<Connected, Outcome> {
    let Connecting { socket, flow } = connecting;
    let failed = |error: io::Error| Outcome::SendFailed { errno: errno_of(&error) };
    let (socket, end) = match look(&socket) {
        // On loopback the handshake is over when `connect` returns.
        Some(end) => (socket, end),
        None => ended(socket).await.map_err(failed)?,
    };
    end?;
    queue_icmp_errors(&socket, remote, false).map_err(failed)?;
    Ok(Connected { socket, flow })
}

async fn ended(socket: Socket) -> io::Result<(Socket, Result<(), Outcome>)> {
    // Not before `connect`: an unconnected TCP socket polls as hung up (`tcp_poll`), which tokio keeps for good.
    let socket = poll(socket, Interest::WRITABLE | Interest::ERROR)?;
    loop {
        let mut ready = socket.ready(Interest::WRITABLE | Interest::ERROR).await?;
        if let Some(end) = look(socket.get_ref()) {
            drop(ready);
            return Ok((socket.into_inner(), end));
        }
        ready.clear_ready();
    }
}

/// How the handshake ended; `None` = it has not.
///
/// A RST and an ICMP port unreachable (as a `reject` rule sends it) both end in ECONNREFUSED: the error queue tells them
/// apart. An ICMP error that comes while `connect` holds the socket's lock is only queued (`tcp_v4_err`), the connect
/// goes on: it counts all the same, since on an idle socket it would have ended it.
pub(super) fn look(socket: &Socket) -> Option<Result<(), Outcome>> {
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
