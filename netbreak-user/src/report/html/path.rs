//! The way of the packets, stage by stage.

use maud::{Markup, html};

use super::Page;
use super::head::name_of;
use super::value::{count, number, word};
use crate::report::{
    Leg, Path, PathStage,
    text::format::{NOT_MEASURED, namespace},
};

pub(super) fn paths(page: &Page) -> Markup {
    if page.report.probes().all(|probe| probe.path.is_none()) {
        return html! {};
    }
    html! {
        section id="paths" {
            h2 { "The way of the packets" }
            @for (t, target) in page.report.targets.iter().enumerate() {
                @for (p, probe) in target.probes.iter().enumerate() {
                    @if let Some(path) = &probe.path {
                        (way(&format!("/targets/{t}/probes/{p}/path"), &name_of(page, target, p, probe), path, t + p == 0))
                    }
                }
            }
        }
    }
}

fn way(at: &str, name: &str, path: &Path, first: bool) -> Markup {
    html! {
        details open[first] {
            summary { (name) " " span.quiet { "of " (count(&format!("{at}/sample"), path.sample)) " answered attempts" } }
            div.scroll { table {
                thead { tr {
                    th { "leg" } th { "stage" } th { "device" } th { "namespace" }
                    th.number { "since the stage before, p50" } th.number { "p99" } th.number { "lost ones seen here last" }
                } }
                tbody { @for (index, stage) in path.stages.iter().enumerate() {
                    (row(&format!("{at}/stages/{index}"), stage))
                } }
            } }
        }
    }
}

fn row(at: &str, stage: &PathStage) -> Markup {
    let leg = match stage.leg {
        Leg::Request => "request →",
        Leg::Reply => "← reply",
        Leg::Unknown => NOT_MEASURED,
    };
    let device = stage.device.clone().or_else(|| stage.ifindex.map(|index| format!("if{index}")));
    let netns = namespace(stage.netns_name.as_deref(), stage.netns);
    html! {
        tr.stopped[stage.stopped > 0] {
            td.nowrap { (leg) }
            td.name { (word(&format!("{at}/stage"), &stage.stage)) }
            td.name { (device.as_deref().unwrap_or(NOT_MEASURED)) }
            td.name { (netns.as_deref().unwrap_or(NOT_MEASURED)) }
            @match stage.since_us {
                Some(since) => @for (name, us) in [("p50", since.p50), ("p99", since.p99)] {
                    td.number.nowrap { (number(&format!("{at}/since_us/{name}"), us, microseconds(us))) }
                },
                None => @for _ in 0..2 { td.number { (NOT_MEASURED) } },
            }
            td.number { (count(&format!("{at}/stopped"), stage.stopped)) }
        }
    }
}

fn microseconds(us: f64) -> String {
    if us < 1_000.0 { format!("{us:.1} µs") } else { format!("{:.1} ms", us / 1e3) }
}
