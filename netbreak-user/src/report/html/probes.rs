//! Every probe in numbers.

use maud::{Markup, PreEscaped, html};

use super::Page;
use super::row::name;
use super::value::{count, number, word};
use crate::report::{
    PhasesUs, Probe, RttUs, Target,
    text::{
        format::{NOT_MEASURED, milliseconds, span, time},
        probes::{is_alike, late_because},
        streams::{Sum, troubled},
    },
};

/// Outages listed, of a probe: the longest ones.
const OUTAGES: usize = 20;
/// Streams of many that have a row of their own.
const STREAMS: usize = 10;

pub(super) fn probes(page: &Page) -> Markup {
    html! {
        section id="probes" {
            h2 { "Probes" }
            div.scroll { table {
                thead { tr {
                    th { "probe" } th.number { "sent" } th.number { "answered" } th { "not in time" }
                    th.number { "longest outage" } th.number { "rtt p50" } th.number { "p99" } th.number { "max" }
                    th.number { "resent" }
                } }
                @for (index, target) in page.report.targets.iter().enumerate() { (self::target(page, index, target)) }
            } }
        }
    }
}

fn target(page: &Page, index: usize, target: &Target) -> Markup {
    let at = format!("/targets/{index}");
    html! {
        tbody {
            tr { th.group colspan="9" {
                @if let Some(row) = &target.row {
                    (word(&format!("{at}/row/name"), &row.name)) ": "
                    (word(&format!("{at}/row/source"), &row.source)) " → "
                }
                (word(&format!("{at}/target"), &target.target))
                @if target.target != target.address {
                    " " span.quiet { (word(&format!("{at}/address"), &target.address)) }
                }
            } }
            @for (first, alike) in groups(&target.probes) {
                @if let [probe] = alike {
                    @let late = late_because(page.report, target, probe);
                    (row(&format!("{at}/probes/{first}"), &name(target, first, probe), probe, late.as_deref()))
                } @else { (streams(&at, target, first, alike)) }
            }
        }
    }
}

/// Streams to one port together, each with the index of its first.
fn groups(probes: &[Probe]) -> Vec<(usize, &[Probe])> {
    let mut first = 0;
    let with_index = probes.chunk_by(is_alike).map(|alike| {
        first += alike.len();
        (first - alike.len(), alike)
    });
    with_index.collect()
}

/// Their sum, then those that fared worst.
fn streams(at: &str, target: &Target, first: usize, streams: &[Probe]) -> Markup {
    let sum = Sum::of(streams);
    let troubled = troubled(streams);
    let outages = streams.iter().flat_map(|stream| &stream.outages);
    let longest = outages.map(|outage| outage.duration_s).max_by(f64::total_cmp);
    html! {
        tr {
            td.nowrap { (sum.label) }
            td.number { (sum.sent) }
            td.number { (sum.answered) }
            td { (sum.unanswered) }
            td.number { (longest.map_or_else(|| NOT_MEASURED.to_owned(), time)) }
            @for us in sum.rtt_us { td.number.nowrap { (us.map_or_else(|| NOT_MEASURED.to_owned(), milliseconds)) } }
            td.number { (sum.resent.map_or_else(|| NOT_MEASURED.to_owned(), |resent| resent.to_string())) }
        }
        tr.more { td {} td colspan="8" {
            p { (sum.data) }
            p {
                (troubled.len()) " of " (streams.len()) " had trouble"
                @if troubled.len() > STREAMS { "; the worst " (STREAMS) " follow, --json has all" }
            }
        } }
        @for (number, probe) in troubled.into_iter().take(STREAMS) {
            @let index = first + number - 1;
            (row(&format!("{at}/probes/{index}"), &name(target, index, probe), probe, None))
        }
    }
}

fn row(at: &str, name: &str, probe: &Probe, late: Option<&str>) -> Markup {
    let field = |name: &str| format!("{at}/{name}");
    let longest =
        probe.outages.iter().enumerate().max_by(|(_, a), (_, b)| a.duration_s.total_cmp(&b.duration_s));
    html! {
        tr {
            td.nowrap { (name) }
            td.number { (count(&field("sent"), probe.sent)) }
            td.number { (count(&field("answered"), probe.answered)) }
            td { (outcomes(at, probe)) }
            td.number { @match longest {
                Some((index, longest)) => {
                    (number(&field(&format!("outages/{index}/duration_s")), longest.duration_s, time(longest.duration_s)))
                }
                None => (NOT_MEASURED),
            } }
            @match probe.rtt_us {
                Some(rtt) => @for (name, us) in [("p50", rtt.p50), ("p99", rtt.p99), ("max", rtt.max)] {
                    td.number.nowrap { (number(&field(&format!("rtt_us/{name}")), us, milliseconds(us))) }
                },
                None => @for _ in 0..3 { td.number { (NOT_MEASURED) } },
            }
            td.number { @match probe.retransmits {
                Some(resent) => {
                    (count(&field("retransmits/segments"), resent.segments))
                    @if resent.syn > 0 { br; span.quiet { (count(&field("retransmits/syn"), resent.syn)) " SYN" } }
                }
                None => (NOT_MEASURED),
            } }
        }
        @let more = more(at, probe, late).into_string();
        @if !more.is_empty() { tr.more { td {} td colspan="8" { (PreEscaped(more)) } } }
    }
}

/// Every outcome but "answered", as far as there were any.
fn outcomes(at: &str, probe: &Probe) -> Markup {
    let named = [
        ("lost", probe.lost, "lost"),
        ("timed_out", probe.timed_out, "timed out"),
        ("unreachable", probe.unreachable, "unreachable"),
        ("send_failed", probe.send_failed, "could not be sent"),
        ("reset", probe.reset, "reset"),
        ("late", probe.late, "late"),
        ("refused", probe.refused, "refused (in time)"),
        ("duplicate", probe.duplicate, "duplicate answers"),
        ("unexplained", probe.unexplained, "unexplained"),
    ];
    let named: Vec<_> = named.into_iter().filter(|(_, attempts, _)| *attempts > 0).collect();
    html! {
        @if named.is_empty() { "0" }
        @for (index, (field, attempts, text)) in named.into_iter().enumerate() {
            @if index > 0 { ", " }
            span.nowrap { (count(&format!("{at}/{field}"), attempts)) " " (text) }
        }
    }
}

/// What only some probes have.
fn more(at: &str, probe: &Probe, late: Option<&str>) -> Markup {
    let mut longest: Vec<_> = probe.outages.iter().enumerate().collect();
    longest.sort_by(|(_, a), (_, b)| b.duration_s.total_cmp(&a.duration_s));
    let hidden = longest.len().saturating_sub(OUTAGES);
    longest.truncate(OUTAGES);
    longest.sort_by_key(|(index, _)| *index);
    html! {
        @if probe.outages.len() > 1 {
            p { "outages: " @for (position, (index, outage)) in longest.iter().enumerate() {
                @if position > 0 { "; " }
                (span(outage.start_s, outage.end_s)) " ("
                (count(&format!("{at}/outages/{index}/attempts"), outage.attempts)) ")"
            }
            @if hidden > 0 { "; and " (hidden) " not longer than these" } }
        }
        @if let Some(late) = late { p { "late: " (late) } }
        @if let Some(stream) = probe.stream {
            @if let Some(words) = probe.never_connected() { p { (words) } }
            p {
                (count(&format!("{at}/stream/bytes_sent"), stream.bytes_sent)) " bytes sent, "
                (count(&format!("{at}/stream/bytes_acked"), stream.bytes_acked)) " acknowledged; longest stall "
                (number(&format!("{at}/stream/longest_stall_s"), stream.longest_stall_s, time(stream.longest_stall_s)))
                "; connections: " (count(&format!("{at}/stream/connections"), stream.connections))
                ", resets: " (count(&format!("{at}/stream/resets"), stream.resets))
            }
        }
        @if let Some(phases) = probe.phases_us {
            p { @for (index, (field, title, part)) in parts(phases).enumerate() {
                @if index > 0 { ", " }
                (title) " " (number(&format!("{at}/phases_us/{field}/p50"), part.p50, milliseconds(part.p50)))
                " (p99 " (number(&format!("{at}/phases_us/{field}/p99"), part.p99, milliseconds(part.p99))) ")"
            } }
        }
        @if let Some(errors @ 1..) = probe.tls_errors {
            p { (count(&format!("{at}/tls_errors"), errors))
                " of the answers were no TLS session: the path works, the service does not"
                @if let Some(why) = &probe.tls_error { "; the first: " (word(&format!("{at}/tls_error"), why)) } }
        }
        @if let Some(errors @ 1..) = probe.http_errors {
            p { (count(&format!("{at}/http_errors"), errors))
                " of the answers had a status of 500 or more: the path works, the service does not" }
        }
    }
}

/// Those that were measured: field, title, times.
fn parts(phases: PhasesUs) -> impl Iterator<Item = (&'static str, &'static str, RttUs)> {
    [
        ("connect", "connect", phases.connect),
        ("tls", "tls", phases.tls),
        ("first_byte", "first byte", phases.first_byte),
    ]
    .into_iter()
    .filter_map(|(field, title, part)| Some((field, title, part?)))
}
