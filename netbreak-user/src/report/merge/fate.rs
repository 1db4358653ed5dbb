//! What became of an attempt, by all nodes that saw it.

use super::{
    node::{Visit, Watcher},
    words::{not_reached, told},
};
use crate::{
    probe::Kind,
    report::{Cause, Death, Leg, Listed, Node, One, sightings::left_alive},
};

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Nothing new: the death that the report has, by its index, or none.
    Same(Option<usize>),
    /// The end that a node saw.
    At {
        /// Index of the node.
        node: usize,
        /// Number of the probe.
        probe: u32,
        /// Index of the end there.
        end: usize,
        /// Nodes that it did not reach afterwards.
        missed_by: Vec<usize>,
    },
    /// A node dropped its connection: index of the node, of the place there, and was it a reply?
    Dropped(usize, usize, bool),
    /// No node saw it: what the report has, and the nodes that it did not reach.
    NotReached(Option<usize>, Vec<usize>),
}

/// May another node know more of attempts that died so (`None`: nothing explains them)?
pub fn is_open(death: Option<&Death>) -> bool {
    let Some(death) = death else { return true };
    // A reply that was seen here has passed all others.
    death.leg != Leg::Reply && (death.cause == Cause::Unseen || left_alive(death))
}

/// Of an attempt that is open.
pub fn fate(base: Option<usize>, attempt: &One, visit: &Visit, watchers: &[Watcher]) -> Fate {
    let (seq, number) = (attempt.seq, visit.probe);
    let follows = || watchers.iter().enumerate().filter(|(_, watcher)| watcher.follows(visit));
    if !matches!(visit.kind, Kind::Icmp | Kind::Udp) {
        let dropped = follows().filter_map(|(node, watcher)| {
            let (place, is_reply) = watcher.dropped(visit, attempt)?;
            Some((is_reply, node, place))
        });
        let last = dropped.max_by_key(|(is_reply, ..)| visit.tells(*is_reply));
        return last.map_or(Fate::Same(base), |(is_reply, node, place)| Fate::Dropped(node, place, is_reply));
    }
    // The last stage that any of its packets reached: replies come after requests, and what dies was alive before. Of
    // those that passed it on alive, the one that saw it latest.
    let seen = follows().filter_map(|(node, watcher)| {
        let (end, ended) = watcher.end(number, seq)?;
        let is_reply = ended.death.leg == Leg::Reply;
        let at_s = watcher.at_s(number, seq, is_reply).unwrap_or(f64::MIN);
        Some(((is_reply, !ended.is_alive(), at_s), node, end, ended))
    });
    let last = seen.max_by(|(a, ..), (b, ..)| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
    let missed_by =
        || follows().filter(|(_, watcher)| watcher.missed(number, attempt)).map(|(node, _)| node).collect();
    match last {
        Some((_, node, end, ended)) => {
            let goes_on = ended.is_alive() && ended.death.leg == Leg::Request;
            let missed_by = if goes_on { missed_by() } else { Vec::new() };
            Fate::At { node, probe: number, end, missed_by }
        }
        None => match missed_by() {
            nobody if nobody.is_empty() => Fate::Same(base),
            nodes => Fate::NotReached(base, nodes),
        },
    }
}

impl Fate {
    /// Counts `attempts` with this fate for the nodes that told it.
    pub fn count(&self, attempts: u64, watchers: &[Watcher], nodes: &mut [Node]) {
        let missed_by = match self {
            Fate::Same(_) => return,
            Fate::Dropped(node, ..) => {
                nodes[*node].died += attempts;
                return;
            }
            Fate::NotReached(_, missed_by) => missed_by,
            Fate::At { node, probe, end, missed_by } => {
                let is_alive = watchers[*node].ended(*probe, *end).is_some_and(|ended| ended.is_alive());
                let told = &mut nodes[*node];
                *(if is_alive { &mut told.passed } else { &mut told.died }) += attempts;
                missed_by
            }
        };
        missed_by.iter().for_each(|node| nodes[*node].not_reached += attempts);
    }

    /// The death of the `listed` attempts, which have this fate, in a report of `host` that had these `deaths`; `None` if
    /// nothing explains them still.
    pub fn death(
        &self,
        host: &str,
        deaths: &[Death],
        listed: &Listed,
        watchers: &[Watcher],
    ) -> Option<Death> {
        let hosts = |nodes: &[usize]| nodes.iter().map(|node| watchers[*node].host()).collect::<Vec<_>>();
        let of = |base: &Option<usize>| base.and_then(|index| deaths.get(index));
        let sent = || listed.sent_s.iter().copied();
        let (first_s, last_s) = (sent().fold(f64::MAX, f64::min), sent().fold(f64::MIN, f64::max));
        let attempts = listed.seq.len() as u64;
        match self {
            Fate::Same(base) => {
                let death = of(base)?;
                // Those that are left need not be those that died first and last.
                let is_whole = death.attempts == attempts;
                let (first_s, last_s) =
                    if is_whole { (death.first_s, death.last_s) } else { (first_s, last_s) };
                Some(Death { attempts, first_s, last_s, ..death.clone() })
            }
            Fate::At { node, probe, end, missed_by } => {
                let watcher = &watchers[*node];
                let died = &watcher.ended(*probe, *end)?.death;
                let explain = told(died, watcher.host(), host, &hosts(missed_by));
                let node = Some(watcher.host().to_owned());
                Some(Death { attempts, node, first_s, last_s, explain, ..died.clone() })
            }
            Fate::Dropped(node, place, is_reply) => {
                let watcher = &watchers[*node];
                let died = &watcher.place(*place)?.death;
                let leg = if *is_reply { Leg::Reply } else { Leg::Request };
                let explain = told(died, watcher.host(), host, &[]);
                let node = Some(watcher.host().to_owned());
                Some(Death { attempts, leg, node, first_s, last_s, explain, ..died.clone() })
            }
            Fate::NotReached(base, nodes) => {
                let death = of(base);
                let explain = not_reached(death, host, &hosts(nodes));
                let unseen = Death {
                    attempts,
                    leg: Leg::Request,
                    cause: Cause::Unseen,
                    node: None,
                    reason: None,
                    symbol: None,
                    device: None,
                    ifindex: None,
                    netns: None,
                    netns_name: None,
                    stage: None,
                    first_s,
                    last_s,
                    explain: String::new(),
                };
                let death = death.cloned().unwrap_or(unseen);
                Some(Death { attempts, first_s, last_s, explain, ..death })
            }
        }
    }
}
