//! What comes out, and what happens when nobody takes it.

use crate::support::{netbreak, report, shell, skipped, text};

/// Without a kernel side: this is about output, and needs no root but for that.
const RUN: &str = "run 127.0.0.1 --tcp 9 --duration 200ms --no-kernel";

#[test]
fn json_on_standard_output_is_nothing_but_json() {
    let output = netbreak(&format!("{RUN} --json -"));
    assert_eq!(output.status.code(), Some(0));
    let report = report(&output);
    assert_eq!(report["schema"], "netbreak.report/1");
    assert_eq!(report["targets"][0]["probes"][0]["refused"], 20);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_page_on_standard_output_is_nothing_but_the_page() {
    for option in ["--html -", "--output html --quiet"] {
        let output = netbreak(&format!("{RUN} {option}"));
        assert_eq!(output.status.code(), Some(0));
        let page = text(&output.stdout);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn quiet_says_nothing() {
    let output = netbreak(&format!("{RUN} --quiet"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

#[test]
fn markdown_is_a_table() {
    let output = netbreak(&format!("{RUN} --output markdown"));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).lines().any(|line| line.starts_with("| ")), "{}", text(&output.stdout));
}

#[test]
fn the_status_is_that_of_the_verdict_if_nobody_reads() {
    for (line, status) in [
        // The status of the first in a pipe is its own affair: it goes into a file descriptor of its own.
        (format!("{{ $N {RUN}; echo $? >&3; }} 3>&1 >&2 2>/dev/null | cat"), "0"),
        (format!("{{ {{ $N {RUN} --output json; echo $? >&3; }} | head -c 1 >/dev/null; }} 3>&1"), "0"),
        (format!("$N {RUN} >&-; echo $?"), "0"),
        (format!("$N {RUN} <&- >&- 2>&-; s=$?; echo $s"), "0"),
        (format!("$N {RUN} --output json >/dev/full; echo $?"), "2"),
        ("$N run 127.0.0.1 --tcp 0 2>&-; echo $?".to_owned(), "2"),
        ("$N run 127.0.0.1 --tcp 0 2>/dev/full; echo $?".to_owned(), "2"),
        ("$N --help >&-; echo $?".to_owned(), "0"),
        ("{ { $N demo --list; echo $? >&3; } | true; } 3>&1".to_owned(), "0"),
    ] {
        let output = shell(&line);
        let (said, why) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(said.trim(), status, "{line}: {why}");
        assert!(!why.contains("panicked"), "{line}: {why}");
    }
}

#[test]
fn a_message_that_nobody_reads_is_no_crash() {
    // The reader is gone before the message comes: the resolver is asked first.
    let line = "{ { $N run nosuch.invalid 2>&1 >/dev/null; echo $? >&3; } | true; } 3>&1";
    assert_eq!(text(&shell(line).stdout).trim(), "2");
}

#[test]
fn a_file_that_cannot_be_written_in_the_end_does_not_cost_the_text() {
    for option in ["--json", "--html"] {
        let output = netbreak(&format!("{RUN} {option} /dev/full"));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stdout).contains("CLEAN"), "{}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains("/dev/full") && said.contains("No space left"), "{said}");
    }
}

#[test]
fn serve_goes_on_without_a_reader() {
    if skipped(&["timeout"]) {
        return;
    }
    let output = shell("timeout -s INT 1 $N serve --udp 0 >&-; echo $?");
    // `timeout` says 124 of a program that had to be interrupted: it had not ended by itself.
    assert_eq!(text(&output.stdout).trim(), "124", "{}", text(&output.stderr));
}
