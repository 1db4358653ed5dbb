//! The loop of the two probes that send single packets through one long-lived socket: icmp and udp.

use std::io::{self, Read};
use std::sync::Arc;

use socket2::Socket;
use tokio::io::Interest;

use crate::clock;

use super::FlowRegistry;
use super::attempt::Record;
use super::connect::errno_of;
use super::plan::Plan;
use super::run::Control;
use super::socket::next_icmp_error;
use super::spec::Spec;
use super::ticker::{Ticker, poll};
use super::tracker::Tracker;
use super::wire::Header;

/// What is different between icmp and udp.
pub(super) trait Wire: Send {
    /// Our port or echo identifier.
    fn local_port(&self) -> u16;
    /// Writes the packet of an attempt over what `out` holds.
    fn request(&self, header: &Header, size: usize, out: &mut Vec<u8>);
    /// Reads what the socket received; `None` if no probe of ours sent the request.
    fn reply(&self, packet: &[u8]) -> Option<Header>;
    /// Which attempt an ICMP error quotes.
    fn quoted(&self, message: &[u8], is_ours: impl Fn(&Header) -> bool, tracker: &Tracker) -> Option<u64>;
}

/// A socket for icmp or udp, ready to send.
pub(super) struct Opened<W> {
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// Index of the probe within the run.
    pub index: u32,
    /// Bound, and not connected: that takes a route, which may be missing or come later.
    pub socket: Socket,
    /// Told which attempts are settled.
    pub registry: Arc<dyn FlowRegistry>,
    /// Packets in bytes.
    pub wire: W,
}

/// After so many packets the other direction gets its turn, so that neither buffer overflows.
const BURST: usize = 64;

/// Longest packet that is read whole; a quoted packet is cut to it, too. Our headers are at its begin.
const BUFFER: usize = 65_536;

/// Runs the plan to its end, and waits for answers until the last time-out.
pub(super) async fn run<W: Wire>(
    opened: Opened<W>,
    mut plan: Plan,
    ticker: Ticker,
    mut control: Control,
) -> io::Result<Record> {
    let Opened { spec, index, socket, registry, wire } = opened;
    let socket = poll(socket, Interest::READABLE | Interest::ERROR)?;
    let mut probe = Datagrams {
        tracker: Tracker::new(spec.kind, spec.timeout),
        wire,
        index,
        registry,
        connected: false,
        control: control.clone(),
        out: Vec::new(),
        buffer: vec![0; BUFFER],
        spec,
    };
    loop {
        probe.tell_settled();
        let next = probe.tracker.next_seq();
        for seq in plan.due(next, clock::now()).take(BURST) {
            probe.send(socket.get_ref(), &plan, seq);
        }
        let wake = match plan.next_due(probe.tracker.next_seq()) {
            Some(at) => at,
            None => match probe.tracker.awaited_until(clock::now()) {
                Some(at) => at + 1,
                None => {
                    // What came while we slept past the last time-out is late, not lost.
                    probe.take_errors(socket.get_ref());
                    while !probe.receive(socket.get_ref()) {}
                    break;
                }
            },
        };
        tokio::select! {
            expired = ticker.until(wake) => expired?,
            ready = socket.ready(Interest::READABLE | Interest::ERROR) => {
                let mut ready = ready?;
                probe.take_errors(socket.get_ref());
                if probe.receive(socket.get_ref()) {
                    ready.clear_ready();
                }
            }
            () = control.stopped() => plan.cut(probe.tracker.next_seq()),
        }
    }
    probe.tell_settled();
    drop(socket);
    let mut record = probe.spec.record();
    (record.attempts, record.duplicates) = probe.tracker.finish();
    Ok(record)
}

struct Datagrams<W> {
    spec: Arc<Spec>,
    tracker: Tracker,
    wire: W,
    index: u32,
    registry: Arc<dyn FlowRegistry>,
    connected: bool,
    control: Control,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl<W: Wire> Datagrams<W> {
    fn send(&mut self, socket: &Socket, plan: &Plan, seq: u64) {
        let sent = clock::now();
        let header = Header { seq, run_id: self.spec.run_id, sent, probe: self.index };
        self.wire.request(&header, self.spec.size, &mut self.out);
        self.tracker.sent(plan.planned(seq), sent, self.wire.local_port());
        self.control.count_sent();
        if !self.connected
            && let Err(error) = socket.connect(&self.spec.remote().into())
        {
            return self.tracker.send_failed(seq, errno_of(&error));
        }
        self.connected = true;
        let Err(error) = socket.send(&self.out) else { return };
        let errno = errno_of(&error);
        // An ICMP error for an earlier packet is reported by the next call (`sock_error`), which then does nothing. Only
        // that may be tried again: after an EPERM of netfilter the packet has existed, and a second one would be counted.
        let was_pending = self.take_errors(socket).contains(&errno);
        let again = if was_pending { socket.send(&self.out) } else { Err(error) };
        if let Err(error) = again {
            self.tracker.send_failed(seq, errno_of(&error));
        }
    }

    /// Tells the kernel side which attempts have had their time, and whoever watches what became of them.
    fn tell_settled(&mut self) {
        while let Some(seq) = self.tracker.overdue(clock::now()) {
            self.registry.settled(self.index, seq, false);
        }
        while let Some((sent, answered)) = self.tracker.settled() {
            self.control.settled(sent, answered);
        }
    }

    /// Reads replies. Returns whether there are no more for now.
    fn receive(&mut self, socket: &Socket) -> bool {
        for _ in 0..BURST {
            match (&*socket).read(&mut self.buffer) {
                Ok(length) => {
                    let at = clock::now();
                    let header = self.wire.reply(&self.buffer[..length]);
                    if let Some(header) = header.filter(ours(&self.spec, self.index))
                        && self.tracker.answered(header.seq, at)
                    {
                        self.control.count_answered();
                        self.registry.settled(self.index, header.seq, true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // A pending ICMP error; it lies in the error queue as well.
                Err(_) => drop(self.take_errors(socket)),
            }
        }
        false
    }

    /// Reads ICMP errors. Returns their errnos.
    fn take_errors(&mut self, socket: &Socket) -> Vec<i32> {
        let mut errnos = Vec::new();
        while let Some((errno, length)) = next_icmp_error(socket, &mut self.buffer) {
            let at = clock::now();
            let is_ours = ours(&self.spec, self.index);
            if let Some(seq) = self.wire.quoted(&self.buffer[..length], is_ours, &self.tracker) {
                self.tracker.unreachable(seq, at, errno);
            }
            errnos.push(errno);
        }
        errnos
    }
}

fn ours(spec: &Spec, index: u32) -> impl Fn(&Header) -> bool {
    let run_id = spec.run_id;
    move |header| header.run_id == run_id && header.probe == index
}
