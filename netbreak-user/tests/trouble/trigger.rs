//! `--trigger`: a command that breaks what is measured.

use std::path::{Path, PathBuf};

use netbreak_user::lab::{Lab, Role};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    PATIENCE, Running, from_client, netbreak, probe, report, serve, skipped, text, wait_until,
};

/// A script, as a command without blanks.
fn script(directory: &Path, lines: &str) -> PathBuf {
    let path = directory.join("break.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).unwrap();
    path
}

fn triggers(report: &Value) -> Vec<(f64, &str)> {
    let changes = report["changes"].as_array().unwrap();
    let triggers = changes.iter().filter(|change| change["what"] == "trigger");
    triggers.map(|change| (change["at_s"].as_f64().unwrap(), change["detail"].as_str().unwrap())).collect()
}

#[test]
fn a_run_ends_when_all_is_quiet_after_its_trigger() {
    if skipped(&["ip", "nft", "nsenter"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let directory = tempfile::tempdir().unwrap();
    let nft = format!("nsenter --net={} nft", lab.namespace(Role::Router).path().display());
    let lines = format!(
        "echo said by the trigger\n{nft} 'table inet trigger {{ chain f {{ \
         type filter hook forward priority 0; policy drop; }}; }}'\nsleep 0.5\n{nft} delete table inet trigger"
    );
    let command = script(directory.path(), &lines);
    let line = format!(
        "--icmp --tcp 7000 --udp 4000 --stream 5201 --timeout 900ms --duration 50s --json - --lead-in 1500ms \
         --quiet-for 1500ms --trigger {}",
        command.display()
    );
    let output = Running::new(&from_client(&lab, &line)).output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    // Standard output is the report's.
    assert!(text(&output.stderr).contains("said by the trigger"), "{}", text(&output.stderr));
    let report = report(&output);
    let [(started, start), (ended, end)] = triggers(&report)[..] else { panic!("{:#}", report["changes"]) };
    assert!(
        start.ends_with("break.sh` started") && end.ends_with("ended with exit status 0"),
        "{start}, {end}"
    );
    assert!(started >= 1.5 && ended >= started + 0.5, "{started} {ended}");
    let outages = probe(&report, "icmp")["outages"].as_array().unwrap();
    let (first, last) = (&outages[0]["start_s"], &outages[outages.len() - 1]["end_s"]);
    let (first, last) = (first.as_f64().unwrap(), last.as_f64().unwrap());
    assert!(first > started - 0.05 && last - first > 0.4, "{outages:#?}");
    assert!(probe(&report, "icmp")["deaths"][0]["cause"] == "netfilter", "{report:#}");
    // Not before it was quiet for so long, and long before --duration.
    let lasted = report["run"]["duration_s"].as_f64().unwrap();
    // An outage ends with the attempt that was answered, whose turn came earlier.
    let delay = probe(&report, "icmp")["schedule_delay_us"]["max"].as_f64().unwrap() / 1e6;
    assert!(lasted >= ended.max(last - delay) + 1.4 && lasted < 40.0, "{lasted} {ended} {last} {delay}");
    assert!(report["run"].get("interrupted").is_none());
    for kind in ["icmp", "tcp", "udp", "stream"] {
        let outages = probe(&report, kind)["outages"].as_array().unwrap();
        let last = outages.last().map_or(0.0, |outage| outage["end_s"].as_f64().unwrap());
        assert!(lasted >= last - delay + 1.4, "{kind}: {outages:#?}, and the run lasted {lasted} s");
    }
}

#[test]
fn a_trigger_that_fails_tells_nothing_of_what_it_would_have_broken() {
    if skipped(&[]) {
        return;
    }
    let output = netbreak(
        "run 127.0.0.1 --icmp --no-kernel --timeout 5s --duration 40s --lead-in 100ms --quiet-for 200ms \
         --json - --trigger no-such-command-at-all",
    );
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr)
            .contains("netbreak: the trigger `no-such-command-at-all` ended with exit status 127")
    );
    let report = report(&output);
    assert_eq!(report["verdict"], "inconclusive");
    assert!(triggers(&report)[1].1.contains("the shell did not find a command"));
    assert!(report["run"]["duration_s"].as_f64().unwrap() < 30.0);
}

#[test]
fn a_trigger_that_never_ends_is_ended_with_the_run_and_with_netbreak() {
    if skipped(&[]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    // It neither hears SIGTERM nor is it alone.
    let lines =
        format!("trap '' TERM\nsleep 1000 &\necho $! > {0}.new; mv {0}.new {0}\nwait", file.display());
    let command = script(directory.path(), &lines);
    let line = |duration| {
        format!(
            "run 127.0.0.1 --icmp --no-kernel --timeout 5s --duration {duration} --lead-in 100ms \
             --quiet-for 200ms --trigger {}",
            command.display()
        )
    };
    let left_behind = || {
        wait_until(PATIENCE, "the trigger runs", || file.exists());
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        std::fs::remove_file(&file).unwrap();
        // A zombie whose parent is gone may be there for a while yet.
        move || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        }
    };
    let running = Running::new(&line("1s"));
    let lives = left_behind();
    let output = running.output();
    wait_until(PATIENCE, "what the trigger left behind is gone", || !lives());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("had not ended when the run was over"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("answered in time, but the trigger did not do its work"));
    for signal in [Signal::INT, Signal::KILL] {
        let running = Running::new(&line("40s"));
        let lives = left_behind();
        assert!(lives());
        running.signal(signal);
        running.output();
        wait_until(PATIENCE, "what the trigger left behind is gone", || !lives());
    }
}
