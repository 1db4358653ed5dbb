//! A target: one row a probe, and below it what went wrong.

use super::format::{NOT_MEASURED, count, milliseconds, span, time};
use super::places::Places;
use super::{Page, Style, drops, path, streams};
use crate::probe::Kind;
use crate::report::{Leg, Probe, Report, Target};

/// Where the text of a probe's details begins.
pub(super) const DETAIL: usize = 16;
/// Attempts that left this much after their plan are told, in microseconds.
const LEFT_LATE: f64 = 100_000.0;
/// More outages of one probe than this are summed up.
const OUTAGES: usize = 5;

pub(super) fn target(page: &mut Page, report: &Report, target: &Target, places: &Places) {
    page.line("");
    page.line(page.paint.paint(Style::Strong, &target.title()));
    page.line(row(
        "  probe",
        ["sent", "answered", "unanswered"].map(String::from),
        ["rtt p50", "p99", "max"].map(String::from),
    ));
    for alike in target.probes.chunk_by(is_alike) {
        if let [probe] = alike {
            self::probe(page, probe, places);
            late(page, report, target, probe);
        } else {
            streams::streams(page, alike, places);
        }
    }
}

/// Streams of the same port: no other probe has a twin.
pub(in crate::report) fn is_alike(a: &Probe, b: &Probe) -> bool {
    (a.kind, a.port) == (b.kind, b.port) && a.kind == Kind::Stream
}

pub(super) fn row(label: &str, counts: [String; 3], rtt: [String; 3]) -> String {
    let [sent, answered, unanswered] = counts;
    let [p50, p99, max] = rtt;
    format!("{label:<DETAIL$}{sent:>8} {answered:>8} {unanswered:>10}{p50:>11}{p99:>10}{max:>10}")
}

pub(super) fn probe(page: &mut Page, probe: &Probe, places: &Places) {
    let port = probe.port.map(|port| format!(" {port}")).unwrap_or_default();
    let rtt = match probe.rtt_us {
        Some(rtt) => [rtt.p50, rtt.p99, rtt.max].map(milliseconds),
        None => [NOT_MEASURED; 3].map(String::from),
    };
    let unanswered = probe.unanswered();
    let counts = [probe.sent, probe.answered + probe.refused, unanswered].map(|n| n.to_string());
    let text = row(&format!("  {}{port}", probe.kind.name()), counts, rtt);
    let style = if unanswered > 0 { Style::Bad } else { Style::Plain };
    page.line(page.paint.paint(style, &text));

    outcomes(page, probe);
    if let Some(errors @ 1..) = probe.http_errors {
        let text = format!(
            "{errors} of the answers had a status of 500 or more: the path works, the service does not"
        );
        page.paragraph("    http", DETAIL, Style::Warning, &text);
    }
    if let Some(errors @ 1..) = probe.tls_errors {
        let why = probe.tls_error.as_ref().map(|why| format!("; the first: {why}")).unwrap_or_default();
        let text =
            format!("{errors} of the answers were no TLS session: the path works, the service does not{why}");
        page.paragraph("    tls", DETAIL, Style::Warning, &text);
    }
    phases(page, probe);
    left_late(page, probe);
    stream(page, probe);
    retransmits(page, probe);
    rsts(page, probe);
    outages(page, probe);
    deaths(page, probe, places);
    if let Some(way) = &probe.path {
        path::path(page, way);
    }
}

/// Every outcome that is not "answered", and duplicates.
fn outcomes(page: &mut Page, probe: &Probe) {
    let named = [
        (probe.lost, "lost"),
        (probe.timed_out, "timed out"),
        (probe.unreachable, "unreachable (an ICMP error came back)"),
        (probe.send_failed, not_sent(probe.kind)),
        (probe.reset, "reset"),
        (probe.late, "late (answered after the time-out)"),
    ];
    let list: Vec<_> = named.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !list.is_empty() {
        page.paragraph("    unanswered", DETAIL, Style::Plain, &list.join(", "));
    }
    if probe.refused > 0 {
        let by_others = probe.rsts.iter().any(|rst| rst.netns.is_none());
        let who = if by_others { "to whoever sent it" } else { "nobody listens on the port" };
        let text = format!("{} by RST: the path works, {who}", probe.refused);
        page.paragraph("    refused", DETAIL, Style::Plain, &text);
    }
    if probe.duplicate > 0 {
        page.paragraph("    duplicate", DETAIL, Style::Plain, &count(probe.duplicate, "answer"));
    }
}

/// A stream's write is not sent where there is no connection, whoever refused that.
fn not_sent(kind: Kind) -> &'static str {
    match kind {
        Kind::Stream => "not sent (there was no connection)",
        _ => "not sent (the kernel refused)",
    }
}

/// Only where there is more to tell than the round-trip time.
fn phases(page: &mut Page, probe: &Probe) {
    let Some(phases) = probe.phases_us else { return };
    let parts = [("connect", phases.connect), ("tls", phases.tls), ("first byte", phases.first_byte)];
    let text: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name, part?)))
        .map(|(name, part)| format!("{name} {} (p99 {})", milliseconds(part.p50), milliseconds(part.p99)))
        .collect();
    page.paragraph("    of it", DETAIL, Style::Plain, &text.join(", "));
}

/// While nothing was sent nothing was measured. Shorter pauses are in JSON only.
fn left_late(page: &mut Page, probe: &Probe) {
    let Some(delay) = probe.schedule_delay_us.filter(|delay| delay.max >= LEFT_LATE) else { return };
    let text = format!(
        "attempts left up to {} after their plan (p99 {}): netbreak was not scheduled, or waited for a free \
         connection; a break shorter than that may be missed",
        time(delay.max / 1e6),
        time(delay.p99 / 1e6),
    );
    page.paragraph("    schedule", DETAIL, Style::Warning, &text);
}

fn stream(page: &mut Page, probe: &Probe) {
    let Some(stream) = probe.stream else { return };
    if let Some(words) = probe.never_connected() {
        page.paragraph("    data", DETAIL, Style::Warning, words);
        return;
    }
    let text = format!(
        "{} bytes sent, {} acknowledged; longest stall {}; {}, {}",
        stream.bytes_sent,
        stream.bytes_acked,
        time(stream.longest_stall_s),
        count(stream.connections, "connection"),
        count(stream.resets, "reset"),
    );
    page.paragraph("    data", DETAIL, Style::Plain, &text);
}

fn retransmits(page: &mut Page, probe: &Probe) {
    let text = match (probe.kind, probe.retransmits) {
        (Kind::Icmp | Kind::Udp, None) => return,
        (_, None) => format!("{NOT_MEASURED} (not traced)"),
        (_, Some(counted)) if counted.segments == 0 => return,
        (_, Some(counted)) => {
            format!("{}, {} of them SYN", count(counted.segments, "segment"), counted.syn)
        }
    };
    page.paragraph("    resent", DETAIL, Style::Plain, &text);
}

fn rsts(page: &mut Page, probe: &Probe) {
    for rst in &probe.rsts {
        let side = if rst.leg == Leg::Reply { "the target's side" } else { "the probe's side" };
        let at = rst.netns_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let state = match &rst.state {
            Some(state) => format!("its socket was {state}"),
            None if rst.netns.is_none() => {
                "nobody on this node was seen to send them: a firewall does, and other nodes".to_owned()
            }
            None => "it had no socket for the segment".to_owned(),
        };
        let reason = rst.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
        let text = format!("{} from {side}{at}: {state}{reason}", count(rst.segments, "RST"));
        page.paragraph("    reset by", DETAIL, Style::Plain, &text);
    }
}

fn late(page: &mut Page, report: &Report, target: &Target, probe: &Probe) {
    if let Some(text) = late_because(report, target, probe) {
        page.paragraph("    late", DETAIL, Style::Plain, &text);
    }
}

/// A late attempt has an answer and so no death, but something held it up. Where its way was not followed, most packets of
/// the probe's connections may have died at one place.
pub(in crate::report) fn late_because(report: &Report, target: &Target, probe: &Probe) -> Option<String> {
    if probe.kind == Kind::Stream || probe.late == 0 {
        return None;
    }
    if let Some(explain) = &probe.late_explain {
        return Some(explain.clone());
    }
    let resent_syn = probe.retransmits.is_some_and(|counted| counted.syn > 0);
    if !resent_syn {
        return None;
    }
    let text = drops::most_of_service(report, &target.address, probe.port)?;
    Some(format!("SYNs were resent, and {text}"))
}

fn outages(page: &mut Page, probe: &Probe) {
    let hidden = probe.outages.len().saturating_sub(OUTAGES);
    // The longest ones, in the order of time.
    let mut shown: Vec<_> = probe.outages.iter().collect();
    shown.sort_by(|a, b| b.duration_s.total_cmp(&a.duration_s));
    shown.truncate(OUTAGES);
    shown.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    for outage in shown {
        let text = format!(
            "{}, for {}: {}",
            span(outage.start_s, outage.end_s),
            time(outage.duration_s),
            count(outage.attempts, "attempt")
        );
        page.paragraph("    outage", DETAIL, Style::Plain, &text);
    }
    if hidden > 0 {
        let text =
            format!("and {hidden} more, not longer than these; --json has all {}", probe.outages.len());
        page.paragraph("", DETAIL, Style::Plain, &text);
    }
}

fn deaths(page: &mut Page, probe: &Probe, places: &Places) {
    if let Some(text) = places.of_probe(probe) {
        page.paragraph("    died", DETAIL, Style::Plain, &text);
    }
    if probe.unexplained > 0 {
        let text = format!(
            "{} of {}: nothing shows where they died",
            probe.unexplained,
            count(probe.needing_a_death(), "attempt")
        );
        page.paragraph("    unexplained", DETAIL, Style::Warning, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_without_a_connection_was_refused_by_no_kernel() {
        assert_eq!(not_sent(Kind::Stream), "not sent (there was no connection)");
        assert_eq!(not_sent(Kind::Icmp), "not sent (the kernel refused)");
    }
}
