//! The numbers of kube-ovn's test-server, in its shape: for scripts that read it.

use serde::Serialize;

use super::{Probe, Report, Target};
use crate::probe::Kind;

/// The fields and their order are a contract with its readers; `null` is what was not measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Numbers<'a> {
    duration_seconds: u64,
    remote_address: &'a str,
    remote_port: Option<u16>,
    total_icmp_echo: u64,
    icmp_lost: u64,
    #[serde(rename = "TotalTCPOutSegments")]
    total_tcp_out_segments: Option<u64>,
    #[serde(rename = "TCPRetransSegment")]
    tcp_retrans_segment: Option<u64>,
    #[serde(rename = "TotalTCPConnection")]
    total_tcp_connection: u64,
    #[serde(rename = "FailedTCPConnection")]
    failed_tcp_connection: u64,
}

impl<'a> Numbers<'a> {
    fn of(report: &Report, target: &'a Target) -> Self {
        let icmp = || target.probes.iter().filter(|probe| probe.kind == Kind::Icmp);
        let connects = || target.probes.iter().filter(|probe| probe.kind.connects());
        let counted = report.run.tcp_segments;
        Numbers {
            duration_seconds: report.run.duration_s.round() as u64,
            remote_address: &target.target,
            remote_port: connects().find_map(|probe| probe.port),
            total_icmp_echo: icmp().map(|probe| probe.sent).sum(),
            icmp_lost: icmp().map(Probe::unanswered).sum(),
            total_tcp_out_segments: counted.map(|counted| counted.out),
            tcp_retrans_segment: retransmits(target).or(counted.map(|counted| counted.retransmitted)),
            total_tcp_connection: connects().map(|probe| probe.sent).sum(),
            // Refused is an answer of the path, and no connection.
            failed_tcp_connection: connects().map(|probe| probe.unanswered() + probe.refused).sum(),
        }
    }
}

/// Segments that the target's probes sent again, unless nobody traced them.
fn retransmits(target: &Target) -> Option<u64> {
    let traced: Vec<u64> =
        target.probes.iter().filter_map(|probe| Some(probe.retransmits?.segments)).collect();
    (!traced.is_empty()).then(|| traced.iter().sum())
}

/// One object a target, each indented and with a newline at its end.
///
/// # Errors
/// Only if numbers and text cannot be JSON, which no report makes happen.
pub fn json(report: &Report) -> serde_json::Result<String> {
    let mut objects = String::new();
    for target in &report.targets {
        objects += &serde_json::to_string_pretty(&Numbers::of(report, target))?;
        objects.push('\n');
    }
    Ok(objects)
}

/// Four lines a target.
pub fn text(report: &Report) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), |number| number.to_string());
    let lines = |target: &Target| {
        let numbers = Numbers::of(report, target);
        format!(
            "remote address = {}, remote port = {}\n\
             total icmp echo {}, lost {} icmp response\n\
             total out {} tcp segments, retrans {} tcp segments\n\
             {} failed connection, {} total connection\n",
            numbers.remote_address,
            number(numbers.remote_port.map(u64::from)),
            numbers.total_icmp_echo,
            numbers.icmp_lost,
            number(numbers.total_tcp_out_segments),
            number(numbers.tcp_retrans_segment),
            numbers.failed_tcp_connection,
            numbers.total_tcp_connection,
        )
    };
    report.targets.iter().map(lines).collect()
}

/// What a reader of the text has to know, a sentence each: for standard error, beside the numbers.
pub fn notes(report: &Report) -> Vec<String> {
    let mut notes = vec![
        "failed and total connections stand where their names are: test-server printed them swapped"
            .to_owned(),
    ];
    if report.run.tcp_segments.is_some() {
        let own = report.targets.iter().any(|target| retransmits(target).is_some());
        let what = if own { "segments sent are" } else { "segments sent and sent again are" };
        notes.push(format!("{what} those of the whole network namespace, as test-server had them"));
    }
    for target in &report.targets {
        for probe in target.probes.iter().filter(|probe| probe.kind == Kind::Stream) {
            if probe.stream.is_some_and(|stream| stream.bytes_acked == 0) {
                let port = probe.port.unwrap_or_default();
                notes.push(format!(
                    "{}: nothing took the stream on port {port}: run `netbreak serve --stream {port}` there",
                    target.target
                ));
            }
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn snapshots() {
        let broken = fixtures::broken();
        insta::assert_snapshot!("json", json(&broken).unwrap());
        insta::assert_snapshot!("text", text(&broken));
    }

    #[test]
    fn every_target_has_its_own_object() {
        let mut report = fixtures::broken();
        report.targets.push(Target { target: "10.0.3.2".into(), ..fixtures::clean().targets.remove(0) });
        let objects = json(&report).unwrap();
        let objects: Vec<serde_json::Value> =
            serde_json::Deserializer::from_str(&objects).into_iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(objects.len(), 2);
        assert_eq!((&objects[0]["IcmpLost"], &objects[1]["IcmpLost"]), (&200.into(), &0.into()));
        assert_eq!(objects[1]["RemoteAddress"], "10.0.3.2");
    }

    #[test]
    fn what_was_not_traced_is_what_the_kernel_counted_or_nothing() {
        let retransmits = |report: &Report| -> serde_json::Value {
            serde_json::from_str::<serde_json::Value>(&json(report).unwrap()).unwrap()["TCPRetransSegment"]
                .take()
        };
        let mut report = fixtures::without_kernel();
        assert_eq!(retransmits(&report), serde_json::Value::Null);
        assert!(text(&report).contains("total out – tcp segments, retrans – tcp segments"));
        report.run.tcp_segments = fixtures::broken().run.tcp_segments;
        assert_eq!(retransmits(&report), 199);
        assert!(notes(&report)[1].starts_with("segments sent and sent again"));
        // The probes' own are known: others of the namespace do not count.
        assert_eq!(retransmits(&fixtures::broken()), 187 + 6);
        assert!(notes(&fixtures::broken())[1].starts_with("segments sent are"));
    }

    #[test]
    fn a_refused_connection_failed_and_a_late_echo_is_lost() {
        let mut report = fixtures::broken();
        let probes = &mut report.targets[0].probes;
        (probes[0].lost, probes[0].late) = (0, 200);
        assert!(text(&report).contains("lost 200 icmp response"), "{}", text(&report));
        // 200 not in time, 20 refused, of tcp and http together.
        assert!(text(&report).contains("220 failed connection, 1600 total connection"), "{}", text(&report));
    }

    #[test]
    fn a_stream_that_nobody_takes_is_told() {
        let mut report = fixtures::clean();
        assert_eq!(notes(&report).len(), 2);
        report.targets[0].probes[4].stream.iter_mut().for_each(|stream| stream.bytes_acked = 0);
        assert!(notes(&report)[2].contains("port 5000"), "{:?}", notes(&report));
    }
}
