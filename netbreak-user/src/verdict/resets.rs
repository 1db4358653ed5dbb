//! Who ended the connections of a probe by RST, and in which state they were there.

use std::collections::{BTreeMap, HashMap};

use netbreak_common::{Event, LEG_REPLY, sensor};

use super::Evidence;
use crate::{
    clock::{Nanos, seconds_since},
    probe::{Kind, TOLD_WITHIN},
    report::{Leg, Rst},
};

/// Leg, namespace, state of the socket, and reason: what RSTs of one sender have in common.
type Sender = (u8, u32, u8, u32);

/// RSTs for connections of the probe with this index among the records, most first.
pub fn resets(evidence: &Evidence, probe: usize) -> Vec<Rst> {
    let mut found: BTreeMap<Sender, (u64, Nanos, Nanos)> = BTreeMap::new();
    let sent = evidence.events.iter().filter(|event| {
        event.sensor == sensor::RESET_SENT && event.probe as usize == probe && !is_our_close(evidence, event)
    });
    for event in sent {
        let key = (event.leg, event.netns, event.state, event.reason);
        let (segments, first, last) = found.entry(key).or_insert((0, event.time, event.time));
        *segments += 1;
        *first = (*first).min(event.time);
        *last = (*last).max(event.time);
    }
    let mut rsts: Vec<Rst> = found
        .into_iter()
        .map(|((leg, netns, state, reason), (segments, first, last))| Rst {
            segments,
            leg: if leg == LEG_REPLY { Leg::Reply } else { Leg::Request },
            netns: (netns != 0).then_some(netns),
            netns_name: evidence.names.netns(netns),
            state: name_of(state),
            reason: evidence.names.reset_reason(reason),
            first_s: seconds_since(evidence.start, first),
            last_s: seconds_since(evidence.start, last),
        })
        .collect();
    rsts.extend(nobodys(evidence, probe));
    rsts.sort_by_key(|rst| std::cmp::Reverse(rst.segments));
    rsts
}

/// RSTs that came to the probe's sockets, and that none here was seen to send: a firewall does (`nf_send_reset`), and other
/// nodes do.
fn nobodys(evidence: &Evidence, probe: usize) -> Option<Rst> {
    let of_probe = || evidence.events.iter().filter(|event| event.probe as usize == probe);
    // Of a stream's many attempts the sender's numbers tell another one than the receiver's.
    let is_stream = evidence.records.get(probe).is_some_and(|record| record.kind == Kind::Stream);
    let connection = |event: &Event| if is_stream { 0 } else { event.attempt };
    let mut sent: HashMap<u64, Vec<Nanos>> = HashMap::new();
    for event in of_probe().filter(|event| event.sensor == sensor::RESET_SENT && event.leg == LEG_REPLY) {
        sent.entry(connection(event)).or_default().push(event.time);
    }
    let is_nobodys = |event: &&Event| {
        let Some(times) = sent.get_mut(&connection(event)) else { return true };
        let before = times.iter().position(|time| *time <= event.time + TOLD_WITHIN);
        before.map(|index| times.swap_remove(index)).is_none()
    };
    let came = of_probe().filter(|event| event.sensor == sensor::RESET_RECEIVED && event.leg != LEG_REPLY);
    let times: Vec<Nanos> = came.filter(is_nobodys).map(|event| event.time).collect();
    Some(Rst {
        segments: times.len() as u64,
        leg: Leg::Reply,
        netns: None,
        netns_name: None,
        state: None,
        reason: None,
        first_s: seconds_since(evidence.start, times.iter().copied().min()?),
        last_s: seconds_since(evidence.start, times.iter().copied().max()?),
    })
}

/// The probe's own socket sends it as it closes.
fn is_our_close(evidence: &Evidence, event: &Event) -> bool {
    event.leg != LEG_REPLY && event.netns == evidence.netns && event.state != 0
}

/// `enum` in include/net/tcp_states.h.
fn name_of(state: u8) -> Option<String> {
    const STATES: [&str; 12] = [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    STATES.get(usize::from(state).checked_sub(1)?).map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::build::{HERE, SERVER, event, record, reply, resets_of};

    fn rst(time: Nanos, netns: u32, state: u8) -> Event {
        Event { sensor: sensor::RESET_SENT, reason: 0, netns, state, ..event(Kind::Stream, time, 0) }
    }

    #[test]
    fn the_sender_and_the_state_there_are_told() {
        let events = [
            reply(rst(100, SERVER, 0)),
            reply(rst(300, SERVER, 0)),
            reply(rst(200, SERVER, 1)),
            // An answer to a segment that no socket of ours expects; and ours as it closes.
            rst(400, HERE, 0),
            rst(500, HERE, 1),
        ];
        let found = resets_of(&record(Kind::Stream, vec![]), &events);
        let told: Vec<_> = found.iter().map(|r| (r.segments, r.leg, r.netns, r.state.as_deref())).collect();
        assert_eq!(
            told,
            [
                (2, Leg::Reply, Some(SERVER), None),
                (1, Leg::Request, Some(HERE), None),
                (1, Leg::Reply, Some(SERVER), Some("ESTABLISHED")),
            ]
        );
        assert_eq!((found[0].first_s, found[0].last_s), (100e-9, 300e-9));
    }

    #[test]
    fn those_that_came_and_that_nobody_sent_are_told() {
        let came = |time, attempt| Event { sensor: sensor::RESET_RECEIVED, attempt, ..rst(time, HERE, 1) };
        let sent = |time, attempt| Event { attempt, ..reply(rst(time, SERVER, 0)) };
        // The server's side is told what the probe itself does.
        let events = [sent(90, 1), came(100, 1), came(200, 2), came(300, 3), reply(came(400, 4))];
        let found = resets_of(&record(Kind::Tcp, vec![]), &events);
        let told: Vec<_> = found.iter().map(|r| (r.segments, r.leg, r.netns, r.first_s, r.last_s)).collect();
        assert_eq!(
            told,
            [(2, Leg::Reply, None, 200e-9, 300e-9), (1, Leg::Reply, Some(SERVER), 90e-9, 90e-9)]
        );
        // Of a stream, where the one that came is of another write.
        let events = [sent(90, 1), came(100, 2), came(200, 3)];
        let found = resets_of(&record(Kind::Stream, vec![]), &events);
        assert_eq!(
            found.iter().map(|r| (r.segments, r.netns)).collect::<Vec<_>>(),
            [(1, Some(SERVER)), (1, None)]
        );
        // What is sent later did not come before.
        let found = resets_of(&record(Kind::Stream, vec![]), &[came(100, 1), sent(101 + TOLD_WITHIN, 1)]);
        assert!(found.iter().any(|rst| rst.netns.is_none()), "{found:?}");
    }
}
