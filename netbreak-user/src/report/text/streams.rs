//! Many streams to one port: what they come to, and the worst of them.

use super::format::{NOT_MEASURED, count, milliseconds, time};
use super::places::Places;
use super::probes::{DETAIL, probe, row};
use super::{Page, Style};
use crate::report::{Probe, Stream};

/// So many of them are shown one by one.
const SHOWN: usize = 3;

/// Many streams in one row.
pub(in crate::report) struct Sum {
    /// `stream 5201 ×1000`.
    pub label: String,
    /// Writes.
    pub sent: u64,
    pub answered: u64,
    /// Not answered in time.
    pub unanswered: u64,
    /// In microseconds; of percentiles there is no sum: the middle one's median, and the largest 99th percentile and
    /// maximum.
    pub rtt_us: [Option<f64>; 3],
    /// How much went through, the longest stall, and how often they were reset.
    pub data: String,
    /// Segments; `None` if none of them was traced.
    pub resent: Option<u64>,
}

impl Sum {
    pub fn of(streams: &[Probe]) -> Sum {
        let total = |field: fn(&Probe) -> u64| streams.iter().map(field).sum::<u64>();
        let port = streams.first().and_then(|stream| stream.port);
        let mut medians: Vec<f64> = streams.iter().filter_map(|stream| Some(stream.rtt_us?.p50)).collect();
        medians.sort_by(f64::total_cmp);
        let largest =
            |field: fn(&Probe) -> Option<f64>| streams.iter().filter_map(field).max_by(f64::total_cmp);
        let sum = |field: fn(&Stream) -> u64| {
            streams.iter().filter_map(|stream| stream.stream.as_ref()).map(field).sum::<u64>()
        };
        let traced: Vec<u64> =
            streams.iter().filter_map(|stream| Some(stream.retransmits?.segments)).collect();
        Sum {
            label: format!(
                "stream{} ×{}",
                port.map(|port| format!(" {port}")).unwrap_or_default(),
                streams.len()
            ),
            sent: total(|p| p.sent),
            answered: total(|p| p.answered),
            unanswered: total(Probe::unanswered),
            rtt_us: [
                medians.get(medians.len() / 2).copied(),
                largest(|p| Some(p.rtt_us?.p99)),
                largest(|p| Some(p.rtt_us?.max)),
            ],
            data: format!(
                "{} bytes sent, {} acknowledged; longest stall {}; {}, {}",
                sum(|s| s.bytes_sent),
                sum(|s| s.bytes_acked),
                time(largest(|p| Some(p.stream?.longest_stall_s)).unwrap_or(0.0)),
                count(sum(|s| s.connections), "connection"),
                count(sum(|s| s.resets), "reset"),
            ),
            resent: (!traced.is_empty()).then(|| traced.iter().sum()),
        }
    }
}

/// Those of `streams` that had trouble, the worst first: each with its number, from 1.
pub(in crate::report) fn troubled(streams: &[Probe]) -> Vec<(usize, &Probe)> {
    let mut troubled: Vec<(usize, &Probe)> =
        (1..).zip(streams).filter(|(_, stream)| trouble(stream) > (0, 0)).collect();
    troubled.sort_by_key(|(number, stream)| (std::cmp::Reverse(trouble(stream)), *number));
    troubled
}

/// Writes that were not answered in time, then connections that were reset.
fn trouble(stream: &Probe) -> (u64, u64) {
    (stream.unanswered(), stream.stream.map_or(0, |stream| stream.resets))
}

/// The sum of `streams`, which are more than one, then those that fared worst.
pub(super) fn streams(page: &mut Page, streams: &[Probe], places: &Places) {
    sum(page, streams);
    let troubled = troubled(streams);
    if troubled.is_empty() {
        return;
    }
    let text = format!("{} of {} had trouble", troubled.len(), count(streams.len() as u64, "stream"));
    let shown: Vec<String> =
        troubled.iter().take(SHOWN).map(|(number, _)| format!("number {number}")).collect();
    let hidden = troubled.len().saturating_sub(SHOWN);
    let rest = if hidden > 0 { format!(", --json has the other {hidden}") } else { String::new() };
    page.paragraph(
        "    worst",
        DETAIL,
        Style::Warning,
        &format!("{text}; the worst: {}{rest}", shown.join(", ")),
    );
    for (_, stream) in troubled.iter().take(SHOWN) {
        probe(page, stream, places);
    }
}

fn sum(page: &mut Page, streams: &[Probe]) {
    let sum = Sum::of(streams);
    let counts = [sum.sent, sum.answered, sum.unanswered].map(|n| n.to_string());
    let rtt = sum.rtt_us.map(|us| us.map_or_else(|| NOT_MEASURED.to_owned(), milliseconds));
    let style = if sum.unanswered > 0 { Style::Bad } else { Style::Plain };
    page.line(page.paint.paint(style, &row(&format!("  {}", sum.label), counts, rtt)));
    page.paragraph("    data", DETAIL, Style::Plain, &sum.data);
    if let Some(resent @ 1..) = sum.resent {
        page.paragraph("    resent", DETAIL, Style::Plain, &count(resent, "segment"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, render};
    use crate::probe::Kind;
    use crate::report::fixtures;

    #[test]
    fn many_streams_are_one_row_and_the_worst_of_them() {
        let mut report = fixtures::broken();
        let probes = &mut report.targets[0].probes;
        let mut stream = probes.iter().find(|probe| probe.kind == Kind::Stream).unwrap().clone();
        (stream.late, stream.answered) = (5, stream.sent - 5);
        let mut quiet = stream.clone();
        (quiet.answered, quiet.late, quiet.timed_out, quiet.reset) = (quiet.sent, 0, 0, 0);
        (quiet.lost, quiet.send_failed, quiet.unreachable, quiet.unexplained) = (0, 0, 0, 0);
        quiet.outages.clear();
        quiet.deaths.clear();
        quiet.stream.as_mut().unwrap().resets = 0;
        let mut many = vec![quiet; 1000];
        many[416] = stream;
        probes.retain(|probe| probe.kind != Kind::Stream);
        let others = render(&report, Options { color: false, width: 80 }).lines().count();
        report.targets[0].probes.extend(many);
        let page = render(&report, Options { color: false, width: 80 });
        assert!(page.contains(" ×1000"), "{page}");
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("1 of 1000 streams had trouble; the worst: number 417"), "{page}");
        assert!(page.lines().count() < others + 40, "{page}");
    }
}
