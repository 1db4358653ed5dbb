//! Whom the next window visits: each address that a target has now, but none of this host's own.

use std::{collections::BTreeSet, net::IpAddr};

use crate::options::{AgentOptions, Host, Refused, TargetSpec};

/// The targets, and what is known of each.
pub(super) struct Mesh {
    targets: Vec<Known>,
    /// Addresses of one window.
    most: usize,
}

struct Known {
    spec: TargetSpec,
    /// What it resolved to last.
    addresses: BTreeSet<IpAddr>,
    /// Did that fail the last time?
    is_failing: bool,
}

/// Whom one window visits.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Round {
    /// Targets as typed, each with one of its addresses.
    pub(super) visits: Vec<(String, IpAddr)>,
    /// Targets that could not be resolved now.
    pub(super) failed: Vec<Failure>,
    /// Addresses for which there was no room.
    pub(super) left_out: usize,
}

/// A target that could not be resolved.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// As typed.
    pub(super) target: String,
    /// Why.
    pub(super) why: String,
    /// Could it be resolved before? Then this has not been said yet.
    pub(super) is_new: bool,
}

impl Mesh {
    /// Nothing is known yet.
    pub(super) fn new(options: &AgentOptions) -> Mesh {
        let known =
            |spec: &TargetSpec| Known { spec: spec.clone(), addresses: BTreeSet::new(), is_failing: false };
        Mesh { targets: options.targets.iter().map(known).collect(), most: options.most_addresses }
    }

    /// Asks for the addresses of every target; `own` are this host's. What is typed as an address is visited as it is.
    pub(super) fn look(
        &mut self,
        resolve: impl Fn(&Host) -> Result<Vec<IpAddr>, Refused>,
        own: &BTreeSet<IpAddr>,
    ) -> Round {
        let mut round = Round::default();
        for Known { spec, addresses, is_failing } in &mut self.targets {
            match resolve(&spec.host) {
                Ok(found) => {
                    *is_failing = false;
                    let is_named = matches!(spec.host, Host::Name(_));
                    *addresses =
                        found.into_iter().filter(|address| !is_named || !own.contains(address)).collect();
                }
                Err(error) => {
                    let is_new = !std::mem::replace(is_failing, true);
                    round.failed.push(Failure { target: spec.typed.clone(), why: error.to_string(), is_new });
                }
            }
            let visits = addresses.iter().map(|address| (spec.typed.clone(), *address));
            round.visits.extend(visits);
        }
        round.left_out = round.visits.len().saturating_sub(self.most);
        round.visits.truncate(self.most);
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn mesh(line: &str) -> Mesh {
        match Cli::try_parse_from(format!("netbreak agent {line}").split_whitespace()).unwrap().command {
            Command::Agent(args) => Mesh::new(&AgentOptions::check(&args).unwrap()),
            _ => panic!("not agent"),
        }
    }

    /// A resolver that knows one name.
    fn knows(addresses: &[[u8; 4]]) -> impl Fn(&Host) -> Result<Vec<IpAddr>, Refused> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| IpAddr::from(*address)).collect();
        move |host| match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) if name == "nodes" && !addresses.is_empty() => Ok(addresses.clone()),
            Host::Name(name) => Err(Refused::new(format!("cannot resolve {name}"))),
        }
    }

    fn visits(round: &Round) -> Vec<(&str, String)> {
        round.visits.iter().map(|(typed, address)| (typed.as_str(), address.to_string())).collect()
    }

    #[test]
    fn each_address_of_a_name_but_our_own() {
        let mut mesh = mesh("nodes 10.0.0.1");
        let own = BTreeSet::from([IpAddr::from([10, 0, 0, 1])]);
        let round = mesh.look(knows(&[[10, 0, 0, 3], [10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]]), &own);
        // In the same order, whatever the resolver's; and what is typed as an address is meant.
        let expected = [("nodes", "10.0.0.2"), ("nodes", "10.0.0.3"), ("10.0.0.1", "10.0.0.1")];
        assert_eq!(visits(&round), expected.map(|(typed, address)| (typed, address.to_owned())));
        assert!(round.failed.is_empty() && round.left_out == 0);
        // Those that are gone are visited no more; alone there is nobody.
        let round = mesh.look(knows(&[[10, 0, 0, 1]]), &own);
        assert_eq!(visits(&round).len(), 1);
    }

    #[test]
    fn a_failure_keeps_the_last_addresses_and_is_new_once() {
        let (mut mesh, own) = (mesh("nodes other"), BTreeSet::new());
        let said = |round: &Round| -> Vec<(String, bool)> {
            round.failed.iter().map(|failure| (failure.target.clone(), failure.is_new)).collect()
        };
        let of = |name: &str, is_new| (name.to_owned(), is_new);
        let round = mesh.look(knows(&[[10, 0, 0, 2]]), &own);
        assert_eq!((round.visits.len(), said(&round)), (1, vec![of("other", true)]));
        assert_eq!(round.failed[0].why, "cannot resolve other");
        let round = mesh.look(knows(&[]), &own);
        assert_eq!((round.visits.len(), said(&round)), (1, vec![of("nodes", true), of("other", false)]));
        let round = mesh.look(knows(&[[10, 0, 0, 4], [10, 0, 0, 5]]), &own);
        assert_eq!((round.visits.len(), said(&round)), (2, vec![of("other", false)]));
        let round = mesh.look(knows(&[]), &own);
        assert_eq!((round.visits.len(), said(&round)), (2, vec![of("nodes", true), of("other", false)]));
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        let mut mesh = mesh("nodes --icmp --interval 1ms --window 10h");
        assert_eq!(mesh.most, 1);
        let round = mesh.look(knows(&[[10, 0, 0, 2], [10, 0, 0, 3], [10, 0, 0, 4]]), &BTreeSet::new());
        assert_eq!((visits(&round), round.left_out), (vec![("nodes", "10.0.0.2".to_owned())], 2));
    }
}
