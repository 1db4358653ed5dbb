//! Where attempts died: each place once, for all probes, however many lost attempts there.

use std::collections::BTreeMap;

use super::format::{NO_BREAK, count, namespace, span};
use super::{Page, Style};
use crate::report::{Death, Leg, Probe, Report};

/// More places than this are summed up; JSON has them all.
const SHOWN: usize = 10;
/// Where the text of a place begins.
const TEXT: usize = 7;

/// One place and reason of deaths.
pub(in crate::report) struct Place<'a> {
    /// One of its deaths.
    pub death: &'a Death,
    /// Of all probes.
    pub attempts: u64,
    probes: u64,
    pub first_s: f64,
    pub last_s: f64,
}

/// All places of a report, most attempts first: the first is number 1.
pub(in crate::report) struct Places<'a>(Vec<Place<'a>>);

impl<'a> Places<'a> {
    pub(in crate::report) fn of(report: &'a Report) -> Self {
        let mut places: Vec<Place<'a>> = Vec::new();
        for probe in report.probes() {
            for death in &probe.deaths {
                match places.iter_mut().find(|place| is_same(place.death, death)) {
                    Some(place) => {
                        place.attempts += death.attempts;
                        place.probes += 1;
                        place.first_s = place.first_s.min(death.first_s);
                        place.last_s = place.last_s.max(death.last_s);
                    }
                    None => places.push(Place {
                        death,
                        attempts: death.attempts,
                        probes: 1,
                        first_s: death.first_s,
                        last_s: death.last_s,
                    }),
                }
            }
        }
        places.sort_by_key(|place| std::cmp::Reverse(place.attempts));
        Places(places)
    }

    /// Each place with its number, from 1.
    pub(in crate::report) fn iter(&self) -> impl Iterator<Item = (usize, &Place<'a>)> {
        (1..).zip(&self.0)
    }

    /// The number of a death's place.
    pub(in crate::report) fn number(&self, death: &Death) -> Option<usize> {
        self.0.iter().position(|place| is_same(place.death, death)).map(|index| index + 1)
    }

    /// `180 at [1], 15 at [2]`; nothing if no death is known.
    pub(super) fn of_probe(&self, probe: &Probe) -> Option<String> {
        let mut numbered: BTreeMap<usize, u64> = BTreeMap::new();
        for death in &probe.deaths {
            let index = self.number(death).map_or(SHOWN, |number| number - 1);
            *numbered.entry(index.min(SHOWN)).or_default() += death.attempts;
        }
        let texts = numbered.iter().map(|(index, attempts)| match index {
            &SHOWN => format!("{attempts}{NO_BREAK}elsewhere"),
            index => format!("{attempts}{NO_BREAK}at{NO_BREAK}[{}]", index + 1),
        });
        (!numbered.is_empty()).then(|| texts.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn print(&self, page: &mut Page) {
        if self.0.is_empty() {
            return;
        }
        page.line("");
        page.line(page.paint.paint(Style::Strong, "where they died"));
        for (index, place) in self.0.iter().take(SHOWN).enumerate() {
            place.print(page, index + 1);
        }
        if let Some(hidden @ [_, ..]) = self.0.get(SHOWN..) {
            let attempts = hidden.iter().map(|place| place.attempts).sum();
            let text = format!(
                "{} at {}; --json has all",
                count(attempts, "attempt"),
                count(hidden.len() as u64, "more place")
            );
            page.paragraph("  else", TEXT, Style::Plain, &text);
        }
    }
}

impl Place<'_> {
    /// `r0 in router (netns 4026532246), on the request leg`.
    pub(in crate::report) fn name(&self) -> String {
        let leg = match self.death.leg {
            Leg::Request => "on the request leg",
            Leg::Reply => "on the reply leg",
            Leg::Unknown => "on an unknown leg",
        };
        let netns = namespace(self.death.netns_name.as_deref(), self.death.netns);
        let place = match (&self.death.device, netns) {
            (Some(device), Some(netns)) => format!("{device} in {netns}"),
            (Some(device), None) => device.clone(),
            (None, netns) => netns.unwrap_or_default(),
        };
        let node = self.death.node.as_ref().map(|node| format!("on {node}")).unwrap_or_default();
        match format!("{place} {node}").trim() {
            "" => leg.to_owned(),
            place => format!("{place}, {leg}"),
        }
    }

    /// What stands behind its cause: `: NETFILTER_DROP at nft_do_chain (netfilter forward)`, or less.
    fn evidence(&self) -> String {
        let Death { reason, symbol, stage, .. } = self.death;
        let part = |before: &str, text: &Option<String>, after: &str| match text {
            Some(text) => format!("{before}{text}{after}"),
            None => String::new(),
        };
        part(": ", reason, "") + &part(" at ", symbol, "") + &part(" (", stage, ")")
    }

    fn print(&self, page: &mut Page, number: usize) {
        let death = self.death;
        page.paragraph(&format!("  [{number}]"), TEXT, Style::Bad, &self.name());

        let text = format!(
            "{} of {}, {}",
            count(self.attempts, "attempt"),
            count(self.probes, "probe"),
            span(self.first_s, self.last_s)
        );
        page.paragraph("", TEXT, Style::Plain, &text);

        let evidence = format!("{}{}", death.cause.name(), self.evidence());
        page.paragraph("", TEXT, Style::Plain, &evidence);
        page.paragraph("     →", TEXT, Style::Plain, &death.explain);
    }
}

/// The same place, reason and explanation?
fn is_same(a: &Death, b: &Death) -> bool {
    a.node == b.node
        && (a.leg, a.cause, &a.reason, &a.symbol, &a.device, a.ifindex, a.netns, &a.stage, &a.explain)
            == (b.leg, b.cause, &b.reason, &b.symbol, &b.device, b.ifindex, b.netns, &b.stage, &b.explain)
}
