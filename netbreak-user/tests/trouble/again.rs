//! `netbreak report`: what was saved is rendered as the run itself would have, and what is no report is refused.

use std::fs;

use crate::support::{assert_refused, netbreak, shell, text};

const RUN: &str = "run 127.0.0.1 --tcp 9 --duration 100ms --no-kernel --quiet";

/// A directory with `a.json`, `a.html` and `a.md` of one run each: the same but for its times.
fn saved() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let output = netbreak(&format!("{RUN} --json {at}/a.json --html {at}/a.html --output markdown"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    fs::write(directory.path().join("a.md"), &output.stdout).unwrap();
    directory
}

#[test]
fn every_format_is_what_the_run_wrote() {
    let directory = saved();
    let at = directory.path().display();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    for (format, file) in [("json", "a.json"), ("html", "a.html"), ("markdown", "a.md")] {
        let output = netbreak(&format!("report {at}/a.json --output {format}"));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), read(file), "{format}");
    }
    let output = netbreak(&format!("report {at}/a.json --quiet --json {at}/b.json --html {at}/b.html"));
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    assert_eq!((read("b.json"), read("b.html")), (read("a.json"), read("a.html")));
    let piped = shell(&format!("$N report - < {at}/a.json"));
    let named = netbreak(&format!("report {at}/a.json"));
    assert!(text(&named.stdout).contains("CLEAN"), "{}", text(&named.stderr));
    assert_eq!(text(&piped.stdout), text(&named.stdout));
}

#[test]
fn several_are_printed_one_after_the_other() {
    let directory = saved();
    let at = directory.path().display();
    let output = netbreak(&format!("report {at}/a.json {at}/a.json"));
    let alone = text(&netbreak(&format!("report {at}/a.json")).stdout);
    let titled = format!("==> {at}/a.json <==\n\n{alone}");
    assert_eq!(text(&output.stdout), format!("{titled}\n{titled}"));
    // One that is no report: nothing is printed of the others.
    let output = netbreak(&format!("report {at}/a.json {at}/a.html"));
    assert_refused(&output, &["a.html", "not JSON", "line 1"]);
}

#[test]
fn what_is_no_report_is_refused_by_name_and_place() {
    let directory = saved();
    let at = directory.path().display();
    let json = fs::read_to_string(directory.path().join("a.json")).unwrap();
    let wrong = directory.path().join("wrong.json");
    for (content, words) in [
        (String::new(), &["empty"][..]),
        (json.replace("report/1", "report/9"), &["netbreak.report/9", "newer"]),
        (json.replace("report/1", "report/0"), &["netbreak.report/0", "older"]),
        (json.replace("\"targets\"", "\"target\""), &["unknown field `target`", "line "]),
        (json.replace("\"refused\": ", "\"refused\": 1"), &["contradict", "127.0.0.1 tcp 9"]),
    ] {
        fs::write(&wrong, &content).unwrap();
        let words = [&["wrong.json"], words].concat();
        assert_refused(&netbreak(&format!("report {at}/wrong.json")), &words);
    }
    fs::write(&wrong, [0xff, 0xfe]).unwrap();
    assert_refused(&netbreak(&format!("report {at}/wrong.json")), &["wrong.json", "not text"]);
    assert_refused(&netbreak(&format!("report {at}/absent.json")), &["absent.json", "os error 2"]);
    assert_refused(&netbreak(&format!("report {at}")), &["os error 21"]);
}

/// What a node saw of a run, which was nothing.
fn sightings(run_id: &str) -> String {
    let losses = r#"{"ring_full": 0, "map_full": 0, "unreadable": 0, "missed": 0, "ledger": 0}"#;
    format!(
        r#"{{"schema": "netbreak.sightings/1", "run_id": "{run_id}", "host": "node-b", "kernel": "6.18.5",
            "started": "2026-01-02T03:04:05Z", "duration_s": 1.0, "sensors": [], "followed": 64, "probes": [],
            "losses": {losses}}}"#
    )
}

#[test]
fn sightings_are_merged_into_the_report_of_their_run_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let write = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
    netbreak(&format!("{RUN} --run-id 5eed --json {at}/a.json"));
    write("b.json", sightings("0000000000005eed"));
    write("c.json", sightings("00000000000000ff"));
    write("d.json", sightings("0000000000005eed"));
    let merged = netbreak(&format!("report {at}/b.json {at}/a.json --json {at}/m.json"));
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    assert!(
        text(&merged.stdout).contains("with node-b saw no attempt of this run"),
        "{}",
        text(&merged.stdout)
    );
    for (files, words) in [
        ("b.json", &["b.json", "of run 0000000000005eed", "no file that is named"][..]),
        ("a.json c.json", &["a.json", "run 0000000000005eed", "run 00000000000000ff"]),
        ("a.json b.json b.json", &["b.json: it is named twice"]),
        ("a.json b.json d.json", &["d.json", "named twice", "b.json has them, too"]),
        ("m.json b.json", &["m.json", "merged into it before (node-b)"]),
        ("a.json a.json c.json", &["c.json", "of run 00000000000000ff"]),
    ] {
        let files: Vec<String> = files.split(' ').map(|file| format!("{at}/{file}")).collect();
        assert_refused(&netbreak(&format!("report {}", files.join(" "))), words);
    }
}

#[test]
fn a_report_is_not_written_over_itself() {
    let directory = saved();
    let at = directory.path().display();
    let before = fs::read(directory.path().join("a.json")).unwrap();
    for option in ["--json", "--html"] {
        let output = netbreak(&format!("report {at}/a.json {option} {at}/./a.json"));
        assert_refused(&output, &[option, "another path"]);
    }
    assert_eq!(fs::read(directory.path().join("a.json")).unwrap(), before);
}
