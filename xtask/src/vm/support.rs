//! docs/kernel-support.md: what netbreak can see on which kernel, from what `netbreak doctor` said in guests.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::kernels::KERNELS;
use super::place::Place;
use super::plan::Run;
use crate::workspace;

/// The scenario that leaves `doctor.json` behind.
const SCENARIO: &str = "boot::doctor";

const DOCUMENT: &str = "docs/kernel-support.md";

/// What `netbreak doctor --json` says, as far as the document needs it.
#[derive(Deserialize)]
struct Diagnosis {
    sensors: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    name: String,
    state: String,
    why: Option<String>,
}

/// Compares the document with what the guests of `runs` said, or writes it anew with NETBREAK_UPDATE=1. Does nothing
/// unless each kernel has just been asked.
///
/// # Errors
/// When they differ, or what a guest said cannot be read.
pub fn check(place: &Place, runs: &[Run]) -> Result<()> {
    let asked: Vec<Run> =
        KERNELS.iter().map(|kernel| Run { kernel, scenario: SCENARIO.to_owned() }).collect();
    if !asked.iter().all(|run| runs.contains(run)) {
        return Ok(());
    }
    let diagnoses = asked.iter().map(|run| read(&place.out(run).join("doctor.json")));
    let text = render(&KERNELS.map(|kernel| kernel.name), &diagnoses.collect::<Result<Vec<_>>>()?);
    let path = workspace::root().join(DOCUMENT);
    if env::var_os("NETBREAK_UPDATE").is_some() {
        return fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
    }
    ensure!(
        fs::read_to_string(&path).is_ok_and(|shown| shown == text),
        "{DOCUMENT} is not what the guests say: run `NETBREAK_UPDATE=1 cargo xtask vm boot`"
    );
    Ok(())
}

fn read(path: &Path) -> Result<Diagnosis> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

const HEAD: &str = "\
# What netbreak sees on which kernel

Made by `NETBREAK_UPDATE=1 cargo xtask vm boot` from what `netbreak doctor --json` says in virtual machines with Debian's
kernels for clouds, Open vSwitch loaded; `cargo xtask test` checks that it still holds. *newest* is the newest
kernel in Debian's backports. What each sensor is for stands in [sensors.md](sensors.md).

`cargo xtask vm sees` tries on each of them that a network that works is clean and its books balance, and `cargo xtask vm ovs`
that what Open vSwitch's datapath drops is found. `cargo xtask vm faults` tries that these causes are found at the place of
the fault, by every kind of probe, as often as the kernel itself counts: `netfilter` (nft, iptables-legacy), `conntrack` (its
table is full), `route`, `neighbour` (silent; outdated), `queue` (tbf, netem), `tc` (clsact, u32), `xdp` and `socket` (full,
nobody listens). They pass on all five. Where `kfree_skb` gives no reason (drop reasons: off), a death's cause follows from the
function that freed the packet and from its callers; an outdated link address is not told then.

";

/// Renders a table of sensors × kernels, and below it why each is not on.
fn render(kernels: &[&str], diagnoses: &[Diagnosis]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for finding in diagnoses.iter().flat_map(|diagnosis| &diagnosis.sensors) {
        if !names.contains(&finding.name.as_str()) {
            names.push(&finding.name);
        }
    }
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| sensor | {} |\n|---{}|", kernels.join(" | "), "|---".repeat(kernels.len()));
    let mut notes = String::new();
    for name in names {
        let of = |diagnosis: &'_ Diagnosis| {
            let found = diagnosis.sensors.iter().position(|finding| finding.name == name);
            found.map(|at| (diagnosis.sensors[at].state.clone(), diagnosis.sensors[at].why.clone()))
        };
        let found: Vec<_> = diagnoses.iter().map(of).collect();
        let states = found.iter().map(|found| found.as_ref().map_or("–", |(state, _)| state));
        let _ = writeln!(text, "| `{name}` | {} |", states.collect::<Vec<_>>().join(" | "));
        // One line a reason, with the kernels that have it.
        let mut reasons: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for (kernel, found) in kernels.iter().zip(found) {
            if let Some((state, Some(why))) = found.filter(|(state, _)| state != "on") {
                reasons.entry((state, without_numbers(&why))).or_default().push(*kernel);
            }
        }
        for ((state, why), kernels) in reasons {
            let _ = writeln!(notes, "- `{name}` is {state} on {}: {why}.", kernels.join(", "));
        }
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n## Why not\n\n{notes}");
    }
    text
}

/// Inode numbers of namespaces are others each time.
fn without_numbers(why: &str) -> String {
    let words =
        why.split(' ').filter(|word| !(word.len() > 8 && word.bytes().all(|byte| byte.is_ascii_digit())));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(sensors: &[(&str, &str, Option<&str>)]) -> Diagnosis {
        let finding = |(name, state, why): &(&str, &str, Option<&str>)| Finding {
            name: (*name).to_owned(),
            state: (*state).to_owned(),
            why: why.map(str::to_owned),
        };
        Diagnosis { sensors: sensors.iter().map(finding).collect() }
    }

    #[test]
    fn sensors_by_kernels_and_why_they_are_not_on() {
        let old =
            diagnosis(&[("a", "on", Some("2 of 2")), ("b", "off", Some("no tracepoint in 4026531992 b"))]);
        let text = render(&["5.10", "newest"], &[old, diagnosis(&[("a", "on", None), ("c", "on", None)])]);
        let table = text.split_once("| sensor").unwrap().1;
        assert_eq!(
            table,
            " | 5.10 | newest |\n|---|---|---|\n| `a` | on | on |\n| `b` | off | – |\n| `c` | – | on |\n\n\
             ## Why not\n\n- `b` is off on 5.10: no tracepoint in b.\n"
        );
    }
}
