//! The way of a probe's packets, one line a stage.

use super::{Page, Style};
use crate::report::{Leg, Path, PathStage};

/// Columns of a device and its namespace.
const PLACE: usize = 24;

pub(super) fn path(page: &mut Page, path: &Path) {
    let title = format!("    path        of {} answered attempts", path.sample);
    page.line(format!("{title:<52}{:>9}{:>9}{:>9}", "p50", "p99", "stopped"));
    let mut leg = None;
    for stage in &path.stages {
        let label = if leg == Some(stage.leg) { "" } else { word(stage.leg) };
        leg = Some(stage.leg);
        let [p50, p99] = match stage.since_us {
            Some(since) => [since.p50, since.p99].map(microseconds),
            None => [const { String::new() }; 2],
        };
        let stopped = if stage.stopped > 0 { stage.stopped.to_string() } else { String::new() };
        let row =
            format!("    {label:<8}{:<16}{:<PLACE$}{p50:>9}{p99:>9}{stopped:>9}", stage.stage, place(stage));
        let style = if stage.stopped > 0 { Style::Bad } else { Style::Plain };
        page.line(page.paint.paint(style, &row));
    }
}

fn word(leg: Leg) -> &'static str {
    match leg {
        Leg::Request => "request",
        Leg::Reply => "reply",
        Leg::Unknown => "",
    }
}

fn microseconds(us: f64) -> String {
    if us < 1_000.0 { format!("{us:.1} µs") } else { format!("{:.1} ms", us / 1e3) }
}

/// The device and its namespace, short enough for the column.
fn place(stage: &PathStage) -> String {
    let device = match (&stage.device, stage.ifindex) {
        (Some(name), _) => format!("{name} "),
        (None, Some(ifindex)) => format!("if{ifindex} "),
        (None, None) => String::new(),
    };
    let netns = match (&stage.netns_name, stage.netns) {
        (Some(name), _) => name.clone(),
        (None, Some(inode)) => inode.to_string(),
        (None, None) => String::new(),
    };
    let text = format!("{device}{netns}");
    if text.chars().count() < PLACE {
        return text;
    }
    let kept: String = text.chars().take(PLACE - 2).collect();
    format!("{kept}…")
}
