//! One long-lived TCP connection with paced data.

use std::future::Future;
use std::io::{self, Read};
use std::mem;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;

use socket2::Socket;

use crate::clock::{self, MILLISECOND, Nanos};

use super::attempt::{Outcome, Record};
use super::connect::{self, Connected, Started, abort_on_close, errno_of};
use super::ledger::Ledger;
use super::parted::Parted;
use super::plan::Plan;
use super::run::Control;
use super::socket::Registered;
use super::spec::Spec;
use super::ticker::Ticker;
use super::{FlowRegistry, Owner};

/// How often acknowledgements are looked for while some are outstanding: so exact are a stream's round-trip times.
const POLL: Nanos = MILLISECOND;

/// The longer none has come, the less often: so exact (one in so many) is the time of one that comes late. A thousand
/// streams that all stall would otherwise look a million times a second.
const EXACT: Nanos = 16;

/// Longer than this between two looks, the kernel knows better when an acknowledgement came: its clock ticks every 10 ms at
/// worst.
const AWAY: Nanos = 50 * MILLISECOND;

/// Between a connect that failed, or whose connection ended sooner than that, and the next.
const RETRY: Nanos = 100 * MILLISECOND;

/// What is written: no content matters, only that it arrives.
static ZEROS: [u8; 65_536] = [0; 65_536];

/// Runs the plan to its end, reconnecting after each loss of the connection, and waits until every write is
/// acknowledged or timed out.
pub(super) async fn run(
    spec: Arc<Spec>,
    index: u32,
    registry: Arc<dyn FlowRegistry>,
    mut plan: Plan,
    ticker: Ticker,
    mut control: Control,
) -> io::Result<Record> {
    let mut link = Link::Down { errno: libc::ENOTCONN, retry_at: 0 };
    let mut ledger = Ledger::new(spec.stream_piece, spec.timeout);
    let mut probe = Streaming { spec, index, registry, control: control.clone(), parted: Parted::default() };
    loop {
        let now = clock::now();
        for seq in plan.due(ledger.next_seq(), now) {
            ledger.plan(plan.planned(seq), now);
            control.count_sent();
        }
        // A new connection is of use only to writes that are still to come.
        let next_due = plan.next_due(ledger.next_seq());
        let is_wanted = next_due.is_some() || ledger.waiting() > 0;
        link = link.step(&mut probe, &mut ledger, is_wanted);
        let now = clock::now();
        probe.parted.forget(now);
        while let Some((seq, answered)) = ledger.settled(now) {
            probe.registry.settled(index, seq, answered);
            control.settled(plan.planned(seq), answered);
        }
        let awaited = ledger.awaited_until(now).max(probe.parted.until()).map(|at| at + 1);
        if next_due.is_none() && awaited.is_none() {
            break;
        }
        let wake = [next_due, awaited, link.wake(&ledger, now)].into_iter().flatten().min().unwrap_or(now);
        tokio::select! {
            expired = ticker.until(wake) => expired?,
            () = link.changed() => (),
            () = control.stopped() => plan.cut(ledger.next_seq()),
        }
    }
    link.close(&ledger);
    let mut record = probe.spec.record();
    let (attempts, stream) = ledger.finish(clock::now());
    (record.attempts, record.stream) = (attempts, Some(stream));
    Ok(record)
}

/// What all connections of a stream share.
struct Streaming {
    spec: Arc<Spec>,
    /// Index of the probe within the run.
    index: u32,
    registry: Arc<dyn FlowRegistry>,
    control: Control,
    parted: Parted,
}

type Handshake = Pin<Box<dyn Future<Output = Result<Connected, Outcome>> + Send>>;

/// The connection, on its way through life.
enum Link {
    /// None; the next connect is at `retry_at`.
    Down { errno: i32, retry_at: Nanos },
    /// The SYN is out.
    Connecting { handshake: Handshake, local_port: u16, give_up_at: Nanos },
    /// The handshake is over, one way or the other.
    Ended { result: Result<Connected, Outcome>, local_port: u16 },
    /// Data flows, from `since` on.
    Up { socket: Socket, flow: Registered, since: Nanos },
}

impl Link {
    /// Does what can be done now without waiting.
    fn step(self, probe: &mut Streaming, ledger: &mut Ledger, is_wanted: bool) -> Link {
        let now = clock::now();
        match self {
            Link::Down { errno, retry_at } if now < retry_at || !is_wanted => {
                ledger.no_connection(errno);
                Link::Down { errno, retry_at }
            }
            Link::Down { .. } => {
                // A segment may carry several writes, or a part of one: bytes tell which.
                let Streaming { spec, index, registry, .. } = probe;
                let (index, piece) = (*index, spec.stream_piece as u32);
                let owner = Owner { probe: index, attempt: ledger.first_waiting(), piece };
                let Started { at, local_port, result } =
                    connect::start(spec, registry, owner, u64::from(index));
                match result {
                    Ok(connecting) => Link::Connecting {
                        handshake: Box::pin(connect::finish(connecting, spec.address)),
                        local_port,
                        give_up_at: at.saturating_add(spec.timeout),
                    },
                    Err(errno) => Link::failed(errno, at, ledger),
                }
            }
            Link::Connecting { give_up_at, .. } if now >= give_up_at => {
                Link::failed(libc::ETIMEDOUT, now, ledger)
            }
            Link::Connecting { .. } => self,
            Link::Ended { result: Err(outcome), .. } => Link::failed(errno_for(outcome), now, ledger),
            Link::Ended { result: Ok(Connected { socket, flow }), local_port } => {
                ledger.connected(local_port);
                // Each piece leaves when it is planned, not when a segment is full. Without it the stream still runs.
                let _ = socket.set_tcp_nodelay(true);
                Link::Up { socket, flow, since: now }.flow(probe, ledger)
            }
            Link::Up { .. } => self.flow(probe, ledger),
        }
    }

    fn failed(errno: i32, now: Nanos, ledger: &mut Ledger) -> Link {
        ledger.no_connection(errno);
        Link::Down { errno, retry_at: now + RETRY }
    }

    /// Writes what waits, reads acknowledgements, notices the end.
    fn flow(self, probe: &mut Streaming, ledger: &mut Ledger) -> Link {
        let Link::Up { socket, since, .. } = &self else { return self };
        let mut answered = catch_up(socket, ledger);
        let ended = transfer(socket, ledger);
        let at = clock::now();
        answered += ledger.acked(acknowledged(socket).bytes, at);
        (0..answered).for_each(|_| probe.control.count_answered());
        match ended {
            None => self,
            Some(errno) => {
                ledger.reset(at);
                // Whoever resets each connection would be connected to as fast as both ends can.
                let wait = if at < since.saturating_add(RETRY) { RETRY } else { 0 };
                if let Link::Up { socket, flow, .. } = self {
                    drop(socket);
                    probe.parted.add(flow);
                }
                Link::Down { errno, retry_at: at.saturating_add(wait) }
            }
        }
    }

    /// When something is to be done without news from the socket.
    fn wake(&self, ledger: &Ledger, now: Nanos) -> Option<Nanos> {
        match self {
            Link::Down { retry_at, .. } => Some(*retry_at).filter(|at| *at > now),
            Link::Connecting { give_up_at, .. } => Some(*give_up_at),
            Link::Ended { .. } => Some(now),
            Link::Up { .. } => {
                let again = now + POLL.max(ledger.stalled_for(now) / EXACT);
                (ledger.is_outstanding() || ledger.waiting() > 0).then_some(again)
            }
        }
    }

    /// Waits for the end of a handshake; forever in any other state.
    async fn changed(&mut self) {
        let Link::Connecting { handshake, local_port, .. } = self else {
            return std::future::pending().await;
        };
        let result = handshake.await;
        *self = Link::Ended { result, local_port: *local_port };
    }

    /// Ends the connection: by RST while bytes are outstanding, so that the kernel does not go on sending them.
    fn close(self, ledger: &Ledger) {
        if let Link::Up { socket, flow, .. } = self {
            // Were it refused, closing would send a RST in any case.
            let _ = abort_on_close(&socket, ledger.is_outstanding());
            drop(socket);
            drop(flow);
        }
    }
}

/// Finds what was acknowledged while we did not look, before anything else is sent. Returns how many writes that answered.
fn catch_up(socket: &Socket, ledger: &mut Ledger) -> u64 {
    let now = clock::now();
    let before = ledger.look(now);
    if now.saturating_sub(before) <= AWAY {
        return 0;
    }
    let Acknowledged { bytes, ago } = acknowledged(socket);
    ledger.acked(bytes, now.saturating_sub(ago).max(before))
}

/// Writes as much as the kernel takes. Returns why the connection is over, if it is.
fn transfer(socket: &Socket, ledger: &mut Ledger) -> Option<i32> {
    // The other end has nothing to say: what comes is the end.
    match (&*socket).read(&mut [0; 1024]) {
        Ok(0) => return Some(libc::ECONNRESET),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Some(errno_of(&error)),
        _ => (),
    }
    while ledger.waiting() > 0 {
        let length = ledger.waiting().min(ZEROS.len() as u64) as usize;
        let at = clock::now();
        match socket.send(&ZEROS[..length]) {
            Ok(written) => ledger.wrote(written as u64, at),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(errno_of(&error)),
        }
    }
    None
}

/// What the other end has acknowledged on a connection.
#[derive(Default)]
struct Acknowledged {
    /// Payload bytes; 0 where the kernel does not say (before 4.1).
    bytes: u64,
    /// How long ago its last acknowledgement came, in whole ticks of the kernel's clock (`rcv_tstamp` of `tcp_ack`): that of
    /// these bytes was no later.
    ago: Nanos,
}

fn acknowledged(socket: &Socket) -> Acknowledged {
    // SAFETY: a `tcp_info` of zeros is valid: it has only numbers.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which has that many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Acknowledged::default();
    }
    // The SYN counts as a byte (`tcp_snd_una_update` at the end of the handshake).
    let bytes = info.tcpi_bytes_acked.saturating_sub(1);
    Acknowledged { bytes, ago: Nanos::from(info.tcpi_last_ack_recv) * MILLISECOND }
}

fn errno_for(outcome: Outcome) -> i32 {
    match outcome {
        Outcome::SendFailed { errno } | Outcome::Unreachable { errno, .. } => errno,
        Outcome::Refused { .. } => libc::ECONNREFUSED,
        Outcome::Reset { .. } => libc::ECONNRESET,
        _ => libc::ETIMEDOUT,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Until it holds.
    fn wait(mut holds: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < std::time::Duration::from_secs(10), "it does not come about");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_acknowledgement_came_when_it_came_and_not_when_we_looked() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = Socket::from(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        socket.set_nonblocking(true).unwrap();
        let (other, _) = listener.accept().unwrap();
        let mut ledger = Ledger::new(100, 2 * AWAY);
        ledger.connected(1);
        ledger.look(clock::now());
        ledger.plan(clock::now(), clock::now());
        assert_eq!(transfer(&socket, &mut ledger), None);
        wait(|| acknowledged(&socket).bytes == 100);
        // Nobody looks for longer than the time-out.
        wait(|| acknowledged(&socket).ago > 4 * AWAY);
        assert_eq!((catch_up(&socket, &mut ledger), catch_up(&socket, &mut ledger)), (1, 0));
        let (attempts, _) = ledger.finish(clock::now());
        assert!(matches!(attempts[0].outcome, Outcome::Answered { .. }), "{attempts:?}");
        drop(other);
    }
}
