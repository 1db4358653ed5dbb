//! Books: what was traced against what the kernel counted, for each namespace concerned.

use netbreak_common::{FAMILY_V4, FAMILY_V6, UPCALL_COMMAND, UPCALL_UNKNOWN, sensor};

use super::Names;
use crate::{kernel::PlaceRow, report::Book};

/// The exact table, read right before and right after a snapshot of the kernel's counters: what was traced at the very
/// moment of the snapshot lies between the two.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// Read before the snapshot.
    pub before: Vec<PlaceRow>,
    /// Read after it.
    pub after: Vec<PlaceRow>,
}

/// What the probes themselves know of their namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// Echo requests that the kernel took, IPv4 and IPv6; `None` without such a probe.
    pub echoes: [Option<u64>; 2],
    /// Echo replies that arrived.
    pub replies: [Option<u64>; 2],
    /// Sends that failed for want of a route, IPv4 and IPv6: the kernel counts them and has no packet.
    pub no_route: [u64; 2],
}

/// One kind of book.
struct Spec {
    name: &'static str,
    sensors: &'static [u8],
    /// Drop reasons; empty = any.
    reasons: &'static [&'static str],
    protocol: Option<u8>,
    family: Option<u8>,
    counter: &'static str,
    /// A counter that belongs on the traced side.
    also: Option<&'static str>,
}

const DROP: &[u8] = &[sensor::DROP];

const fn drops(
    name: &'static str,
    reasons: &'static [&'static str],
    protocol: Option<u8>,
    family: Option<u8>,
    counter: &'static str,
) -> Spec {
    Spec { name, sensors: DROP, reasons, protocol, family, counter, also: None }
}

const UDP: Option<u8> = Some(17);
const TCP: Option<u8> = Some(6);
const V4: Option<u8> = Some(FAMILY_V4);
const V6: Option<u8> = Some(FAMILY_V6);

/// Each line names the kernel function that raises the counter where it frees the packet.
const SPECS: &[Spec] = &[
    // `__tcp_retransmit_skb` counts before it sends; what it then failed to send is in TCPRetransFail, and is traced
    // with its errno (`retransmitted`) or, where the tracepoint has none, not at all.
    Spec {
        name: "retransmitted segments",
        sensors: &[sensor::RETRANSMIT, sensor::RETRANSMIT_SYNACK],
        reasons: &[],
        protocol: TCP,
        family: None,
        counter: "Tcp.RetransSegs",
        also: Some("TcpExt.TCPRetransFail"),
    },
    // `tcp_v4_send_reset`, `tcp_v6_send_response`, `tcp_send_active_reset`.
    Spec {
        name: "RSTs sent",
        sensors: &[sensor::RESET_SENT],
        reasons: &[],
        protocol: TCP,
        family: None,
        counter: "Tcp.OutRsts",
        also: None,
    },
    // `__udp4_lib_rcv`, `__udp6_lib_rcv`.
    drops("datagrams without a port", &["NO_SOCKET"], UDP, V4, "Udp.NoPorts"),
    drops("datagrams without a port (IPv6)", &["NO_SOCKET"], UDP, V6, "Udp6NoPorts"),
    // `__udp_queue_rcv_skb`, `udp_queue_rcv_one_skb`.
    drops("receive-buffer errors", &["SOCKET_RCVBUFF"], UDP, V4, "Udp.RcvbufErrors"),
    drops("receive-buffer errors (IPv6)", &["SOCKET_RCVBUFF"], UDP, V6, "Udp6RcvbufErrors"),
    // `ip_error`.
    drops("no route for received packets", &["IP_INNOROUTES"], None, V4, "IpExt.InNoRoutes"),
    // `ip_rcv_core`, `ip_forward`: a bad checksum is a header error too.
    drops("header errors", &["IP_INHDR", "IP_CSUM"], None, V4, "Ip.InHdrErrors"),
    drops("header errors (IPv6)", &["IP_INHDR"], None, V6, "Ip6InHdrErrors"),
    // `ip_error`, when the host does not forward.
    drops("address errors", &["IP_INADDRERRORS"], None, V4, "Ip.InAddrErrors"),
    // `ip_rcv_finish_core`.
    drops("reverse-path filter", &["IP_RPFILTER"], None, V4, "TcpExt.IPReversePathFilter"),
    // `tcp_v4_rcv`, `tcp_v6_rcv`.
    drops("TCP checksum errors", &["TCP_CSUM"], TCP, None, "Tcp.InCsumErrors"),
    // `__udp4_lib_rcv`, `udp_queue_rcv_one_skb`.
    drops("UDP checksum errors", &["UDP_CSUM"], UDP, V4, "Udp.InCsumErrors"),
    // `tcp_v4_syn_recv_sock` and `tcp_conn_request` give up a SYN without freeing it as a drop on most kernels.
    drops("listen overflows", &["TCP_LISTEN_OVERFLOW"], TCP, None, "TcpExt.ListenOverflows"),
];

/// `ip_queue_xmit`, `udp_sendmsg`, `__ip4_datagram_connect`, `ip6_dst_lookup_tail`: a send without a route is counted
/// although there never was a packet.
const NO_ROUTE: [Spec; 2] = [
    drops("no route for sent packets", &["IP_OUTNOROUTES"], None, V4, "Ip.OutNoRoutes"),
    drops("no route for sent packets (IPv6)", &["IP_OUTNOROUTES"], None, V6, "Ip6OutNoRoutes"),
];

/// All books of one namespace. `counted` gives a counter's difference over the run.
pub fn books(
    netns: u32,
    start: &Cut,
    end: &Cut,
    own: Option<Own>,
    counted: &dyn Fn(&str) -> Option<u64>,
    names: &dyn Names,
) -> Vec<Book> {
    let mut books: Vec<Book> = own.map(|own| echo_books(netns, own, counted, names)).unwrap_or_default();
    books.extend(SPECS.iter().map(|spec| spec.book(netns, start, end, counted, names)));
    books.extend(upcall_books(netns, start, end, counted, names));
    if let Some(own) = own {
        for (family, spec) in NO_ROUTE.iter().enumerate() {
            let (least, most) = spec.range(netns, start, end, names);
            let range = (least + own.no_route[family], most + own.no_route[family]);
            books.push(close(spec.name, netns, range, spec.counter, counted(spec.counter), names));
        }
    }
    books
}

/// Of a namespace with a datapath of Open vSwitch: its upcalls.
fn upcall_books(
    netns: u32,
    start: &Cut,
    end: &Cut,
    counted: &dyn Fn(&str) -> Option<u64>,
    names: &dyn Names,
) -> Vec<Book> {
    const LOST: &str = "Openvswitch.lost";
    const MISSED: &str = "Openvswitch.missed";
    /// `OVS_PACKET_CMD_MISS`
    const MISS: u32 = 1;
    let (Some(lost), Some(missed)) = (counted(LOST), counted(MISSED)) else { return Vec::new() };
    let is_upcall =
        |row: &&PlaceRow| row.key.sensor == sensor::UPCALL && row.key.location == u64::from(netns);
    let range = |is_meant: &dyn Fn(u32) -> bool| {
        let sum = |rows: &[PlaceRow]| -> u64 {
            rows.iter().filter(is_upcall).filter(|row| is_meant(row.key.reason)).map(|row| row.skbs).sum()
        };
        (
            sum(&end.before).saturating_sub(sum(&start.after)),
            sum(&end.after).saturating_sub(sum(&start.before)),
        )
    };
    let errno = |reason: u32| reason as u8;
    let command = |reason: u32| reason >> UPCALL_COMMAND;
    let has = |is_meant: &dyn Fn(u32) -> bool| range(is_meant).1 > 0;
    let (failed, misses) = ("failed upcalls", "packets without an Open vSwitch flow");
    let open = |name, counter, count, why: &str| {
        finish(name, netns, None, counter, Some(count), Some(why.to_owned()), names)
    };
    vec![
        if has(&|reason| errno(reason) == UPCALL_UNKNOWN) {
            open(
                failed,
                LOST,
                lost,
                "not traceable here: the tracepoint of upcalls does not tell whether they failed",
            )
        } else {
            close(failed, netns, range(&|reason| errno(reason) != 0), LOST, Some(lost), names)
        },
        if has(&|reason| command(reason) == 0) {
            open(
                misses,
                MISSED,
                missed,
                "not traceable here: without type information of openvswitch nothing tells an upcall for want of a flow from one that a flow asks for",
            )
        } else {
            close(misses, netns, range(&|reason| command(reason) == MISS), MISSED, Some(missed), names)
        },
    ]
}

impl Spec {
    fn book(
        &self,
        netns: u32,
        start: &Cut,
        end: &Cut,
        counted: &dyn Fn(&str) -> Option<u64>,
        names: &dyn Names,
    ) -> Book {
        let count = counted(self.counter);
        let missing = self.reasons.iter().find(|reason| names.drop_reason_number(reason).is_none());
        if let Some(missing) = missing {
            let why = format!("not traceable here: this kernel has no drop reason {missing}");
            return finish(self.name, netns, None, self.counter, count, Some(why), names);
        }
        let range = self.range(netns, start, end, names);
        let extra = self.also.map_or(Some(0), counted).unwrap_or(0);
        close(self.name, netns, (range.0 + extra, range.1 + extra), self.counter, count, names)
    }

    /// What was traced between the two snapshots: at least, at most.
    fn range(&self, netns: u32, start: &Cut, end: &Cut, names: &dyn Names) -> (u64, u64) {
        let sum = |rows: &[PlaceRow]| -> u64 {
            rows.iter().filter(|row| self.matches(netns, row, names)).map(|row| self.unit(row)).sum()
        };
        (
            sum(&end.before).saturating_sub(sum(&start.after)),
            sum(&end.after).saturating_sub(sum(&start.before)),
        )
    }

    /// TCP counts segments; IP and UDP count a packet as it comes, a GSO packet as one.
    fn unit(&self, row: &PlaceRow) -> u64 {
        if self.counter.starts_with("Tcp.") { row.packets } else { row.skbs }
    }

    fn matches(&self, netns: u32, row: &PlaceRow, names: &dyn Names) -> bool {
        let key = &row.key;
        key.netns == netns
            && self.sensors.contains(&key.sensor)
            && self.protocol.is_none_or(|protocol| key.protocol == protocol)
            && self.family.is_none_or(|family| key.family == family)
            // A retransmission's reason is its errno: what failed is counted by `also`.
            && (key.sensor != sensor::RETRANSMIT || key.reason == 0)
            && (self.reasons.is_empty()
                || names.drop_reason(key.reason).is_some_and(|name| self.reasons.contains(&name.as_str())))
    }
}

/// The books that need no kernel side: what the probes sent and received against the namespace's counters.
pub fn echo_books(
    netns: u32,
    own: Own,
    counted: &dyn Fn(&str) -> Option<u64>,
    names: &dyn Names,
) -> Vec<Book> {
    let book = |name: &str, own: Option<u64>, counter: &str| {
        own.map(|traced| close(name, netns, (traced, traced), counter, counted(counter), names))
    };
    [
        book("echo requests sent", own.echoes[0], "Icmp.OutEchos"),
        book("echo replies received", own.replies[0], "Icmp.InEchoReps"),
        book("echo requests sent (IPv6)", own.echoes[1], "Icmp6OutEchos"),
        book("echo replies received (IPv6)", own.replies[1], "Icmp6InEchoReplies"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Compares a traced range with a count.
fn close(
    name: &str,
    netns: u32,
    (least, most): (u64, u64),
    counter: &str,
    counted: Option<u64>,
    names: &dyn Names,
) -> Book {
    let Some(count) = counted else {
        let why = format!("this kernel does not count {counter}");
        return finish(name, netns, Some(most), counter, None, Some(why), names);
    };
    if (least..=most).contains(&count) {
        return finish(name, netns, Some(count), counter, Some(count), None, names);
    }
    let why = if count > most {
        format!(
            "{} more were counted than traced: something else in this namespace, or a path that no tracepoint sees",
            count - most
        )
    } else {
        format!(
            "{} more were traced than counted: a path that frees such packets without counting them",
            least - count
        )
    };
    let traced = if count > most { most } else { least };
    finish(name, netns, Some(traced), counter, Some(count), Some(why), names)
}

fn finish(
    name: &str,
    netns: u32,
    traced: Option<u64>,
    counter: &str,
    counted: Option<u64>,
    why: Option<String>,
    names: &dyn Names,
) -> Book {
    Book {
        name: name.to_owned(),
        netns,
        netns_name: names.netns(netns),
        traced,
        counter: counter.to_owned(),
        counted,
        balanced: traced.zip(counted).map(|(traced, counted)| traced == counted),
        why,
    }
}
