//! How far two clocks are apart, from attempts that both hosts have the times of.

use crate::report::{Report, Sightings};

/// How far the seconds of sightings are ahead of a report's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// The best guess.
    pub ahead_s: f64,
    /// It is within that much of the truth.
    pub uncertainty_s: f64,
}

/// Compares them: how many answered attempts both have, and what these tell.
///
/// A request is seen there after it left here, and its reply before it was here. The one attempt that leaves least room
/// between the two tells most: clocks drift, so that times of different attempts do not belong together.
pub fn compare(report: &Report, sightings: &Sightings) -> (u64, Option<Clock>) {
    let mut matched = 0;
    let mut closest: Option<(f64, f64)> = None;
    for attempts in report.probes().filter_map(|probe| probe.attempts.as_ref()) {
        let Some(seen) = sightings.probes.iter().find(|seen| seen.probe == attempts.probe) else { continue };
        for (seq, sent_s, answered_s) in attempts.answered.iter() {
            let Some((request_s, reply_s)) = seen.requests.at(seq).zip(seen.replies.at(seq)) else {
                continue;
            };
            let (least, most) = (reply_s - answered_s, request_s - sent_s);
            if least > most {
                continue;
            }
            matched += 1;
            if closest.is_none_or(|(low, high)| most - least < high - low) {
                closest = Some((least, most));
            }
        }
    }
    let clock = |(least, most): (f64, f64)| Clock {
        ahead_s: (least + most) / 2.0,
        uncertainty_s: (most - least) / 2.0,
    };
    (matched, closest.map(clock))
}
