//! The numbers of kube-ovn's test-server, in its shape: for scripts that read it.

use serde::Serialize;

use super::{Probe, Report, Row, Target, TcpSegments};
use crate::probe::Kind;

/// The fields and their order are a contract with its readers; `null` is what was not measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Numbers<'a> {
    duration_seconds: u64,
    remote_address: &'a str,
    remote_port: Option<u16>,
    total_icmp_echo: Option<u64>,
    icmp_lost: Option<u64>,
    #[serde(rename = "TotalTCPOutSegments")]
    total_tcp_out_segments: Option<u64>,
    #[serde(rename = "TCPRetransSegment")]
    tcp_retrans_segment: Option<u64>,
    #[serde(rename = "TotalTCPConnection")]
    total_tcp_connection: Option<u64>,
    #[serde(rename = "FailedTCPConnection")]
    failed_tcp_connection: Option<u64>,
}

impl<'a> Numbers<'a> {
    fn of(report: &Report, target: &'a Target) -> Self {
        let of = |probes: &[&Probe], count: fn(&Probe) -> u64| {
            (!probes.is_empty()).then(|| probes.iter().map(|probe| count(probe)).sum())
        };
        let icmp: Vec<&Probe> = target.probes.iter().filter(|probe| probe.kind == Kind::Icmp).collect();
        let connects: Vec<&Probe> = target.probes.iter().filter(|probe| probe.kind.connects()).collect();
        let counted = segments(report, target);
        Numbers {
            duration_seconds: report.run.duration_s.round() as u64,
            remote_address: &target.target,
            remote_port: connects.iter().find_map(|probe| probe.port),
            total_icmp_echo: of(&icmp, |probe| probe.sent),
            icmp_lost: of(&icmp, Probe::unanswered),
            total_tcp_out_segments: counted.map(|counted| counted.out),
            tcp_retrans_segment: retransmits(target).or(counted.map(|counted| counted.retransmitted)),
            total_tcp_connection: of(&connects, |probe| probe.sent),
            // Refused is an answer of the path, and no connection.
            failed_tcp_connection: of(&connects, |probe| probe.unanswered() + probe.refused),
        }
    }
}

/// What the kernel counted where the target is visited from; of a matrix that is one source's namespace.
fn segments(report: &Report, target: &Target) -> Option<TcpSegments> {
    let is_there = |row: &Row| row.netns == report.run.netns;
    report.run.tcp_segments.filter(|_| target.row.as_ref().is_none_or(is_there))
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
            number(numbers.total_icmp_echo),
            number(numbers.icmp_lost),
            number(numbers.total_tcp_out_segments),
            number(numbers.tcp_retrans_segment),
            number(numbers.failed_tcp_connection),
            number(numbers.total_tcp_connection),
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
    if report.targets.iter().any(|target| segments(report, target).is_some()) {
        let own = report.targets.iter().any(|target| retransmits(target).is_some());
        let what = if own { "segments sent are" } else { "segments sent and sent again are" };
        notes.push(format!("{what} those of the whole network namespace, as test-server had them"));
    }
    for target in &report.targets {
        for probe in target.probes.iter().filter(|probe| probe.kind == Kind::Stream) {
            let Some(stream) = probe.stream else { continue };
            let port = probe.port.unwrap_or_default();
            let what = if stream.resets as f64 > report.run.duration_s.max(1.0) {
                format!("whoever listens on port {port} ended each of {} connections", stream.connections)
            } else if stream.bytes_acked == 0 {
                format!("nothing took the stream on port {port}")
            } else {
                continue;
            };
            notes.push(format!("{}: {what}: run `netbreak serve --stream {port}` there", target.target));
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
    fn what_was_not_probed_is_not_measured() {
        let of = |kind: Kind| {
            let mut report = fixtures::broken();
            report.targets[0].probes.retain(|probe| probe.kind == kind);
            (json(&report).unwrap(), text(&report))
        };
        let (numbers, lines) = of(Kind::Tcp);
        for name in ["TotalIcmpEcho", "IcmpLost"] {
            assert!(numbers.contains(&format!("\"{name}\": null")), "{numbers}");
        }
        assert!(lines.contains("total icmp echo –, lost – icmp response"), "{lines}");
        let (numbers, lines) = of(Kind::Icmp);
        for name in ["RemotePort", "TotalTCPConnection", "FailedTCPConnection"] {
            assert!(numbers.contains(&format!("\"{name}\": null")), "{numbers}");
        }
        assert!(lines.contains("– failed connection, – total connection"), "{lines}");
    }

    #[test]
    fn of_a_matrix_the_kernel_counted_for_one_source() {
        let numbers = json(&fixtures::matrix()).unwrap();
        let out: Vec<&str> = numbers.lines().filter(|line| line.contains("OutSegments")).collect();
        assert_eq!(out, ["  \"TotalTCPOutSegments\": 14987,", "  \"TotalTCPOutSegments\": null,"]);
    }

    #[test]
    fn a_stream_that_nobody_takes_is_told() {
        let mut report = fixtures::clean();
        assert_eq!(notes(&report).len(), 2);
        report.targets[0].probes[4].stream.iter_mut().for_each(|stream| stream.bytes_acked = 0);
        assert!(notes(&report)[2].contains("nothing took the stream on port 5000"), "{:?}", notes(&report));
        // A break ends a connection or two; a server of another protocol ends each.
        let stream = report.targets[0].probes[4].stream.as_mut().unwrap();
        (stream.bytes_acked, stream.connections, stream.resets) = (1000, 3, 2);
        assert_eq!(notes(&report).len(), 2);
        let stream = report.targets[0].probes[4].stream.as_mut().unwrap();
        (stream.connections, stream.resets) = (80, 80);
        let note = &notes(&report)[2];
        assert!(note.contains("ended each of 80 connections: run `netbreak serve --stream 5000`"), "{note}");
    }
}
