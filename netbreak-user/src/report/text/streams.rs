//! Many streams to one port: what they come to, and the worst of them.

use super::format::{NOT_MEASURED, count, milliseconds, time};
use super::places::Places;
use super::probes::{DETAIL, probe, row};
use super::{Page, Style};
use crate::report::Probe;

/// So many of them are shown one by one.
const SHOWN: usize = 3;

/// The sum of `streams`, which are more than one, then those that fared worst.
pub(super) fn streams(page: &mut Page, streams: &[Probe], places: &Places) {
    sum(page, streams);
    let mut troubled: Vec<(usize, &Probe)> =
        (1..).zip(streams).filter(|(_, stream)| trouble(stream) > (0, 0)).collect();
    if troubled.is_empty() {
        return;
    }
    troubled.sort_by_key(|(number, stream)| (std::cmp::Reverse(trouble(stream)), *number));
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

/// Writes that were not answered in time, then connections that were reset.
fn trouble(stream: &Probe) -> (u64, u64) {
    (stream.unanswered(), stream.stream.map_or(0, |stream| stream.resets))
}

fn sum(page: &mut Page, streams: &[Probe]) {
    let total = |field: fn(&Probe) -> u64| streams.iter().map(field).sum::<u64>();
    let port =
        streams.first().and_then(|stream| stream.port).map(|port| format!(" {port}")).unwrap_or_default();
    let label = format!("  stream{port} ×{}", streams.len());
    let unanswered = total(Probe::unanswered);
    let counts = [total(|p| p.sent), total(|p| p.answered), unanswered].map(|n| n.to_string());
    // Of percentiles there is no sum: the middle one's median, and the largest of the others.
    let mut medians: Vec<f64> = streams.iter().filter_map(|stream| Some(stream.rtt_us?.p50)).collect();
    medians.sort_by(f64::total_cmp);
    let largest = |field: fn(&Probe) -> Option<f64>| streams.iter().filter_map(field).max_by(f64::total_cmp);
    let rtt = [
        medians.get(medians.len() / 2).copied(),
        largest(|p| Some(p.rtt_us?.p99)),
        largest(|p| Some(p.rtt_us?.max)),
    ];
    let rtt = rtt.map(|us| us.map_or_else(|| NOT_MEASURED.to_owned(), milliseconds));
    let style = if unanswered > 0 { Style::Bad } else { Style::Plain };
    page.line(page.paint.paint(style, &row(&label, counts, rtt)));
    let sum = |field: fn(&crate::report::Stream) -> u64| {
        streams.iter().filter_map(|stream| stream.stream.as_ref()).map(field).sum::<u64>()
    };
    let text = format!(
        "{} bytes sent, {} acknowledged; longest stall {}; {}, {}",
        sum(|s| s.bytes_sent),
        sum(|s| s.bytes_acked),
        time(largest(|p| Some(p.stream?.longest_stall_s)).unwrap_or(0.0)),
        count(sum(|s| s.connections), "connection"),
        count(sum(|s| s.resets), "reset"),
    );
    page.paragraph("    data", DETAIL, Style::Plain, &text);
    let resent: u64 = streams.iter().filter_map(|stream| Some(stream.retransmits?.segments)).sum();
    if resent > 0 {
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
