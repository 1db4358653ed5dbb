//! What the script shows where somebody points: the pictures' numbers.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::Page;
use super::axis::Axis;
use super::fate::shares;
use super::figure::drawn;
use super::head::name_of;
use crate::report::{Change, Counted, RttBins};

/// Outages of a probe that keys jump to.
const OUTAGES: usize = 1_000;

#[derive(Serialize)]
struct Data<'a> {
    extent_s: f64,
    probes: Vec<Probe<'a>>,
    changes: &'a [Change],
}

#[derive(Serialize)]
struct Probe<'a> {
    name: String,
    /// Of each outage: start and end.
    outages: Vec<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bins: Option<Bins<'a>>,
}

#[derive(Serialize)]
struct Bins<'a> {
    bin_s: f64,
    sent: &'a [u64],
    rtt_us: &'a RttBins,
    shares: Vec<(String, &'a Counted)>,
    resent: Option<&'a Counted>,
}

/// As JSON in an element of its own.
pub(super) fn embedded(page: &Page) -> Markup {
    let mut probes = Vec::new();
    // Nobody can point at others.
    let drawn: BTreeSet<usize> = drawn(page).iter().map(|drawn| drawn.number).collect();
    for target in &page.report.targets {
        for (index, probe) in target.probes.iter().enumerate() {
            let timeline = probe.timeline.as_ref().filter(|_| drawn.contains(&probes.len()));
            let bins = timeline.map(|timeline| Bins {
                bin_s: timeline.bin_s,
                sent: &timeline.sent,
                rtt_us: &timeline.rtt_us,
                shares: shares(probe, &page.places)
                    .into_iter()
                    .filter_map(|share| share.counted.map(|counted| (share.label, counted)))
                    .collect(),
                resent: timeline.retransmits.as_ref(),
            });
            let outages = probe.outages.iter().take(OUTAGES).map(|outage| (outage.start_s, outage.end_s));
            probes.push(Probe {
                name: name_of(page, target, index, probe),
                outages: outages.collect(),
                bins,
            });
        }
    }
    let data = Data { extent_s: Axis::of(page.report).extent_s, probes, changes: &page.report.changes };
    // Numbers, lists and strings: nothing that could not be JSON. Without them the page lacks only the script's part.
    let json = serde_json::to_string(&data).unwrap_or_else(|_| "null".to_owned());
    html! { script type="application/json" id="data" { (PreEscaped(harmless(&json))) } }
}

/// JSON that cannot end the element which it stands in: `<` is the same string as `\u003c` there.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_ends_the_element() {
        let json = harmless(r#"{"a":"</script><!--"}"#);
        assert!(!json.contains('<'), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "</script><!--");
    }
}
