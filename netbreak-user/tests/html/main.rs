//! The page of a report in a real browser: what it shows is what the JSON says, with and without its script.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

mod browser;
#[path = "../common/skip.rs"]
mod skip;
mod synthetic;

use std::process::Command;

use browser::Browser;
use netbreak_user::report::{Report, html};
use serde_json::Value;
use synthetic::{Loss, synthetic};

/// Compares every marked value of the page with the JSON of the same run.
const COMPARE: &str = include_str!("compare.js");
/// Uses keys, the mouse and the buttons.
const USE: &str = include_str!("use.js");
/// Measures the pictures of the page in a frame that runs no script.
const MEASURE: &str = include_str!("measure.js");

fn skipped() -> bool {
    skip::skipped(&["chromium", "timeout"])
}

/// The page with another script at its end; `json` is what that knows as `report`.
fn with_script(page: &str, json: &Value, script: &str) -> String {
    let json = json.to_string().replace('<', "\\u003c");
    let script = format!("<script>const report = {json};\n{script}</script></body>");
    assert!(page.contains("</body>"));
    page.replace("</body>", &script)
}

fn compare(report: &Report, page: &str) -> Value {
    let json = serde_json::to_value(report).unwrap();
    let seen = Browser::new().open(&with_script(page, &json, COMPARE));
    assert_eq!(seen.console, [""; 0]);
    assert_eq!(seen.result["different"], serde_json::json!([]));
    assert!(seen.result["alone"].as_bool().unwrap(), "{}", seen.result);
    seen.result
}

#[test]
fn values_are_those_of_the_json() {
    if skipped() {
        return;
    }
    let report = synthetic(Loss::Break);
    let compared = compare(&report, &html::render(&report));
    let compared: Vec<&str> =
        compared["compared"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (index, probe) in report.targets[0].probes.iter().enumerate() {
        let mut fields = vec!["sent".to_owned(), "answered".to_owned(), "rtt_us/p99".to_owned()];
        fields.extend((0..probe.deaths.len()).map(|death| format!("deaths/{death}/attempts")));
        for field in fields {
            let at = format!("/targets/0/probes/{index}/{field}");
            assert!(compared.contains(&at.as_str()), "{at}: {compared:?}");
        }
    }
}

/// What `netbreak run` writes, whatever machine this is.
#[test]
fn a_run_writes_the_page_of_its_json() {
    if skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [json, page] = ["report.json", "report.html"].map(|name| directory.path().join(name));
    let run = Command::new(env!("CARGO_BIN_EXE_netbreak"))
        .args([
            "run",
            "127.0.0.1",
            "--tcp",
            "9",
            "--icmp",
            "--duration",
            "500ms",
            "--no-kernel",
            "--quiet",
            "--json",
        ])
        .arg(&json)
        .arg("--html")
        .arg(&page)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let report: Report = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report.check(), Ok(()));
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page, html::render(&report), "the JSON has all that the page is made of");
    compare(&report, &page);
}

#[test]
fn keys_buttons_and_the_mouse_work() {
    if skipped() {
        return;
    }
    let report = synthetic(Loss::Break);
    let json = serde_json::to_value(&report).unwrap();
    let seen = Browser::new().open(&with_script(&html::render(&report), &json, USE));
    assert_eq!(seen.console, [""; 0]);
    for (what, was) in seen.result.as_object().unwrap() {
        assert_eq!(was, true, "{what}: {}", seen.result);
    }
    assert!(seen.result.as_object().unwrap().len() >= 10, "{}", seen.result);
}

#[test]
fn pictures_stay_without_script() {
    if skipped() {
        return;
    }
    let page = html::render(&synthetic(Loss::Break));
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    // A sandbox without allow-scripts is a browser without scripts; only this page may look into it.
    let frame = format!(
        "<!DOCTYPE html><html><body><iframe sandbox=\"allow-same-origin\" width=\"1200\" height=\"4000\" srcdoc=\"{quoted}\"></iframe></body></html>"
    );
    let seen = Browser::new().open(&with_script(&frame, &Value::Null, MEASURE)).result;
    assert_eq!(seen["scripted"], false, "{seen}");
    assert_eq!(seen["empty"], serde_json::json!([]), "{seen}");
    for (what, least) in
        [("bar", 5), ("median", 5), ("band", 5), ("outage", 5), ("change", 2), ("label", 5), ("tick", 20)]
    {
        assert!(seen["drawn"][what].as_u64().unwrap() >= least, "{what}: {seen}");
    }
    assert_eq!(seen["overlapping"], serde_json::json!([]), "{seen}");
}

/// 60 s, 100 attempts a second, five probes: with a break, and with so much random loss that hardly two neighbours agree.
#[test]
fn a_page_is_less_than_a_megabyte() {
    for loss in [Loss::Break, Loss::Random] {
        let report = synthetic(loss);
        assert_eq!(report.check(), Ok(()));
        assert_eq!(report.probes().map(|probe| probe.sent).sum::<u64>(), 30_000);
        let size = html::render(&report).len();
        assert!((50_000..1_000_000).contains(&size), "{loss:?}: {size} bytes");
    }
}
