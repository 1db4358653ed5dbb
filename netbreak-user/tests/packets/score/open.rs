//! What the verdict is known to get wrong: not yet a reason to fail, unless the score itself is asked for.

use super::case::{Case, When};

/// Faults, and what is wrong with the verdict about them.
const FAULTS: &[(&str, &str)] = &[
    ("route-blackhole", "IPv6: the route's discard (`dst_discard_out`) is not known as a cause"),
    ("sender-prohibit", "EACCES is taken for netfilter's EPERM"),
    ("sender-blackhole", "EINVAL has no cause"),
    (
        "replier-no-route",
        "IPv6 echoes: the drop of the request is all there is to see of the reply that was not made",
    ),
    ("dnat-nobody", "a packet whose destination was rewritten is not known as the attempt's"),
    ("icmp-ignored", "IPv6: a drop in `icmpv6_rcv` has no cause"),
];

/// Why this case may fail; `None` if it may not.
pub fn why(case: &Case) -> Option<&'static str> {
    if case.when == When::ToTheEnd {
        return Some("a stream's writes are not tied to their segments");
    }
    let is = |fault: &str, name: &str| fault.strip_suffix("-reply").unwrap_or(fault) == name;
    let known = |fault: &str| FAULTS.iter().find(|(name, _)| is(fault, name)).map(|(_, why)| *why);
    case.faults.iter().find_map(|fault| known(fault.name))
}
