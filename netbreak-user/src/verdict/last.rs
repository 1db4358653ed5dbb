//! The last that was seen of an attempt whose end no drop tells.

use netbreak_common::{
    Event, LEG_REPLY, LEG_REQUEST, STAGE_BACKLOG, STAGE_CONSUMED, STAGE_QUEUE, STAGE_RECEIVE, STAGE_ROUTE,
    STAGE_SOCKET, STAGE_TRANSMIT, STAGE_UPCALL, UPCALL_UNKNOWN,
};

use super::{
    Change, Evidence, Names, TCP_RST, TCP_SYN,
    ending::Ending,
    floods::without_strays,
    next_hop::silent,
    port::{Port, port},
};
use crate::{
    clock::Nanos,
    kernel::{Stop, Trail},
    probe::Kind,
    report::{Cause, Leg},
};

/// Where an attempt was seen last, and what that says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// On which leg.
    pub leg: Leg,
    /// What it was doing there.
    pub doing: Doing,
    /// Index of the device; `None` where it had none.
    pub ifindex: Option<u32>,
    /// Namespace, by inode.
    pub netns: Option<u32>,
    /// When.
    pub at: Nanos,
    /// Did the host refuse it there because its link address was somebody else's?
    pub is_refused: bool,
}

/// What a packet did when it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doing {
    /// Sent, and handed to no device: it waits for the next hop's link address.
    Waiting,
    /// In a device's queue.
    Queued,
    /// Sent through a device of this kind (`None`: hardware).
    Transmitted(Option<String>),
    /// In a CPU's backlog.
    InBacklog,
    /// Taken from a device on its way, and not seen again.
    Received,
    /// Taken from a device of the host that it was for, and not read by anybody.
    Arrived,
    /// Sent, and acknowledged by the host that it was for, whose program did not answer.
    Acknowledged,
    /// Not sent, since the socket that it was for took no more.
    Unread,
    /// Read by the owner of a packet socket on the device.
    ReadFromPacketSocket,
    /// Read by the process that holds the TAP device open which it was sent into.
    ReadFromTap,
    /// Read by the owner of the socket that it was for.
    Delivered,
    /// Taken by the stack, which was done with it in this function.
    Consumed(Option<String>),
    /// Taken by Open vSwitch's kernel datapath, which let it out by no port.
    InSwitch,
    /// In that datapath, which had no flow for it.
    Upcall(Asked),
    /// Not there at all: its host had no route for it.
    NoRoute {
        /// What the lookup came to.
        errno: i32,
        /// Was it a program's answer, and not one that the stack itself makes?
        by_program: bool,
    },
}

/// What came of asking ovs-vswitchd (`ovs_dp_upcall`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// It has a copy.
    Handed,
    /// It could not be asked: the errno, 0 where this kernel does not tell.
    Refused(i32),
    /// It was asked, and nothing tells with what success.
    Unknown,
}

/// What was seen last of `attempt` of `probe`; `None` where nobody looked. `events` are what happened to its packets.
pub fn last(evidence: &Evidence, probe: u32, attempt: u64, sent: Nanos, events: &[&Event]) -> Option<Last> {
    let trail = |leg| evidence.trails.of(probe, attempt, leg);
    let seen = |leg, trail| on_leg(evidence, (probe, attempt, sent), events, (leg, trail));
    match (trail(LEG_REQUEST), trail(LEG_REPLY)) {
        (Some(request), Some(reply)) if request.last > reply.last => seen(Leg::Request, request),
        (request, Some(reply)) => {
            let back = seen(Leg::Reply, reply.clone())?;
            let there = request.filter(|_| acknowledges(evidence, probe, &back)).and_then(|request| {
                let said = Said::of(&request, &reply)?;
                Some(said.about(seen(Leg::Request, request)?, back.at))
            });
            Some(there.unwrap_or(back))
        }
        (Some(request), None) => seen(Leg::Request, request),
        (None, None) => {
            let (leg, doing) = (Leg::Request, Doing::Waiting);
            let netns = Some(evidence.netns);
            let waiting = Last { leg, doing, ifindex: None, netns, at: sent, is_refused: false };
            evidence.trails.knows(probe, attempt).then_some(waiting)
        }
    }
}

/// Had it come back to the probe's own host without being what the probe waits for? A connection has segments that only
/// acknowledge; what the probe waits for is more than that, unless all that it waits for is the connection.
fn acknowledges(evidence: &Evidence, probe: u32, back: &Last) -> bool {
    let kind = evidence.records.get(probe as usize).map(|record| record.kind);
    let has_more = matches!(kind, Some(Kind::Http | Kind::Https | Kind::Stream));
    let came = match &back.doing {
        Doing::Arrived | Doing::Delivered => true,
        Doing::Consumed(symbol) => symbol.as_deref().is_none_or(|symbol| symbol.starts_with("tcp_")),
        _ => false,
    };
    has_more && came && back.netns == Some(evidence.netns)
}

/// What a segment that came back says about the request.
#[derive(Clone, Copy)]
enum Said {
    /// The other end has it, and its program's answer is what is missing.
    Acknowledged,
    /// No more than where the request was seen last.
    Nothing,
}

impl Said {
    /// Of the last segments on both legs; `None` where the one that came back is what was waited for at that time.
    fn of(request: &Trail, reply: &Trail) -> Option<Self> {
        let flags = |trail: &Trail| Some(trail.stops.iter().rfind(|stop| stop.is_on_the_way())?.flags);
        match (flags(request)?, flags(reply)?) {
            (_, reply) if reply & TCP_RST != 0 => Some(Said::Nothing),
            (request, reply) if reply & TCP_SYN != 0 => (request & TCP_SYN == 0).then_some(Said::Nothing),
            _ => Some(Said::Acknowledged),
        }
    }

    /// That place of the request by which it is told, where it came back `at` that time.
    fn about(self, there: Last, at: Nanos) -> Last {
        let doing = match (self, there.doing) {
            (Said::Nothing, doing) => return Last { doing, ..there },
            (Said::Acknowledged, doing @ (Doing::Arrived | Doing::Delivered)) => doing,
            (Said::Acknowledged, Doing::Consumed(_)) => Doing::Arrived,
            (Said::Acknowledged, _) => Doing::Acknowledged,
        };
        Last { doing, at, ..there }
    }
}

/// The same of its packets on one leg: `probe`, `attempt` and when it was sent, what happened to them, and where they were.
fn on_leg(
    evidence: &Evidence,
    (probe, attempt, sent): (u32, u64, Nanos),
    events: &[&Event],
    (leg, trail): (Leg, Trail),
) -> Option<Last> {
    let at = trail.last;
    if let Some((errno, netns)) = no_route(&trail) {
        let doing = Doing::NoRoute { errno, by_program: false };
        // What dropped the request at its host did so before or after that lookup, which may not have been for it.
        let at = evidence.trails.of(probe, attempt, LEG_REQUEST).map_or(at, |request| request.last.min(at));
        return Some(Last { leg, doing, ifindex: None, netns, at, is_refused: false });
    }
    // Its own address, which need not be the one that the probe visits.
    let is_there = |stop: &Stop| match leg {
        Leg::Reply => stop.netns == evidence.netns,
        _ => evidence.names.has_address(stop.netns, stop.destination),
    };
    // A bond, or a VLAN's device, has it without having received it.
    let is_refused = |(netns, ifindex): (u32, u32)| {
        events.iter().filter(|event| event.netns == netns).any(|event| {
            let ending = Ending::of(event, evidence.names);
            let is_there = event.ifindex == ifindex || ending.is_misdirected(event, evidence.names);
            ending.is_for_another() && is_there
        })
    };
    let is_astray = |stop: &Stop| !is_there(stop) && is_refused((stop.netns, stop.ifindex));
    let stops = without_strays(trail.stops, is_astray);
    let Some((stop, device)) = end(&stops, evidence.names) else {
        let symbol = trail.stops.last().and_then(|stop| evidence.names.symbol(stop.location));
        // A neighbour that fails, or has too many packets waiting, gives them up (`neigh_invalidate`).
        let waited = symbol.as_deref().is_some_and(|symbol| symbol.contains("neigh_"));
        let doing = if waited { Doing::Waiting } else { Doing::Consumed(symbol) };
        let netns = Some(evidence.netns);
        return Some(Last { leg, doing, ifindex: None, netns, at, is_refused: false });
    };
    // What a socket or the stack took has left its device: it was on the one that it came from.
    let (ifindex, netns) = (Some(device.ifindex), Some(device.netns));
    let mut doing = match is_switched(&stop, &device, evidence.names) {
        true => Doing::InSwitch,
        false => doing(&stop, evidence.names),
    };
    let target = evidence.records.get(probe as usize).map(|record| record.address);
    // A packet with somebody else's link address is not for this host, but for whoever reads packet sockets.
    let is_for_others = is_refused((device.netns, device.ifindex));
    let elsewhere = |change: &Change| change.netns == device.netns && change.ifindex != device.ifindex;
    if let (Doing::Received, false, Some(silent)) =
        (&doing, is_for_others, silent(evidence, (leg, target), at, elsewhere))
    {
        let (doing, ifindex) = (Doing::Waiting, Some(silent.ifindex));
        return Some(Last { leg, doing, ifindex, netns, at, is_refused: false });
    }
    let is_tap =
        || evidence.names.device(device.netns, device.ifindex)?.kind.as_deref().map(|kind| kind == "tun");
    match doing {
        Doing::Delivered if device.stage == STAGE_TRANSMIT && is_tap() == Some(true) => {
            doing = Doing::ReadFromTap;
        }
        Doing::Received if is_there(&device) && !is_for_others => doing = Doing::Arrived,
        Doing::Delivered if !is_there(&device) || is_for_others => doing = Doing::ReadFromPacketSocket,
        _ => {}
    }
    // A program answers, or tries to, when it has read the datagram.
    if let (Doing::Arrived | Doing::Delivered, Leg::Request) = (&doing, leg)
        && let Some(errno) =
            evidence.trails.no_route(probe, |tried| (at..=sent + evidence.timeout).contains(&tried))
    {
        let (leg, doing) = (Leg::Reply, Doing::NoRoute { errno: reason(errno), by_program: true });
        return Some(Last { leg, doing, ifindex: None, netns, at, is_refused: false });
    }
    // The time is that of a stray's: nothing says that a drop before it was a copy's.
    let is_refused = is_for_others || stops.len() < trail.stops.len();
    Some(Last { leg, doing, ifindex, netns, at, is_refused })
}

/// (errno, namespace) where a trail ends at a host that had no route for what it was to send.
fn no_route(trail: &Trail) -> Option<(i32, Option<u32>)> {
    let stop = trail.stops.iter().rfind(|stop| stop.is_on_the_way())?;
    (stop.stage == STAGE_ROUTE).then(|| (reason(stop.flags.into()), (stop.netns != 0).then_some(stop.netns)))
}

/// Of a lookup: when each of the tables says "ask the next one" there is no route (`fib_lookup`, `__fib_lookup`).
fn reason(errno: i32) -> i32 {
    if errno == libc::EAGAIN { libc::ENETUNREACH } else { errno }
}

/// The stop that tells the end, and the last one at a device.
fn end(stops: &[Stop], names: &dyn Names) -> Option<(Stop, Stop)> {
    let position = stops.iter().rposition(Stop::is_on_the_way)?;
    let device = stops[position];
    let came_in = !matches!(device.stage, STAGE_QUEUE | STAGE_TRANSMIT);
    let tells = |stop: &&Stop| match stop.stage {
        STAGE_SOCKET => true,
        // A driver frees what it has sent, and a reader what it has read: that is no end.
        _ => came_in && !is_a_reader(names.symbol(stop.location).as_deref()),
    };
    if device.stage == STAGE_UPCALL {
        return Some((device, device));
    }
    let end = stops[position + 1..].iter().find(tells).copied().unwrap_or(device);
    Some((end, device))
}

/// Where a datagram is freed that its socket's owner has read: it is copied without a tracepoint (`copy_linear_skb`).
/// Since 6.18 the CPU that it came by frees it (`skb_attempt_defer_free` in net/core/skbuff.c).
pub(super) fn is_a_read_datagram(symbol: Option<&str>) -> bool {
    symbol.is_some_and(|symbol| {
        matches!(symbol, "skb_consume_udp" | "udp_recvmsg" | "udpv6_recvmsg" | "skb_defer_free_flush")
    })
}

/// Functions that free a packet, or a copy of it, because its reader has it.
fn is_a_reader(symbol: Option<&str>) -> bool {
    symbol.is_some_and(|symbol| {
        ["packet_", "tpacket_", "raw_", "rawv6_", "ping_", "skb_free_datagram", "__skb_free"]
            .iter()
            .any(|prefix| symbol.starts_with(prefix))
    })
}

/// Did the kernel datapath take the packet from this device, its port? It takes all that comes in; what is sent into an
/// internal port is taken at once, what comes in there is out of the datapath.
fn is_switched(stop: &Stop, device: &Stop, names: &dyn Names) -> bool {
    let took = matches!(
        (port(names, device.netns, device.ifindex), device.stage),
        (Some(Port::Taken), STAGE_RECEIVE) | (Some(Port::Internal), STAGE_TRANSMIT)
    );
    // Whoever reads a packet socket on the port has a copy.
    took && stop.stage != STAGE_SOCKET
}

fn doing(stop: &Stop, names: &dyn Names) -> Doing {
    match stop.stage {
        STAGE_UPCALL => Doing::Upcall(match stop.flags {
            0 => Asked::Handed,
            UPCALL_UNKNOWN => Asked::Unknown,
            errno => Asked::Refused(errno.into()),
        }),
        STAGE_QUEUE => Doing::Queued,
        STAGE_TRANSMIT => {
            Doing::Transmitted(names.device(stop.netns, stop.ifindex).and_then(|device| device.kind.clone()))
        }
        STAGE_BACKLOG => Doing::InBacklog,
        STAGE_SOCKET => Doing::Delivered,
        STAGE_CONSUMED => match names.symbol(stop.location) {
            symbol if is_a_read_datagram(symbol.as_deref()) => Doing::Delivered,
            // A neighbour that fails gives up the packets that wait for it, the one that asked as done with.
            Some(symbol) if symbol.contains("neigh_") => Doing::Received,
            symbol => Doing::Consumed(symbol),
        },
        _ => Doing::Received,
    }
}

impl Last {
    /// Is this only how a host gives up an echo request that it could not answer?
    pub fn ends_in(&self, ending: &Ending) -> bool {
        let gives_up = matches!(ending.symbol.as_deref(), Some("icmp_rcv" | "icmpv6_rcv"));
        gives_up && matches!(self.doing, Doing::NoRoute { by_program: false, .. })
    }

    /// Was it taken from a device in this namespace, and by nobody after that, not even from a packet socket?
    pub fn is_untaken_in(&self, netns: u32) -> bool {
        self.doing == Doing::Received && self.netns == Some(netns)
    }
}

/// Where Open vSwitch asks what to do with a packet.
pub(super) const UPCALL_STAGE: &str = "openvswitch upcall";

impl Doing {
    /// The class of such a death.
    pub fn cause(&self) -> Cause {
        match self {
            Doing::Waiting => Cause::Neighbour,
            Doing::Queued | Doing::InBacklog => Cause::Queue,
            Doing::Transmitted(Some(kind)) if kind == "veth" => Cause::Link,
            Doing::Transmitted(_) | Doing::Received | Doing::ReadFromPacketSocket | Doing::ReadFromTap => {
                Cause::Unseen
            }
            Doing::Arrived | Doing::Acknowledged | Doing::Unread | Doing::Delivered => Cause::Socket,
            Doing::Consumed(Some(symbol)) if symbol.starts_with("ovs_") || symbol == "do_execute_actions" => {
                Cause::OvsFlow
            }
            Doing::Consumed(Some(symbol))
                if ["icmp", "tcp_", "udp"].iter().any(|prefix| symbol.starts_with(prefix)) =>
            {
                Cause::Socket
            }
            Doing::InSwitch | Doing::Upcall(Asked::Handed | Asked::Unknown) => Cause::OvsFlow,
            Doing::Upcall(Asked::Refused(_)) => Cause::OvsUpcall,
            Doing::Consumed(_) => Cause::Other,
            Doing::NoRoute { .. } => Cause::Route,
        }
    }

    /// The stage, in words.
    pub fn stage(&self) -> &'static str {
        match self {
            Doing::Waiting => "neighbour",
            Doing::Queued => "qdisc",
            Doing::Transmitted(_) | Doing::Acknowledged => "device transmit",
            Doing::InBacklog => "cpu backlog",
            Doing::Received | Doing::Arrived => "device receive",
            Doing::ReadFromPacketSocket => "packet socket",
            Doing::ReadFromTap => "tap device",
            Doing::Delivered | Doing::Unread => "socket",
            Doing::Consumed(_) => "stack",
            Doing::InSwitch => "openvswitch",
            Doing::Upcall(_) => UPCALL_STAGE,
            Doing::NoRoute { .. } => "routing",
        }
    }

    /// The errno that says why, if one does.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Doing::NoRoute { errno, .. } => Some(*errno),
            Doing::Upcall(Asked::Refused(errno)) => Some(*errno),
            _ => None,
        }
    }
}
