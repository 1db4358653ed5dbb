//! Writes of a stream: TCP hands them over in order, so one that is lost holds up all that come after it.

use super::{
    case::{Case, REFUSED, unread},
    end::{End, Proof},
    last::Doing,
};
use crate::{
    clock::Nanos,
    probe::{Attempt, Outcome},
    report::{Cause, Leg},
};

/// How far behind a write the acknowledgement may be that would have answered it: nothing acknowledges less often than
/// every second full segment, and a segment holds many small writes.
const ACKNOWLEDGED_WITHIN: usize = 128;

/// How each write ended that needs a death, in order.
///
/// A write whose own packets died ended there. One whose packets arrived, or that was never sent, ended where the
/// write ended that held it up: the last one before it, since a write was answered in time, whose packets died. Else
/// an acknowledgement died that would have answered this write among others. Without either it ended where it arrived;
/// where it was not sent it waited for one that did.
pub fn ends(case: &Case) -> Vec<Option<End>> {
    let attempts = &case.record.attempts;
    let mut own: Vec<Option<End>> =
        attempts.iter().map(|a| a.is_unanswered().then(|| case.end(a)).flatten()).collect();
    stay_unread(case, &mut own);
    let (mut held_up_by, mut waited_for): (Option<&End>, Option<&End>) = (None, None);
    // What became of the write whose SYN it was that failed.
    let mut no_connection: Option<(Outcome, &End)> = None;
    let mut was_refused = false;
    let mut ends = Vec::new();
    for (number, attempt) in attempts.iter().enumerate() {
        let own_end = own[number].as_ref();
        // Who refuses a connection has its SYN: nothing that was before holds up a write any more, nor does the refusal once
        // it is over.
        let is_refused = attempt.outcome == REFUSED;
        let is_news = is_refused != std::mem::replace(&mut was_refused, is_refused);
        if is_news || matches!(attempt.outcome, Outcome::Answered { .. } | Outcome::Reset { .. }) {
            (held_up_by, waited_for) = (None, None);
        }
        no_connection = no_connection.filter(|(outcome, _)| *outcome == attempt.outcome);
        if let Some(end) = own_end.filter(|end| is_a_death(end)) {
            let end = match no_connection {
                Some((_, syn)) if end.proof == Proof::NotSent => syn,
                _ => no_connection.insert((attempt.outcome, end)).1,
            };
            held_up_by = Some(end);
        }
        waited_for = own_end.filter(|end| !is_unsent(end)).or(waited_for);
        if !attempt.needs_a_death() {
            continue;
        }
        let acknowledgement = || {
            let later = own.iter().skip(number + 1).take(ACKNOWLEDGED_WITHIN).flatten();
            later.into_iter().find(|end| end.group.leg == Leg::Reply && is_a_death(end))
        };
        let end = held_up_by.or_else(acknowledgement).or(waited_for).or(own_end);
        held_up_by = held_up_by.or(end);
        // What it shares with another one is not when.
        let is_own = |end: &End| own_end == Some(end);
        ends.push(end.map(|end| match is_own(end) {
            true => end.clone(),
            false => End { at: end.at.max(attempt.sent), ..end.clone() },
        }));
    }
    ends
}

/// What was not sent although all before it was acknowledged, and nothing had to be sent again until the next
/// acknowledgement, is for a socket that took no more; unless a neighbour was silent: while a segment waits for that, TCP sends
/// nothing again (`skb_still_in_host_queue` in net/ipv4/tcp_output.c).
fn stay_unread(case: &Case, own: &mut [Option<End>]) {
    let attempts = &case.record.attempts;
    let answered = |attempt: &Attempt| match attempt.outcome {
        Outcome::Answered { at } | Outcome::Late { at } => Some(at),
        _ => None,
    };
    let resent = case.resent();
    // When the write before was acknowledged, where all that was sent is.
    let (mut before, mut next) = (None, None);
    let all_acknowledged: Vec<Option<Nanos>> = attempts
        .iter()
        .zip(own.iter())
        .map(|(attempt, end)| {
            before = answered(attempt).or(before.filter(|_| end.as_ref().is_none_or(is_unsent)));
            before
        })
        .collect();
    for number in (0..attempts.len()).rev() {
        let attempt = &attempts[number];
        next = answered(attempt).or(next);
        let is_unsent = own[number].as_ref().is_some_and(is_unsent);
        if !is_unsent || attempt.outcome != Outcome::TimedOut {
            continue;
        }
        let Some(before) = all_acknowledged[number] else { continue };
        if case.waits_for_neighbour(attempt, before) {
            continue;
        }
        let first = resent.partition_point(|at| *at <= before);
        if resent.get(first).is_none_or(|at| next.is_some_and(|next| *at > next)) {
            own[number] = Some(unread(case, attempt));
        }
    }
}

/// Did it die there, or did it arrive, or was there nothing of it?
fn is_a_death(end: &End) -> bool {
    match (end.proof, &end.group.doing) {
        (Proof::Dropped | Proof::Reported | Proof::Starved, _) => true,
        // Why there is no connection: that is told by what became of its SYN, unless nobody here saw it.
        (Proof::NotSent, _) => {
            let is_refused = end.group.cause == Cause::Socket && end.group.netns.is_none();
            is_refused || !matches!(end.group.cause, Cause::Other | Cause::Socket | Cause::Reset)
        }
        (
            Proof::SeenLast,
            Some(
                Doing::Arrived | Doing::Acknowledged | Doing::Unread | Doing::Delivered | Doing::Consumed(_),
            ),
        ) => false,
        (Proof::SeenLast, _) => !is_unsent(end),
    }
}

/// Was nothing of it seen at any device?
fn is_unsent(end: &End) -> bool {
    end.group.doing == Some(Doing::Waiting) && end.group.ifindex.is_none()
}
