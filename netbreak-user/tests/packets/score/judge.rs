//! Right, wrong, or not at all.

use std::any::Any;

use netbreak_user::lab::{Effect, Expected, Truth};
use netbreak_user::probe::Kind;
use netbreak_user::report::{Cause, Death};

use super::case::{Case, When};
use super::seen::Seen;

/// What became of a case's lost attempts.
#[derive(Debug, Default)]
pub struct Score {
    /// The case's.
    pub name: String,
    /// Families and probes.
    pub probes: String,
    /// Attempts.
    pub sent: u64,
    /// Those that need a death.
    pub lost: u64,
    /// With namespace, device, leg, cause and reason as expected.
    pub right: u64,
    /// With a death that is none of the faults'.
    pub wrong: u64,
    /// Without any.
    pub unexplained: u64,
    /// How many of those without a death may be due to drops that this kernel shows to no program.
    pub hidden: u64,
    /// What the kernel counted, of each fault.
    pub truths: Vec<Option<u64>>,
    /// Is there no drop to be seen, so that only the way of a packet can tell?
    pub silent: bool,
    /// Does it follow a connection, whose attempts are no packets?
    pub stream: bool,
    /// What must not be.
    pub complaints: Vec<String>,
}

impl Score {
    /// Of a case that did not come to its end, and why.
    pub fn failed(case: &Case, panic: &(dyn Any + Send)) -> Score {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("see above");
        let complaints = vec![format!("it panicked: {why}")];
        Score { name: case.name.clone(), complaints, ..Score::default() }
    }

    /// What must not be, and the case's name.
    pub fn complaint(&self) -> String {
        format!("{}:\n  {}\n", self.name, self.complaints.join("\n  "))
    }
}

/// Deaths that come with a fault as it comes or goes: (its name, why).
const IN_PASSING: &[(&str, &str)] = &[
    ("forwarding-off", "a router that ceases to forward does so both ways"),
    ("forwarding-off-v6", "the same"),
    ("link-down", "a device that goes takes along the answers on their way through it"),
    ("link-deleted", "the same"),
    ("link-down-server", "the same"),
    ("rp-filter", "the route that the filter checks is the one that answers take, a moment before and after"),
    ("mtu", "an answer as long as its request does not fit into the smaller device (`is_skb_forwardable`)"),
    ("address-removed", "what a device takes along when its address goes"),
    ("tap", "whoever deletes the device is its reader for a moment"),
    (
        "tc-ingress",
        "a device that gets clsact has no other qdisc for a moment (`dev_deactivate` in `qdisc_graft`)",
    ),
    ("tc-egress", "the same"),
    ("vxlan", "addresses that are at neither device for a moment"),
    ("vxlan-v6", "the same"),
    ("geneve", "the same"),
    ("masquerade", "tracking that begins between request and answer takes the answer for a clash"),
    ("masquerade-random", "the same"),
    ("masquerade-ports", "the same"),
    ("bridge", "packets on their way while a port changes its place"),
];

/// Judges a run.
pub fn judge(seen: &Seen) -> Score {
    let case = seen.case;
    let died = |is_so: &dyn Fn(&Death) -> bool| seen.died(is_so);
    let right = died(&|death| seen.is_right(death));
    let wrong = died(&|death| !seen.is_right(death) && !seen.may_be_another(death));
    let open = died(&|death| !seen.is_right(death) && seen.may_be_another(death));
    let unexplained = seen.sum(|probe| probe.unexplained) + open;
    let silent = case.faults.iter().filter_map(|fault| fault.expected).any(|e| e.reasons.is_empty());
    let families: Vec<&str> = case.families().iter().map(|family| family.name()).collect();
    let kinds: Vec<&str> = case.kinds.iter().map(|kind| kind.name()).collect();
    let mut score = Score {
        name: case.name.clone(),
        probes: format!("{} over {}", kinds.join(" "), families.join(" ")),
        sent: seen.sum(|probe| probe.sent),
        lost: right + wrong + unexplained,
        right,
        wrong,
        unexplained,
        hidden: unexplained.min(seen.unseen),
        truths: seen.truths.clone(),
        silent,
        stream: case.kinds == [Kind::Stream],
        complaints: Vec::new(),
    };
    let mut complaints = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            complaints.push(what.to_owned());
        }
    };
    must(score.sent > 0, "nothing was sent");
    must(seen.foreign != Some(Some(0)), "nothing of others died");
    let in_passing = case.when != When::Throughout
        && case.faults.iter().any(|fault| IN_PASSING.iter().any(|(name, _)| *name == fault.name));
    must(wrong == 0 || in_passing, "wrong deaths");
    effect(seen, &score, in_passing, &mut must);
    explained(seen, &score, in_passing, &mut must);
    counts(seen, &score, in_passing, &mut must);
    if !complaints.is_empty() {
        complaints.push(seen.to_string());
    }
    score.complaints = complaints;
    score
}

/// Did the faults do to the probes what they are for?
fn effect(seen: &Seen, score: &Score, in_passing: bool, must: &mut impl FnMut(bool, &str)) {
    let case = seen.case;
    let answered = seen.sum(|probe| probe.answered);
    let status = i32::from(!matches!(case.effect, Effect::Refuses | Effect::Spares));
    match (case.when, case.effect) {
        (_, Effect::Spares) if in_passing => return,
        (_, Effect::Spares) => must(answered == score.sent && score.lost == 0, "not all were answered"),
        // What is sent again may arrive.
        (_, Effect::KillsSome) if score.stream => return must(answered > 0, "none was answered"),
        (When::ForAWhile | When::ForLong | When::ToTheEnd, _) => must(
            seen.probes().all(|probe| probe.answered > 0 && !probe.outages.is_empty()),
            "each probe must have answers and an outage",
        ),
        (_, Effect::KillsAll) => must(answered == 0, "some were answered"),
        (_, Effect::KillsSome) => must(answered > 0 && score.lost > 0, "some must die and some live"),
        (_, Effect::Refuses) => must(seen.sum(|p| p.refused) == score.sent, "not all were refused"),
    }
    must(seen.status == status, "the exit status");
}

/// May the attempts without a death be without one?
fn explained(seen: &Seen, score: &Score, in_passing: bool, must: &mut impl FnMut(bool, &str)) {
    // A queue is no grave: what still waits in it at the end of the run is lost and not dead. It holds 200 bytes, so
    // never more than two or three packets. And what waits for a neighbour dies when its time-out is over.
    let waits = |e: Expected| e.cause == Cause::Queue || e.reasons.contains(&"NEIGH_FAILED");
    let waiting = seen.case.faults.iter().filter_map(|f| f.expected).any(waits);
    let probes = seen.probes().count() as u64;
    let slack = match seen.case.when {
        When::ForAWhile if waiting || in_passing => u64::MAX,
        When::ForLong | When::ToTheEnd if waiting => u64::MAX,
        When::Throughout if waiting => 3 * probes,
        _ => 0,
    };
    must(score.unexplained <= seen.unseen.saturating_add(slack), "unexplained attempts");
}

/// Is it as many as the kernel counted?
fn counts(seen: &Seen, score: &Score, in_passing: bool, must: &mut impl FnMut(bool, &str)) {
    let case = seen.case;
    if !case.exact {
        return;
    }
    // On a busy machine netbreak may give up a connect later than it meant to, and its SYN was sent again by then.
    let resent =
        if score.stream { 0 } else { seen.sum(|p| p.retransmits.map_or(0, |resent| resent.segments)) };
    for (fault, truth) in case.faults.iter().zip(&seen.truths) {
        let (Some(truth), Some(expected)) = (*truth, fault.expected) else { continue };
        let (name, first) = (fault.name, truth.saturating_sub(resent));
        // A counter of a namespace has what dies in passing, too, whichever way it went.
        let anywhere = in_passing && matches!(fault.truth, Truth::Snmp(..));
        let place = |leg| if anywhere { Expected { leg, device: None, ..expected } } else { expected };
        let dead = seen.died(|death| seen.is(death, place(death.leg)));
        let silent = expected.reasons.is_empty();
        if let (When::Throughout, [_], Effect::KillsAll | Effect::Refuses) =
            (case.when, &case.faults[..], case.effect)
        {
            must(
                first == score.sent,
                &format!("{name}: the kernel counted {truth}, not every attempt and {resent} SYNs again"),
            );
        }
        // A qdisc takes and drops what else the router has to say, and while one takes another's place the device has none
        // that counts (`noop_enqueue` drops).
        let only_probes = !matches!(fault.truth, Truth::Qdisc(_, _, "root"));
        if only_probes && !silent && case.effect != Effect::Refuses {
            must(
                dead <= first && first - dead <= seen.unseen,
                &format!("{name}: {dead} died there, the kernel counted {truth}, {resent} of them again"),
            );
        }
        if let Some(total) = seen.total(place(expected.leg)).filter(|_| only_probes) {
            must(
                total <= truth && truth - total <= seen.unseen,
                &format!("{name}: the exact table has {total}, the kernel counted {truth}"),
            );
        }
    }
}
