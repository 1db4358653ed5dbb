//! Setting the clock cannot disturb a run: every time is CLOCK_MONOTONIC, and wall time is asked once.

use std::fs;
use std::path::Path;

/// Where wall time is asked for.
const CLOCK: &str = "src/clock.rs";

/// What takes a run's anchor, once each: a watch, a run, and who follows another node's run.
const RUNS: [&str; 3] = ["live/mod.rs", "run/measure.rs", "run/sightings.rs"];

fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn wall_time_is_asked_once() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let asks = |text: &str| {
        [
            "SystemTime::now",
            "UNIX_EPOCH",
            "Timestamp::now",
            "Zoned::now",
            "ClockId::Realtime",
            "CLOCK_REALTIME",
        ]
        .iter()
        .map(|call| text.matches(call).count())
        .sum::<usize>()
    };
    let asking: Vec<(&str, usize)> =
        found.iter().map(|(path, text)| (path.as_str(), asks(text))).filter(|(_, asks)| *asks > 0).collect();
    assert!(found.len() > 50, "the sources are not where they were");
    assert!(matches!(asking[..], [(path, 1)] if path.ends_with(CLOCK)), "{asking:?}");
    let mut anchors: Vec<&str> = found
        .iter()
        .flat_map(|(path, text)| text.matches("clock::anchor()").map(|_| path.as_str()))
        .collect();
    anchors.sort_unstable();
    let is_a_run = |(path, run): (&&str, &str)| path.ends_with(run);
    assert!(anchors.len() == RUNS.len() && anchors.iter().zip(RUNS).all(is_a_run), "{anchors:?}");
}
