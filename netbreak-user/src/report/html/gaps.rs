//! What could not be seen: sensors that were not on, and what was lost while measuring.

use maud::{Markup, html};

use super::Page;
use super::value::{count, sentence, word};
use crate::report::{
    Sensor, SensorState,
    text::{
        format::{NOT_MEASURED, milliseconds},
        rest::named_losses,
    },
};

/// Attempts that left this much after their plan are told, in microseconds.
const LEFT_LATE: f64 = 100_000.0;

pub(super) fn gaps(page: &Page) -> Markup {
    let report = page.report;
    let sensors = || report.run.sensors.iter().enumerate();
    let (on, missing): (Vec<_>, Vec<_>) = sensors().partition(|(_, sensor)| sensor.state == SensorState::On);
    let losses: Vec<_> = named_losses(report).into_iter().filter(|(_, number, _)| *number > 0).collect();
    let delays = report.probes().filter_map(|probe| probe.schedule_delay_us.map(|delay| delay.max));
    let latest = delays.max_by(f64::total_cmp).filter(|latest| *latest >= LEFT_LATE);
    html! {
        section id="gaps" {
            h2 { "What could not be seen" }
            @if missing.is_empty() && losses.is_empty() && latest.is_none() {
                p { "Nothing is known to be missing." }
            }
            @if let Some(latest) = latest {
                p { strong.warn { "⚠ attempts left up to " (milliseconds(latest)) " after their plan" }
                    ": netbreak was not scheduled, or waited for a free connection; a break shorter than that may be missed." }
            }
            @if !losses.is_empty() {
                table {
                    thead { tr { th.number { "lost" } th { "while measuring" } } }
                    tbody { @for (field, number, what) in losses {
                        tr { td.number { strong.bad { (count(&format!("/losses/{field}"), number)) } } td { (what) } }
                    } }
                }
            }
            @if !missing.is_empty() {
                table {
                    thead { tr { th { "sensor" } th { "state" } th { "why, and what would turn it on" } } }
                    tbody { @for (index, sensor) in missing { (row(index, sensor)) } }
                }
            }
            @if !on.is_empty() {
                p.quiet { "As designed: " @for (position, (index, sensor)) in on.into_iter().enumerate() {
                    @if position > 0 { ", " }
                    (word(&format!("/run/sensors/{index}/name"), &sensor.name))
                } "." }
            }
        }
    }
}

fn row(index: usize, sensor: &Sensor) -> Markup {
    let at = format!("/run/sensors/{index}");
    html! {
        tr {
            td.name { (word(&format!("{at}/name"), &sensor.name)) }
            td.name { strong.warn { (word(&format!("{at}/state"), sensor.state.name())) } }
            td { @match &sensor.why {
                Some(why) => (sentence(why)),
                None => (NOT_MEASURED),
            } }
        }
    }
}
