//! `netbreak test-server`, as scripts of old call it.

use std::process::{Command, Stdio};

use netbreak_user::lab::{Lab, Role, find};
use netbreak_user::report::json;

use crate::support::{
    NETBREAK, PATIENCE, SERVER, assert_refused, netbreak, report, serve, shell, skipped, text,
    wait_for_echoes, wait_until,
};

#[test]
fn test_server_ends_well_whatever_it_says() {
    if skipped(&[]) {
        return;
    }
    // Nothing listens there: every connection fails, and scripts of old go on.
    let line = "test-server --remote-port 9 --duration-seconds=1 127.0.0.1";
    let output = netbreak(line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("remote address = 127.0.0.1, remote port = 9\n"), "{said}");
    assert!(said.contains("total icmp echo 100, lost 0 icmp response\n"), "{said}");
    assert!(said.ends_with("10 failed connection, 10 total connection\n"), "{said}");
    assert_eq!(text(&output.stderr).matches("swapped").count(), 1, "{}", text(&output.stderr));

    let output = netbreak(&format!("{line} --output=json"));
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let json = text(&output.stdout);
    let keys: Vec<_> =
        json.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once('"')).collect();
    let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
    let expected = [
        "DurationSeconds",
        "RemoteAddress",
        "RemotePort",
        "TotalIcmpEcho",
        "IcmpLost",
        "TotalTCPOutSegments",
        "TCPRetransSegment",
        "TotalTCPConnection",
        "FailedTCPConnection",
    ];
    assert_eq!(keys, expected, "{json}");
    assert_eq!(report(&output)["DurationSeconds"], 1);

    assert_refused(&netbreak("test-server --duration-seconds 0"), &["--duration-seconds 0"]);
}

#[test]
fn the_second_name_is_a_command() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(NETBREAK, directory.path().join("test-server")).unwrap();
    let line = format!("cd {} && ./test-server --remote-port 0", directory.path().display());
    assert_refused(&shell(&line), &["--remote-port 0"]);
}

/// During a break its numbers are those of the report beside it, and scripts go on.
#[test]
fn test_server_counts_what_was_lost() {
    if skipped(&["ip", "nft", "nsenter"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", lab.namespace(Role::Client).path().display())).arg(NETBREAK);
    command.args(["test-server", SERVER, "--duration-seconds=4", "--output=json", "--json"]).arg(&file);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_echoes(&lab, 50);
    let fault = find("nft-forward").unwrap();
    lab.apply(fault).unwrap();
    wait_until(PATIENCE, "packets die", || lab.read_truth(fault).unwrap().unwrap() > 80);
    lab.undo(fault).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let numbers = report(&output);
    let report = json::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let [icmp, http, stream] = &report.targets[0].probes[..] else { panic!("{numbers}") };
    let retransmits = [http, stream].map(|probe| probe.retransmits.unwrap().segments).iter().sum::<u64>();
    for (name, number) in [
        ("TotalIcmpEcho", 400),
        ("IcmpLost", icmp.unanswered()),
        ("TCPRetransSegment", retransmits),
        ("TotalTCPOutSegments", report.run.tcp_segments.unwrap().out),
        ("TotalTCPConnection", 40),
        ("FailedTCPConnection", http.unanswered()),
    ] {
        assert_eq!(numbers[name], number, "{name}: {numbers}");
    }
    assert!(icmp.lost > 0 && retransmits > 0, "{numbers}");
}
