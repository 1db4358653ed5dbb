//! What the kernel's counters add to a death: a rule for each, over the difference of a whole run. Such a number is of
//! everybody's packets, so it goes with a death whose place is known and never makes one.

use super::{Side, last::Doing};
use crate::{
    counters::Hook,
    probe::Kind,
    report::{Cause, Leg},
};

/// What is known of packets that died alike.
pub struct Dead<'a> {
    /// How many attempts.
    pub attempts: u64,
    /// Of which kind.
    pub kind: Kind,
    /// The visited port.
    pub port: Option<u16>,
    /// On which leg.
    pub leg: Leg,
    /// The class of their death.
    pub cause: Cause,
    /// Reason, as the kernel names it.
    pub reason: Option<&'a str>,
    /// The function that freed them.
    pub symbol: Option<&'a str>,
    /// The stage, where known.
    pub stage: Option<&'a str>,
    /// The device: its index and its name.
    pub device: Option<(u32, &'a str)>,
    /// What they did when they were seen last, where no drop ended them.
    pub doing: Option<&'a Doing>,
}

/// Said of every number.
const OF_ALL: &str = "in the whole run, others' packets included";

/// What the counters of their namespace say of them.
pub fn notes(side: &Side, dead: &Dead) -> Vec<String> {
    [listener, udp_socket, packet_socket, queue, filter, table, invalid, upcalls]
        .iter()
        .filter_map(|rule| rule(side, dead))
        .collect()
}

/// Did connection tracking drop them, and no rule? Both leave NETFILTER_DROP, or nothing where there are no reasons. A rule of nft is on the stack, one of
/// iptables is not (`ipt_do_table` has returned); but only connection tracking counts them: as `drop` where packets enter
/// (`nf_conntrack_in`), as `insert_failed` where they leave (`__nf_conntrack_confirm`).
pub fn is_conntrack(side: &Side, dead: &Dead) -> bool {
    matches!(dead.reason, Some("NETFILTER_DROP") | None)
        && dead.symbol == Some("nf_hook_slow")
        && tracked(side, dead).is_some_and(|dropped| dropped >= dead.attempts)
}

/// What connection tracking dropped at the hook where they died.
fn tracked(side: &Side, dead: &Dead) -> Option<u64> {
    match dead.stage? {
        "netfilter prerouting" | "netfilter output" => side.conntrack_drop,
        "netfilter input" | "netfilter postrouting" => side.conntrack_insert_failed,
        _ => None,
    }
    .filter(|dropped| *dropped > 0)
}

/// Its table was full, or two packets of one new connection raced.
fn table(side: &Side, dead: &Dead) -> Option<String> {
    if dead.cause != Cause::Conntrack {
        return None;
    }
    let dropped = tracked(side, dead)?;
    Some(match dead.stage {
        Some("netfilter prerouting" | "netfilter output") => format!(
            "connection tracking had no room for them: it dropped {dropped} {OF_ALL}; compare `sysctl \
             net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max`"
        ),
        _ => format!(
            "connection tracking could not enter them: insert_failed grew by {dropped} {OF_ALL}, which happens \
             when two packets of a new connection race"
        ),
    })
}

/// A rule on `ct state invalid` leaves nothing that tells it from another one.
fn invalid(side: &Side, dead: &Dead) -> Option<String> {
    let invalid = side.conntrack_invalid.filter(|invalid| *invalid >= dead.attempts)?;
    (dead.cause == Cause::Netfilter).then(|| {
        format!("connection tracking called {invalid} packets invalid {OF_ALL}: perhaps a rule on that dropped them")
    })
}

/// A listener drops connections without a `kfree_skb` that tells.
fn listener(side: &Side, dead: &Dead) -> Option<String> {
    let at_listener = match (dead.reason, dead.doing) {
        (Some(reason), _) => reason.starts_with("TCP_LISTEN_"),
        (None, Some(Doing::Consumed(symbol))) => {
            symbol.as_deref().is_none_or(|symbol| symbol.starts_with("tcp_"))
        }
        (None, Some(Doing::Arrived)) => true,
        _ => false,
    };
    let by_tcp = dead.kind.connects() || dead.kind == Kind::Stream;
    if !at_listener || !by_tcp || dead.leg != Leg::Request || dead.cause != Cause::Socket {
        return None;
    }
    let port = dead.port?;
    // Where listeners are not told apart all of the namespace's may be meant.
    let dropped = side.listener_drops(port).or(side.listen_drops).filter(|dropped| *dropped > 0)?;
    Some(match side.listen_overflows {
        Some(overflows @ 1..) => format!(
            "the listener on port {port} overflowed: ListenOverflows grew by {overflows}, and it dropped {dropped} \
             {OF_ALL}; its program accepts too slowly, or its backlog (Send-Q) is too small"
        ),
        _ => format!(
            "the listener on port {port} dropped {dropped} {OF_ALL}, and its accept queue did not overflow: its \
             queue of half-open connections was full (`sysctl net.ipv4.tcp_max_syn_backlog \
             net.ipv4.tcp_syncookies`)"
        ),
    })
}

fn udp_socket(side: &Side, dead: &Dead) -> Option<String> {
    let is_it = dead.kind == Kind::Udp && dead.leg == Leg::Request && dead.cause == Cause::Socket;
    let port = dead.port.filter(|_| is_it && dead.reason != Some("NO_SOCKET"))?;
    let dropped = side.udp_drops(port).filter(|dropped| *dropped > 0)?;
    Some(format!(
        "the UDP sockets on port {port} dropped {dropped} {OF_ALL}: their program reads too slowly, or their buffer is \
         too small"
    ))
}

/// What a full packet socket drops has no `kfree_skb`. It matters where its owner was to send packets on.
fn packet_socket(side: &Side, dead: &Dead) -> Option<String> {
    if !matches!(dead.doing, Some(Doing::Received | Doing::ReadFromPacketSocket)) {
        return None;
    }
    let (ifindex, device) = dead.device?;
    let dropped = side.packet_drops(ifindex).filter(|dropped| *dropped > 0)?;
    Some(format!("packet sockets on {device} dropped {dropped} {OF_ALL}, since nobody read them in time"))
}

fn queue(side: &Side, dead: &Dead) -> Option<String> {
    let (ifindex, device) = dead.device.filter(|_| dead.cause == Cause::Queue)?;
    let dropped = side.queue_drops(ifindex, Hook::Egress).filter(|dropped| *dropped > 0)?;
    Some(format!("the queue of {device} dropped {dropped} {OF_ALL}"))
}

/// Upcalls that failed, by datapath, port and handler.
fn upcalls(side: &Side, dead: &Dead) -> Option<String> {
    let (_, port) = dead.device.filter(|_| dead.cause == Cause::OvsUpcall)?;
    let (name, datapath) = side.datapaths.iter().find(|(_, datapath)| datapath.lost > 0)?;
    let of_port = datapath.ports.get(port).filter(|upcalls| upcalls.failed > 0);
    let of_port = of_port.map(|upcalls| format!(", {} of {port} failed", upcalls.failed)).unwrap_or_default();
    let dropped: u64 = datapath.handlers.values().sum();
    let dropped = match dropped {
        0 => String::new(),
        dropped => format!(", ovs-vswitchd's sockets dropped {dropped}"),
    };
    Some(format!(
        "{name} could not hand {} packets to ovs-vswitchd (lost){of_port}{dropped} {OF_ALL}",
        datapath.lost
    ))
}

/// Both directions of `clsact` count in one place.
fn filter(side: &Side, dead: &Dead) -> Option<String> {
    let (ifindex, device) = dead.device.filter(|_| dead.cause == Cause::Tc)?;
    let dropped = side.queue_drops(ifindex, Hook::Ingress).filter(|dropped| *dropped > 0)?;
    Some(format!("the filters of {device} dropped {dropped} {OF_ALL}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        counters::{Qdisc, Socket},
        verdict::Queue,
    };

    fn side() -> Side {
        let socket = |port, ifindex, drops| Socket { port, ifindex, inode: 1, drops };
        let queue = |hook, drops| Queue {
            ifindex: 3,
            hook,
            qdisc: Qdisc {
                device: "r1".to_owned(),
                kind: "tbf".to_owned(),
                handle: 1,
                drops,
                overlimits: 0,
                requeues: 0,
                queued: 0,
                backlog: 0,
            },
        };
        Side {
            listen_overflows: Some(5),
            listen_drops: Some(9),
            conntrack_drop: Some(20),
            conntrack_insert_failed: Some(2),
            conntrack_invalid: Some(30),
            queues: Some(vec![queue(Hook::Egress, 17), queue(Hook::Ingress, 4)]),
            listeners: Some(vec![socket(80, 0, 7)]),
            udp_sockets: Some(vec![socket(53, 0, 8)]),
            packet_sockets: Some(vec![socket(3, 3, 158)]),
            ..Side::default()
        }
    }

    const DEAD: Dead = Dead {
        attempts: 10,
        kind: Kind::Tcp,
        port: Some(80),
        leg: Leg::Request,
        cause: Cause::Socket,
        reason: None,
        symbol: None,
        stage: None,
        device: Some((3, "r1")),
        doing: None,
    };

    /// The notes, as far as the number.
    fn said(side: &Side, dead: Dead) -> Vec<String> {
        let cut = |note: String| note.split(" in the whole run").next().unwrap_or_default().to_owned();
        notes(side, &dead).into_iter().map(cut).collect()
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_listener_that_dropped_is_named() {
        let consumed = Doing::Consumed(Some("tcp_rcv_state_process".to_owned()));
        let dead = || Dead { doing: Some(&consumed), ..DEAD };
        let overflowed = "the listener on port 80 overflowed: ListenOverflows grew by 5, and it dropped 7";
        assert_eq!(said(&side(), dead()), [overflowed]);
        assert_eq!(said(&side(), Dead { reason: Some("TCP_LISTEN_OVERFLOW"), ..DEAD }), [overflowed]);
        let half_open = Side { listen_overflows: Some(0), ..side() };
        assert_eq!(said(&half_open, dead()), ["the listener on port 80 dropped 7"]);
        // Another port's listener, a listener that is not there, a reply, counters that were not read.
        assert_eq!(said(&side(), Dead { port: Some(81), ..dead() }), NOTHING);
        assert_eq!(said(&side(), Dead { reason: Some("NO_SOCKET"), ..DEAD }), NOTHING);
        assert_eq!(said(&side(), Dead { leg: Leg::Reply, ..dead() }), NOTHING);
        assert_eq!(said(&Side::default(), dead()), NOTHING);
    }

    #[test]
    fn a_full_udp_socket_is_named() {
        let dead = |port| Dead { kind: Kind::Udp, port: Some(port), reason: Some("SOCKET_RCVBUFF"), ..DEAD };
        assert_eq!(said(&side(), dead(53)), ["the UDP sockets on port 53 dropped 8"]);
        assert_eq!(said(&side(), dead(54)), NOTHING);
        assert_eq!(said(&side(), Dead { reason: Some("NO_SOCKET"), ..dead(53) }), NOTHING);
    }

    #[test]
    fn packet_sockets_count_where_a_packet_was_not_sent_on() {
        let dead = |doing| Dead { cause: Cause::Unseen, doing: Some(doing), ..DEAD };
        assert_eq!(said(&side(), dead(&Doing::Received)), ["packet sockets on r1 dropped 158"]);
        assert_eq!(said(&side(), dead(&Doing::Transmitted(None))), NOTHING);
        let elsewhere = Dead { device: Some((4, "r2")), ..dead(&Doing::Received) };
        assert_eq!(said(&side(), elsewhere), NOTHING);
    }

    #[test]
    fn queues_and_filters_tell_what_they_dropped() {
        assert_eq!(said(&side(), Dead { cause: Cause::Queue, ..DEAD }), ["the queue of r1 dropped 17"]);
        assert_eq!(said(&side(), Dead { cause: Cause::Tc, ..DEAD }), ["the filters of r1 dropped 4"]);
        assert_eq!(said(&side(), Dead { cause: Cause::Queue, device: None, ..DEAD }), NOTHING);
        assert_eq!(said(&Side { queues: None, ..side() }, Dead { cause: Cause::Queue, ..DEAD }), NOTHING);
    }

    #[test]
    fn connection_tracking_is_to_blame_only_where_it_counted_enough() {
        let dead = |symbol, stage| Dead {
            cause: Cause::Netfilter,
            reason: Some("NETFILTER_DROP"),
            symbol: Some(symbol),
            stage: Some(stage),
            ..DEAD
        };
        let table = |dead: Dead| is_conntrack(&side(), &dead);
        assert!(table(dead("nf_hook_slow", "netfilter prerouting")));
        assert!(table(dead("nf_hook_slow", "netfilter output")));
        assert!(table(Dead { reason: None, ..dead("nf_hook_slow", "netfilter output") }));
        // A rule of nft; a hook without connection tracking; one where it counted two.
        assert!(!table(dead("nft_do_chain", "netfilter prerouting")));
        assert!(!table(dead("nf_hook_slow", "netfilter forward")));
        assert!(!table(dead("nf_hook_slow", "netfilter postrouting")));
        assert!(table(Dead { attempts: 2, ..dead("nf_hook_slow", "netfilter postrouting") }));
        assert!(!table(Dead { attempts: 21, ..dead("nf_hook_slow", "netfilter prerouting") }));
        assert!(!is_conntrack(&Side::default(), &dead("nf_hook_slow", "netfilter prerouting")));
        let full = Dead { cause: Cause::Conntrack, ..dead("nf_hook_slow", "netfilter prerouting") };
        assert_eq!(said(&side(), full), ["connection tracking had no room for them: it dropped 20"]);
    }

    #[test]
    fn a_rule_may_have_dropped_what_is_invalid() {
        let dead = |attempts| Dead { attempts, cause: Cause::Netfilter, ..DEAD };
        assert_eq!(said(&side(), dead(30)), ["connection tracking called 30 packets invalid"]);
        assert_eq!(said(&side(), dead(31)), NOTHING);
    }
}
