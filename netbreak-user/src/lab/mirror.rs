//! The lab is symmetric, so a fault of requests has an image: the same fault of replies.

use super::{Expected, Fault, Role, Step, Truth};
use crate::report::Leg;

/// What stands on one side of the mirror and on the other: devices, networks, link addresses, and what tells a request's
/// headers from a reply's. The names of tables differ too, so that a fault and its image can be there together.
const PAIRS: &[(&str, &str)] = &[
    ("c0", "s0"),
    ("r0", "r1"),
    ("10.0.1.", "10.0.2."),
    ("fd00:1::", "fd00:2::"),
    ("02:00:00:00:01:", "02:00:00:00:02:"),
    ("echo-request", "echo-reply"),
    ("sport", "dport"),
    ("saddr", "daddr"),
    ("netbreak", "mirrored"),
    ("77", "78"),
    ("requests", "replies"),
    ("server", "client"),
];

/// The image of a fault that can have one. It lives as long as the process, as the table of faults does.
pub(super) fn image(fault: &Fault) -> &'static Fault {
    let steps = |steps: &[Step]| -> &'static [Step] { steps.iter().map(step).collect::<Vec<_>>().leak() };
    Box::leak(Box::new(Fault {
        name: format!("{}-reply", fault.name).leak(),
        summary: text(fault.summary),
        apply: steps(fault.apply),
        undo: steps(fault.undo),
        expected: fault.expected.map(expected),
        truth: truth(fault.truth),
        mirrors: false,
        ..*fault
    }))
}

fn expected(expected: Expected) -> Expected {
    Expected {
        leg: match expected.leg {
            Leg::Request => Leg::Reply,
            Leg::Reply => Leg::Request,
            Leg::Unknown => Leg::Unknown,
        },
        role: role(expected.role),
        device: expected.device.map(text),
        ..expected
    }
}

fn step(step: &Step) -> Step {
    match *step {
        Step::Ip(side, arguments) => Step::Ip(role(side), text(arguments)),
        Step::Tc(side, arguments) => Step::Tc(role(side), text(arguments)),
        Step::Nft(side, rules) => Step::Nft(role(side), text(rules)),
        Step::Run(side, argv) => {
            Step::Run(role(side), argv.iter().map(|word| text(word)).collect::<Vec<_>>().leak())
        }
        Step::Sysctl(side, key, value) => Step::Sysctl(role(side), text(key), value),
        Step::Xdp(side, device, mode) => Step::Xdp(role(side), text(device), mode),
        Step::Machine(..)
        | Step::FullSocket(_)
        | Step::FullBacklog(_)
        | Step::HalfOpen(_)
        | Step::PacketSockets
        | Step::Geneve(..)
        | Step::Close
        | Step::Reconnect => *step,
    }
}

fn truth(truth: Truth) -> Truth {
    match truth {
        Truth::Nft(side, family, table) => Truth::Nft(role(side), family, text(table)),
        Truth::Snmp(side, counters) => Truth::Snmp(role(side), counters),
        Truth::Qdisc(side, device, kind) => Truth::Qdisc(role(side), text(device), kind),
        Truth::Iptables(side, program, table, chain) => {
            Truth::Iptables(role(side), program, table, text(chain))
        }
        Truth::Everything => truth,
    }
}

fn role(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Router => Role::Router,
        Role::Server => Role::Client,
    }
}

fn text(text: &str) -> &'static str {
    swapped(text).leak()
}

/// Every word of [`PAIRS`] in `text` becomes its counterpart.
fn swapped(text: &str) -> String {
    let mut image = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = PAIRS
            .iter()
            .flat_map(|(one, other)| [(*one, *other), (*other, *one)])
            .find(|(word, _)| is_whole(image.chars().next_back(), word, rest));
        match word {
            Some((word, counterpart)) => {
                image.push_str(counterpart);
                rest = &rest[word.len()..];
            }
            None => {
                image.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    image
}

/// Does `rest` begin with `word`, and is it not a part of a longer one?
fn is_whole(before: Option<char>, word: &str, rest: &str) -> bool {
    let Some(after) = rest.strip_prefix(word) else { return false };
    let goes_on = |end: Option<char>, next: Option<char>| {
        end.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric)
    };
    !goes_on(word.chars().next(), before) && !goes_on(word.chars().next_back(), after.chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_swapped_and_nothing_else() {
        for (text, image) in [
            ("oifname \"r1\" icmpv6 type echo-request drop", "oifname \"r0\" icmpv6 type echo-reply drop"),
            ("route add 10.0.2.2/32 dev r1", "route add 10.0.1.2/32 dev r0"),
            (
                "neigh replace fd00:2::2 lladdr 02:00:00:00:02:02",
                "neigh replace fd00:1::2 lladdr 02:00:00:00:01:02",
            ),
            ("ipv4/conf/s0/rp_filter", "ipv4/conf/c0/rp_filter"),
            ("table inet netbreak", "table inet mirrored"),
            ("the server's requests", "the client's replies"),
            ("expr1 0xc0 770 serverless", "expr1 0xc0 770 serverless"),
        ] {
            assert_eq!(swapped(text), image);
            assert_eq!(swapped(image), text, "a mirror of a mirror");
        }
    }
}
