//! The life of one connection of tcp, http and https: from its SYN to its answer, whenever its socket has news.

use std::io::{self, Read};
use std::sync::Arc;

use socket2::Socket;

use crate::clock::{self, Nanos};

use super::attempt::{Kind, Outcome};
use super::connect::{Connecting, errno_of, look};
use super::phases::Marks;
use super::poller::News;
use super::response::{Progress, Response};
use super::socket::{Registered, queue_icmp_errors};
use super::spec::Spec;
use super::tls::{Said, Session, Tls};

/// Bytes that are received at once.
const BUFFER: usize = 16 << 10;

/// What all visits of one probe share.
pub(super) struct Shared {
    pub(super) spec: Arc<Spec>,
    tls: Option<Tls>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Shared {
    pub(super) fn new(spec: Arc<Spec>, tls: Option<Tls>) -> Shared {
        let host = match spec.http_host.as_str() {
            bare if bare.contains(':') && !bare.starts_with('[') => format!("[{bare}]"),
            host => host.to_owned(),
        };
        // A path or host with line breaks never gets here: the command line is checked before.
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: netbreak\r\nAccept: */*\r\n\r\n",
            spec.http_path
        );
        Shared { spec, tls, request: request.into_bytes(), buffer: vec![0; BUFFER] }
    }
}

/// How a visit ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// http, https: an answer with a status of 500 or more, or one that is no HTTP.
    pub(super) http_error: bool,
    /// https: the path answered, and TLS came to nothing; why.
    pub(super) tls_error: Option<String>,
}

impl End {
    fn of(outcome: Outcome) -> End {
        End { outcome, http_error: false, tls_error: None }
    }
}

/// A connection on its way. The socket is closed before its flow is forgotten: fields drop in this order.
pub(super) struct Visit {
    pub(super) socket: Socket,
    flow: Registered,
    pub(super) life: Life,
    stage: Stage,
    session: Option<Session>,
    /// Bytes of the request that the socket has not taken.
    unsent: usize,
    response: Response,
}

/// What is told of a visit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) seq: u64,
    pub(super) sent: Nanos,
    /// It is younger than its time-out: in a closed loop it has a place.
    pub(super) in_time: bool,
    pub(super) marks: Marks,
}

/// What a visit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The end of TCP's handshake.
    Connecting,
    /// The end of TLS's handshake.
    ShakingHands,
    /// The response.
    Asking,
    /// The other end's close: all is said. Our close is a RST, which neither end keeps a port for (TIME_WAIT); before the
    /// other end has closed it would be told of an error.
    Draining,
}

impl Visit {
    /// The SYN left at `sent`.
    pub(super) fn new(connecting: Connecting, seq: u64, sent: Nanos) -> Visit {
        let Connecting { socket, flow } = connecting;
        Visit {
            socket,
            flow,
            life: Life { seq, sent, in_time: true, marks: Marks::default() },
            stage: Stage::Connecting,
            session: None,
            unsent: 0,
            response: Response::default(),
        }
    }

    /// What the socket is to be watched for.
    pub(super) fn awaits(&self) -> News {
        let only_reads = self.stage == Stage::Asking && self.session.is_none() && self.unsent == 0;
        if only_reads || self.is_draining() { News::Incoming } else { News::Any }
    }

    /// Closes the connection, and leaves its flow known.
    pub(super) fn into_flow(self) -> Registered {
        self.flow
    }

    /// Has its end been told, and only the other end's close is awaited?
    pub(super) fn is_draining(&self) -> bool {
        self.stage == Stage::Draining
    }

    /// Goes on as far as it can without waiting. `Some` = it has ended: told once.
    pub(super) fn advance(&mut self, shared: &mut Shared) -> Option<End> {
        if self.stage == Stage::Connecting {
            if let Err(outcome) = look(&self.socket)? {
                return Some(End::of(outcome));
            }
            let at = clock::now();
            self.life.marks.connected = Some(at);
            if shared.spec.kind == Kind::Tcp {
                return Some(End::of(Outcome::Answered { at }));
            }
            if let Err(end) = self.opened(shared) {
                return Some(end);
            }
        }
        if self.stage == Stage::ShakingHands {
            let session = self.session.as_mut()?;
            if let Some(said) = session.shake_hands(&self.socket) {
                return ended(said);
            }
            self.life.marks.handshaken = Some(clock::now());
            if let Err(said) = session.send(&self.socket, &shared.request) {
                return ended(said);
            }
            self.stage = Stage::Asking;
        }
        if self.stage == Stage::Asking {
            return self.ask(shared);
        }
        None
    }

    /// The connection is there.
    fn opened(&mut self, shared: &Shared) -> Result<(), End> {
        let failed = |error: io::Error| End::of(Outcome::SendFailed { errno: errno_of(&error) });
        queue_icmp_errors(&self.socket, shared.spec.address, false).map_err(failed)?;
        match &shared.tls {
            None => (self.stage, self.unsent) = (Stage::Asking, shared.request.len()),
            Some(tls) => {
                self.stage = Stage::ShakingHands;
                // The request must not wait for the acknowledgement of what the handshake sent last.
                self.socket.set_tcp_nodelay(true).map_err(failed)?;
                self.session = Some(Session::new(tls).map_err(no_tls)?);
            }
        }
        Ok(())
    }

    fn ask(&mut self, shared: &mut Shared) -> Option<End> {
        if self.unsent > 0 {
            match self.socket.send(&shared.request[shared.request.len() - self.unsent..]) {
                Ok(sent) => self.unsent -= sent.min(self.unsent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(_) => return ended(Said::Broken),
            }
            // The answer, or room for the rest, is news.
            return None;
        }
        loop {
            let said = match &mut self.session {
                Some(session) => session.receive(&self.socket, &mut shared.buffer),
                None => receive(&self.socket, &mut shared.buffer),
            };
            let progress = match said {
                Said::Bytes(length) => {
                    self.life.marks.first_byte.get_or_insert_with(clock::now);
                    self.response.take(&shared.buffer[..length])
                }
                Said::End => match self.response.end() {
                    Progress::More => return ended(said),
                    progress => progress,
                },
                said => return ended(said),
            };
            let at = clock::now();
            let end = End::of(Outcome::Answered { at });
            match progress {
                Progress::More => (),
                Progress::Garbage => return Some(End { http_error: true, ..end }),
                Progress::Done(status) => {
                    self.stage = Stage::Draining;
                    return Some(End { http_error: status >= 500, ..end });
                }
            }
        }
    }

    /// Has the other end closed?
    pub(super) fn drained(&self) -> bool {
        loop {
            match (&self.socket).read(&mut [0; 1024]) {
                Ok(1..) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Ok(0) | Err(_) => return true,
            }
        }
    }
}

fn receive(mut socket: &Socket, buffer: &mut [u8]) -> Said {
    match socket.read(buffer) {
        Ok(0) => Said::End,
        Ok(length) => Said::Bytes(length),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Said::Wait,
        Err(_) => Said::Broken,
    }
}

/// What ends a visit before its response is there: `None` = nothing has.
fn ended(said: Said) -> Option<End> {
    match said {
        Said::Bytes(_) | Said::Wait => None,
        Said::End | Said::Broken => Some(End::of(Outcome::Reset { at: clock::now() })),
        Said::Refused(why) => Some(no_tls(why)),
    }
}

/// The path answered; what it said is no TLS that we take.
fn no_tls(why: String) -> End {
    End { tls_error: Some(why), ..End::of(Outcome::Answered { at: clock::now() }) }
}
