//! SIGINT, SIGTERM and SIGHUP end a run early, with the report of what was measured.

use netbreak_user::lab::{Lab, find};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    PATIENCE, Running, children, from_client, kernel_objects, probe, report, serve, shell, skipped, text,
    wait_for_echoes, wait_until,
};

#[test]
fn an_interrupted_run_reports_what_was_measured() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    let _server = serve(&lab);
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let [path, page] = ["report.json", "report.html"].map(|name| directory.path().join(name));
        let line =
            format!("--icmp --tcp 80 --timeout 5s --json {} --html {}", path.display(), page.display());
        let running = Running::new(&from_client(&lab, &line));
        wait_for_echoes(&lab, 20);
        // Those of the first round count as well: this is about the second run's own.
        wait_until(PATIENCE, "it probes", || kernel_objects(running.pid(), "prog_id").len() > 5);
        running.signal(signal);
        let output = running.output();
        assert!(text(&output.stdout).contains("interrupted"), "{}", text(&output.stdout));
        let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(report["run"]["interrupted"], true);
        assert!(report["run"]["duration_s"].as_f64().unwrap() >= 0.0);
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains("<strong>interrupted</strong>") && page.ends_with("</html>"), "{page}");
        let sent = probe(&report, "icmp")["sent"].as_u64().unwrap()
            + probe(&report, "tcp")["sent"].as_u64().unwrap();
        let (status, word) = if sent == 0 { (2, "inconclusive") } else { (0, "clean") };
        assert_eq!((output.status.code(), &report["verdict"]), (Some(status), &word.into()), "{report:#}");
    }
}

#[test]
fn interrupted_before_the_first_attempt_is_inconclusive() {
    if skipped(&["ip"]) {
        return;
    }
    let lab = Lab::new().unwrap();
    // Signals are handled before the first map is made, and programs are loaded after it: that takes much longer than to
    // stop netbreak, unless we sleep.
    let running = loop {
        let running = Running::new(&from_client(&lab, "--icmp --json -"));
        wait_until(PATIENCE, "it starts", || !kernel_objects(running.pid(), "map_id").is_empty());
        running.stop();
        if kernel_objects(running.pid(), "prog_id").is_empty() {
            break running;
        }
    };
    running.signal(Signal::INT);
    running.signal(Signal::CONT);
    let output = running.output();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let report = report(&output);
    assert_eq!((&report["verdict"], &report["run"]["interrupted"]), (&"inconclusive".into(), &true.into()));
    assert_eq!(
        (probe(&report, "icmp")["sent"].as_u64(), report["run"]["duration_s"].as_f64()),
        (Some(0), Some(0.0))
    );
}

#[test]
fn the_second_signal_does_not_wait_for_answers() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    lab.apply(find("nft-forward").unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let line = format!("--icmp --no-kernel --timeout 10m --interval 100ms --json {}", path.display());
    let mut running = Running::new(&from_client(&lab, &line));
    wait_for_echoes(&lab, 2);
    running.signal(Signal::INT);
    // Signals that come together are one.
    wait_until(PATIENCE, "it gives up", || {
        running.ended().is_some() || {
            running.signal(Signal::INT);
            false
        }
    });
    let output = running.output();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("interrupted twice"), "{}", text(&output.stderr));
    assert!(!path.exists());
}

#[test]
fn nohup_is_respected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let line =
        "trap '' HUP; $N run 127.0.0.1 --icmp --no-kernel --quiet --timeout 5s --duration 1s --json $FILE & \
                while ! test -e $FILE; do :; done; kill -HUP $!; wait $!"
            .replace("$FILE", &path.display().to_string());
    let output = shell(&line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(report["run"].get("interrupted").is_none(), "{report:#}");
}

#[test]
fn an_interrupted_demo_removes_its_lab() {
    if skipped(&["ip", "nft"]) {
        return;
    }
    for signal in [Signal::INT, Signal::TERM] {
        let demo = Running::new("demo --duration 60s");
        wait_until(PATIENCE, "the demo runs", || kernel_objects(demo.pid(), "prog_id").len() > 5);
        let holders: Vec<u32> = children(demo.pid()).into_iter().map(|(pid, _)| pid).collect();
        assert_eq!(holders.len(), 3, "{holders:?}");
        demo.signal(signal);
        let output = demo.output();
        let said = text(&output.stdout);
        assert!(said.contains("interrupted"), "{said}{}", text(&output.stderr));
        assert!(said.contains("The run ended before its break") && !said.contains("The break"), "{said}");
        let inconclusive = said.contains("INCONCLUSIVE");
        assert_eq!(output.status.code(), Some(if inconclusive { 2 } else { 0 }), "{said}");
        assert!(holders.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap()));
    }
}
