//! What became of attempts that were not answered in time, and how each is drawn: a colour, a pattern and a name.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Page;
use crate::report::{Cause, Counted, Probe, Report, text::places::Places};

/// Patterns of causes that can be told from each other without colours.
const PATTERNS: [&str; 6] = [
    "",
    "M-2 2L2 -2M-2 10L10 -2M6 10L10 6",
    "M2 2h1.5M6 6h1.5",
    "M-2 6L2 10M-2 -2L10 10M6 -2L10 2",
    "M0 4H4V0M4 8V4H8",
    "M2 0V8M6 0V8",
];
/// Of attempts whose answer came too late.
const LATE: &str = "M0 2H8M0 6H8";
/// Of attempts for which nothing is known.
const UNEXPLAINED: &str = "M0 0L8 8M8 0L0 8";

/// One end of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Died(Cause),
    Unexplained,
    Reset,
    Late,
}

impl Fate {
    /// Its name, which is also that of its pattern.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Died(cause) => cause.name(),
            Fate::Unexplained => "unexplained",
            Fate::Reset => "reset",
            Fate::Late => "late",
        }
    }

    /// The class with its colour: one for each kind of place, out of six that colour-blind readers can tell.
    pub fn hue(self) -> &'static str {
        match self {
            Fate::Died(Cause::Netfilter | Cause::Tc | Cause::Xdp | Cause::Bpf) => "red",
            Fate::Died(Cause::Route | Cause::Neighbour | Cause::Link) => "blue",
            Fate::Died(Cause::Queue | Cause::Socket | Cause::Conntrack | Cause::Reset) | Fate::Reset => {
                "ochre"
            }
            Fate::Died(Cause::Checksum | Cause::Mtu | Cause::Ttl) => "green",
            Fate::Died(Cause::OvsUpcall | Cause::OvsFlow) => "purple",
            Fate::Died(Cause::Unseen | Cause::Starved | Cause::Other) | Fate::Unexplained | Fate::Late => {
                "grey"
            }
        }
    }
}

/// Attempts of one probe with one fate.
pub(super) struct Share<'a> {
    pub fate: Fate,
    /// Such as `netfilter [1]`, with the number of the place.
    pub label: String,
    /// In bins of its timeline; `None` without one.
    pub counted: Option<&'a Counted>,
    pub attempts: u64,
}

/// What became of a probe's attempts: its deaths as they are listed, then the rest.
pub(super) fn shares<'a>(probe: &'a Probe, places: &Places) -> Vec<Share<'a>> {
    let timeline = probe.timeline.as_ref();
    let died = probe.deaths.iter().enumerate().map(|(index, death)| {
        let number = places.number(death).map(|number| format!(" [{number}]")).unwrap_or_default();
        Share {
            fate: Fate::Died(death.cause),
            label: format!("{}{number}", death.cause.name()),
            counted: timeline.and_then(|timeline| timeline.deaths.get(index)),
            attempts: death.attempts,
        }
    });
    let others = [
        (Fate::Unexplained, probe.unexplained, timeline.map(|timeline| &timeline.unexplained)),
        (Fate::Reset, probe.reset, timeline.map(|timeline| &timeline.reset)),
        (Fate::Late, probe.late, timeline.map(|timeline| &timeline.late)),
    ];
    let others = others
        .into_iter()
        .filter(|(_, attempts, _)| *attempts > 0)
        .map(|(fate, attempts, counted)| Share { fate, label: fate.name().to_owned(), counted, attempts });
    died.chain(others).collect()
}

/// The fates of a report, most attempts first.
pub(super) struct Fates(Vec<(Fate, u64)>);

impl Fates {
    pub fn of(report: &Report, places: &Places) -> Self {
        let mut found: BTreeMap<&str, (Fate, u64)> = BTreeMap::new();
        for share in report.probes().flat_map(|probe| shares(probe, places)) {
            found.entry(share.fate.name()).or_insert((share.fate, 0)).1 += share.attempts;
        }
        let mut fates: Vec<(Fate, u64)> = found.into_values().collect();
        fates.sort_by_key(|(_, attempts)| std::cmp::Reverse(*attempts));
        Fates(fates)
    }

    /// Each cause has a pattern of its own, as far as there are patterns.
    fn pattern(&self, fate: Fate) -> &'static str {
        match fate {
            Fate::Late => LATE,
            Fate::Unexplained => UNEXPLAINED,
            _ => {
                let others =
                    self.0.iter().filter(|(other, _)| !matches!(other, Fate::Late | Fate::Unexplained));
                PATTERNS[others.take_while(|(other, _)| *other != fate).count() % PATTERNS.len()]
            }
        }
    }

    /// The patterns: `s-NAME` for samples, `t-NAME` for pictures whose x is time. `stretch` is how many milliseconds
    /// of those a pixel is likely to be; the script knows it exactly.
    pub fn patterns(&self, stretch: f64) -> Markup {
        html! {
            svg.defs width="0" height="0" aria-hidden="true" {
                defs {
                    @for (fate, _) in &self.0 {
                        pattern id={ "s-" (fate.name()) } class=(fate.hue()) width="8" height="8"
                            patternUnits="userSpaceOnUse" {
                            rect width="8" height="8" fill="currentColor" {}
                            path.knock d=(self.pattern(*fate)) {}
                        }
                        pattern.stretched id={ "t-" (fate.name()) } href={ "#s-" (fate.name()) }
                            patternTransform=(format!("scale({stretch:.3} 1)")) {}
                    }
                }
            }
        }
    }

    /// What the patterns mean.
    pub fn legend(&self) -> Markup {
        html! {
            @for (fate, attempts) in &self.0 {
                li { (sample(*fate)) (fate.name()) " " span.quiet { (attempts) } }
            }
        }
    }
}

/// A sample of its pattern.
pub(super) fn sample(fate: Fate) -> Markup {
    html! {
        svg.sample width="24" height="16" aria-hidden="true" {
            rect width="24" height="16" rx="2" fill=(format!("url(#s-{})", fate.name())) {}
        }
    }
}

/// The fate that most attempts of a probe had in `from_s` to `to_s`, in words; with how many others there were.
pub(super) fn most(page: &Page, probe: &Probe, (from_s, to_s): (f64, f64)) -> Option<(Fate, String)> {
    let mut within: Vec<(u64, Share)> = shares(probe, &page.places)
        .into_iter()
        .map(|share| (attempts_within(probe, &share, from_s, to_s), share))
        .filter(|(attempts, _)| *attempts > 0)
        .collect();
    within.sort_by_key(|(attempts, _)| std::cmp::Reverse(*attempts));
    let others = within.len().saturating_sub(1);
    let (_, share) = within.into_iter().next()?;
    let more = if others > 0 { format!(" +{others}") } else { String::new() };
    Some((share.fate, share.label + &more))
}

fn attempts_within(probe: &Probe, share: &Share, from_s: f64, to_s: f64) -> u64 {
    match (share.counted, &probe.timeline) {
        (Some(counted), Some(timeline)) => {
            let bin = |at_s: f64| (at_s / timeline.bin_s + 1e-6) as u32;
            let (first, last) = (bin(from_s), bin(to_s));
            counted.iter().filter(|(bin, _)| (first..=last).contains(bin)).map(|(_, count)| count).sum()
        }
        // Only sums are known: as if they were spread over the whole run.
        _ => share.attempts,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn every_fate_of_a_report_has_its_own_pattern() {
        let report = fixtures::broken();
        let fates = Fates::of(&report, &Places::of(&report));
        let names: Vec<_> = fates.0.iter().map(|(fate, _)| fate.name()).collect();
        assert_eq!(names, ["netfilter", "late", "socket", "reset", "unexplained"]);
        let patterns: BTreeSet<_> = fates.0.iter().map(|(fate, _)| fates.pattern(*fate)).collect();
        assert_eq!(patterns.len(), names.len());
        assert_eq!(fates.pattern(Fate::Died(Cause::Netfilter)), "", "the largest is solid");
    }
}
