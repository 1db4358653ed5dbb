//! One sentence for a person: what happened, and what to look at next.

use crate::report::Cause;

/// What a sentence is made of.
pub struct Place<'a> {
    /// The class of the death.
    pub cause: Cause,
    /// Reason, as the kernel or the errno names it.
    pub reason: Option<&'a str>,
    /// Stage, where known.
    pub stage: Option<&'a str>,
    /// Device, where known.
    pub device: Option<&'a str>,
    /// Namespace, in words; `None` when not known.
    pub netns: Option<&'a str>,
    /// Address that the packet was on its way to.
    pub destination: &'a str,
}

/// The sentence.
pub fn explain(place: &Place) -> String {
    let here = match place.netns {
        Some(netns) => format!("in {netns}"),
        None => "there".to_owned(),
    };
    let device = place.device.unwrap_or("the device");
    let to = place.destination;
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
        Cause::Neighbour => format!(
            "the next hop behind {device} did not answer for its link address: look at `ip neighbour show dev {device}` {here}"
        ),
        Cause::Link => format!("{device} was down, gone or not ready: look at `ip -s link show` {here}"),
        Cause::Queue => {
            format!("a queue of {device} was full: look at `tc -s qdisc show dev {device}` {here}")
        }
        Cause::Socket => match place.reason {
            Some("NO_SOCKET" | "ECONNREFUSED") => {
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
        Cause::Conntrack => format!("connection tracking refused them: look at `conntrack -S` {here}"),
        Cause::OvsUpcall => format!(
            "Open vSwitch had no flow and could not ask ovs-vswitchd: look at `ovs-dpctl show` (lost) {here}"
        ),
        Cause::OvsFlow => format!("an Open vSwitch flow dropped them: look at `ovs-dpctl dump-flows` {here}"),
        Cause::Reset => {
            format!("the connection was reset: look at `nstat -az TcpOutRsts` {here} and on {to}")
        }
        Cause::Starved => {
            "netbreak itself was not scheduled in time: look at the load of this machine".to_owned()
        }
        Cause::Unseen => {
            format!("they left this node alive and nothing came back: look at the next hop to {to}")
        }
        Cause::Other => {
            format!("the kernel freed them {here}: look the reason and the function up in its sources")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_symbols_no_hook_is_named() {
        let place = |stage| Place {
            cause: Cause::Netfilter,
            reason: Some("NETFILTER_DROP"),
            stage,
            device: Some("r0"),
            netns: Some("router"),
            destination: "10.0.2.2",
        };
        assert!(
            explain(&place(Some("netfilter forward"))).starts_with("a rule in the forward hook in router")
        );
        assert!(explain(&place(None)).starts_with("a netfilter rule in router dropped them"));
    }
}
