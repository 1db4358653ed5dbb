//! One sentence for a person: what happened, and what to look at next.

use super::{cause::is_purge, ending::OTHERHOST, last::Doing};
use crate::report::{Cause, Leg};

/// What a sentence is made of.
pub struct Place<'a> {
    /// On which leg.
    pub leg: Leg,
    /// The class of the death.
    pub cause: Cause,
    /// Reason, as the kernel or the errno names it.
    pub reason: Option<&'a str>,
    /// The function that freed them, where known.
    pub symbol: Option<&'a str>,
    /// Stage, where known.
    pub stage: Option<&'a str>,
    /// Device, where known.
    pub device: Option<&'a str>,
    /// Namespace, in words; `None` when not known.
    pub netns: Option<&'a str>,
    /// Address that the packet was on its way to.
    pub destination: &'a str,
    /// What it did when it was seen last, where no drop ended it.
    pub doing: Option<&'a Doing>,
}

/// What a device without a name is called.
const NO_DEVICE: &str = "the device";

/// The sentence.
pub fn explain(place: &Place) -> String {
    let here = match place.netns {
        Some(netns) => format!("in {netns}"),
        None => "there".to_owned(),
    };
    let device = place.device.unwrap_or(NO_DEVICE);
    let to = place.destination;
    if let (Leg::Reply, Some(Doing::Arrived | Doing::Delivered)) = (place.leg, place.doing) {
        return format!(
            "they came back by {device} {here}, and netbreak's own socket did not tell of them: look at `ss -anm` and `nstat -az` {here}"
        );
    }
    if let Some(doing) = place.doing {
        return explain_last(doing, &here, device, to);
    }
    match place.cause {
        Cause::Netfilter => {
            let hook = place.stage.and_then(|stage| stage.strip_prefix("netfilter "));
            let rule =
                hook.map_or("a netfilter rule".to_owned(), |hook| format!("a rule in the {hook} hook"));
            format!("{rule} {here} dropped them: look at `nft list ruleset` and `iptables-save -c` {here}")
        }
        Cause::Route => match place.reason {
            Some("IP_RPFILTER") => format!(
                "the reverse-path filter {here} saw no route back over {device}: look at `sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{device}.rp_filter` and `ip route` {here}"
            ),
            Some("IP_INADDRERRORS") => format!(
                "{here} they were neither for this host nor to be forwarded: look at `sysctl net.ipv4.ip_forward` and `ip address` {here}"
            ),
            _ => format!("no usable route to {to} {here}: look at `ip route get {to}` and `ip rule` {here}"),
        },
        Cause::Neighbour if place.reason == Some(OTHERHOST) => format!(
            "they reached {device} {here} with a link address that is not its own, as the host before it probably has an outdated one: look at `ip neighbour` there and at `ip link show dev {device}` {here}"
        ),
        Cause::Neighbour => format!(
            "the next hop behind {device} did not answer for its link address: look at `ip neighbour show dev {device}` {here}"
        ),
        Cause::Link if place.reason == Some("EADDRNOTAVAIL") => format!(
            "the address that they were to be sent from was gone {here}: look at `ip address` {here}"
        ),
        Cause::Link => format!("{device} was down, gone or not ready: look at `ip -s link show` {here}"),
        Cause::Queue if place.reason == Some("FULL_RING") => format!(
            "the ring of {device} was full: who reads it, the process that holds it open or the other end, was too slow {here}"
        ),
        Cause::Queue => {
            format!("a queue of {device} was full: look at `tc -s qdisc show dev {device}` {here}")
        }
        Cause::Socket => match place.reason {
            _ if place.stage == Some("icmp receive") => {
                explain_last(&Doing::Consumed(Some("icmp".to_owned())), &here, device, to)
            }
            _ if is_purge(place.reason, place.symbol) => format!(
                "they waited unread on the queue of a socket or a TAP device, and its process went away {here}"
            ),
            // Told by the host that they were for, wherever that is.
            Some("ECONNREFUSED") => {
                format!("{to} answered that nobody listens on that port: look at `ss -lntu` there")
            }
            Some("NO_SOCKET") => {
                format!("nobody listens on that port {here}: look at `ss -lntu` {here}")
            }
            _ => format!("the receiving socket took no more: look at `ss -lntum` and `nstat -az` {here}"),
        },
        Cause::Checksum => format!(
            "their checksum was wrong when they reached {device}: look at `ethtool -k {device}` {here} and at whatever rewrites packets before it"
        ),
        Cause::Mtu => format!(
            "they were larger than the next link carries: look at `ip route get {to}` (mtu) and `ip link show` {here}"
        ),
        Cause::Ttl => format!(
            "their hop limit ran out {here}, often a routing loop: look at `ip route get {to}` {here}"
        ),
        Cause::Tc => format!(
            "a tc filter dropped them: look at `tc -s filter show dev {device} ingress` and `egress` {here}"
        ),
        Cause::Xdp => {
            format!("an XDP program on {device} dropped them: look at `ip link show dev {device}` {here}")
        }
        Cause::Bpf => format!("a cgroup BPF program dropped them: look at `bpftool cgroup tree` {here}"),
        Cause::Conntrack => {
            format!("connection tracking {here} dropped them, and no rule: look at `conntrack -S` {here}")
        }
        Cause::OvsUpcall => format!(
            "Open vSwitch had no flow and could not ask ovs-vswitchd: look at `ovs-dpctl show` (lost) {here}"
        ),
        Cause::OvsFlow => format!("an Open vSwitch flow dropped them: look at `ovs-dpctl dump-flows` {here}"),
        Cause::Reset => {
            format!("the connection was reset: look at `nstat -az TcpOutRsts` {here} and on {to}")
        }
        Cause::Starved => match place.reason {
            Some("EADDRINUSE" | "EADDRNOTAVAIL") => format!(
                "netbreak itself had no local port left to connect from, and nothing was sent: look at `sysctl net.ipv4.ip_local_port_range` and `ss -tan` {here}, and name more addresses of this host with --source, widen the range, or use fewer connections"
            ),
            Some("EMFILE" | "ENFILE") => {
                "netbreak itself could open no more files, and nothing was sent: look at `ulimit -Hn` and `sysctl fs.file-nr`".to_owned()
            }
            _ => "netbreak itself was not scheduled in time: look at the load of this machine".to_owned(),
        },
        Cause::Unseen => {
            format!("they left this node alive and nothing came back: look at the next hop to {to}")
        }
        // `tcp_validate_incoming`: a SYN for a socket whose handshake is over.
        Cause::Other if place.reason == Some("TCP_INVALID_SYN") => format!(
            "a connection of the same addresses and ports was open there already, perhaps one whose end was lost: look at `ss -tan` {here}"
        ),
        Cause::Other => {
            format!("the kernel freed them {here}: look the reason and the function up in its sources")
        }
    }
}

/// The sentence where nothing but the last place is known.
fn explain_last(doing: &Doing, here: &str, device: &str, to: &str) -> String {
    match doing {
        Doing::Waiting if device != NO_DEVICE => format!(
            "they waited for the link address of the next hop behind {device} {here}, which did not answer: look at `ip neighbour show dev {device}` {here}"
        ),
        Doing::Waiting => format!(
            "they were sent and reached no device: the next hop's link address is not known, look at `ip neighbour` and `ip route get {to}` {here}"
        ),
        Doing::Queued => format!(
            "they were queued for {device} and not sent: look at `tc -s qdisc show dev {device}` {here}"
        ),
        Doing::Transmitted(Some(kind)) if kind == "veth" => format!(
            "{device} {here} sent them, and its other end did not take them: look at `ip -d link show dev {device}` {here}"
        ),
        Doing::Transmitted(Some(kind)) if kind == "tun" => format!(
            "{device} {here} handed them to the process that holds it open, which did not pass them on: look at `ip -d tuntap` and at that process"
        ),
        Doing::Transmitted(_) => format!(
            "they left this node through {device} {here} alive, and nothing came back: look at the next hop to {to}"
        ),
        Doing::InBacklog => {
            format!("they waited in a CPU's backlog behind {device} {here}: look at /proc/net/softnet_stat")
        }
        Doing::Received => format!(
            "{device} {here} received them, nothing sent them on and nothing dropped them: look at packet sockets (`ss -0lp`) and at what switches packets there"
        ),
        Doing::Arrived => format!(
            "they reached the host that they were for, by {device} {here}, and it sent no answer: look at the program that they are for and at Recv-Q of `ss -lntu` {here}"
        ),
        Doing::Acknowledged => format!(
            "they left this node through {device} {here}, {to} acknowledged them, and its program sent no answer: look at that program there (Recv-Q of `ss -nt`)"
        ),
        Doing::Unread => format!(
            "{to} had acknowledged all that was sent before and took no more: look at the program that is to read it and at Recv-Q of `ss -nt` {here}"
        ),
        Doing::ReadFromPacketSocket => format!(
            "a process read them from a packet socket on {device} {here} and did not send them on: look at `ss -0lp` {here}"
        ),
        Doing::ReadFromTap => format!(
            "the process that holds {device} {here} open read them and did not send them on: look at `ip -d tuntap` and at that process"
        ),
        Doing::Delivered => format!(
            "the program that they were for read them {here} and sent no answer: look at that program (`ss -lntup` {here})"
        ),
        Doing::Consumed(Some(symbol)) if symbol.starts_with("icmp") => format!(
            "the host took the echoes and did not answer: look at `sysctl net.ipv4.icmp_echo_ignore_all` and at its way back, `ip route`, {here}"
        ),
        Doing::Consumed(Some(symbol)) if symbol.starts_with("tcp_") => format!(
            "the listener took no more connections: look at `ss -lnt` (Recv-Q) and `nstat -az TcpExtListenOverflows` {here}"
        ),
        Doing::Consumed(Some(symbol)) => {
            format!(
                "{symbol} took them {here} and passed nothing on: look the function up in the kernel's sources"
            )
        }
        Doing::NoRoute { errno, .. } => {
            let route = match *errno {
                libc::ENETUNREACH => format!("had no route back to {to} (ENETUNREACH)"),
                libc::EHOSTUNREACH => format!("has a route of kind unreachable back to {to} (EHOSTUNREACH)"),
                libc::EACCES => format!("has a route of kind prohibit back to {to} (EACCES)"),
                libc::EINVAL => format!("has a route of kind blackhole back to {to} (EINVAL)"),
                errno => format!("could not use its route back to {to} (errno {errno})"),
            };
            format!("the host {route}, so no reply was made: look at `ip route` and `ip rule` {here}")
        }
        Doing::InSwitch => format!(
            "Open vSwitch {here} took them by port {device} and let them out by none: look at `ovs-dpctl dump-flows` {here}"
        ),
        Doing::Upcall(_) => format!(
            "Open vSwitch {here} had no flow for what came by port {device} and asked ovs-vswitchd: look at `ovs-dpctl show` (lost) {here}"
        ),
        Doing::Consumed(None) => format!("the stack took them {here} and passed nothing on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_that_meets_an_open_connection_says_so() {
        let place = Place {
            leg: Leg::Request,
            cause: Cause::Other,
            reason: Some("TCP_INVALID_SYN"),
            symbol: Some("tcp_validate_incoming"),
            stage: None,
            device: None,
            netns: Some("pod3"),
            destination: "10.0.2.2",
            doing: None,
        };
        let said = explain(&place);
        assert!(said.contains("was open there already") && said.ends_with("`ss -tan` in pod3"), "{said}");
    }

    #[test]
    fn without_symbols_no_hook_is_named() {
        let place = |stage| Place {
            leg: Leg::Request,
            cause: Cause::Netfilter,
            reason: Some("NETFILTER_DROP"),
            symbol: None,
            stage,
            device: Some("r0"),
            netns: Some("router"),
            destination: "10.0.2.2",
            doing: None,
        };
        assert!(
            explain(&place(Some("netfilter forward"))).starts_with("a rule in the forward hook in router")
        );
        assert!(explain(&place(None)).starts_with("a netfilter rule in router dropped them"));
    }
}
