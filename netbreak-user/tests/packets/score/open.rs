//! What the verdict is known to get wrong: not yet a reason to fail, unless the score itself is asked for.

use netbreak_user::probe::Kind;

use super::case::Case;

/// Faults, and what is wrong with the verdict about them.
const FAULTS: &[(&str, &str)] = &[(
    "replier-no-route",
    "the reply that was not made for want of a route leaves no trace: the request is said to have died at its host",
)];

/// Why this case may fail; `None` if it may not.
pub fn why(case: &Case) -> Option<&'static str> {
    if case.kinds == [Kind::Stream] {
        return Some("a stream's writes are not tied to their segments");
    }
    let is = |fault: &str, name: &str| fault.strip_suffix("-reply").unwrap_or(fault) == name;
    let known = |fault: &str| FAULTS.iter().find(|(name, _)| is(fault, name)).map(|(_, why)| *why);
    case.faults.iter().find_map(|fault| known(fault.name))
}
