//! `netbreak watch --run`: follows the packets of a run that another node makes, and writes what it saw.

use std::io::Write as _;

use anyhow::{Context, Result};

use super::{
    inodes,
    sightings::{Followed, follow},
};
use crate::{
    clock::{Nanos, SECOND},
    options::{Files, Follow, Output, WatchOptions},
    report::{Sightings, json},
    run_id,
    signals::Signals,
    stdout::write_stdout,
};

/// Watches until a signal or the end of the duration, and writes what it saw.
///
/// # Errors
/// Whatever keeps it from starting, and a file that cannot be written.
pub fn command(options: &WatchOptions, run: &Follow) -> Result<()> {
    // Before anything else: a bad path fails at once.
    let files = Files::open(&Output { stdout: None, json: run.json.clone(), html: None, pcap: None })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sightings = runtime.block_on(watch(options, run.run_id))?;
    let seen: u64 = sightings.probes.iter().map(|probe| probe.seen().len() as u64).sum();
    let text = json::render_sightings(&sightings)?;
    match files.json {
        Some(file) => file.write(&text)?,
        None => write_stdout(&text).context("cannot write the sightings to standard output")?,
    }
    say(&format!(
        "saw {seen} attempts of {} probes in {:.1} s",
        sightings.probes.len(),
        sightings.duration_s
    ));
    Ok(())
}

async fn watch(options: &WatchOptions, run_id: u64) -> Result<Sightings> {
    let mut signals = Signals::handle()?;
    let followed = Followed { run_id, only: inodes(&options.netns)?, flows: options.flows };
    let until = until(options.duration);
    let following = || {
        say(&format!(
            "following the packets of run {} (icmp and udp), and what is dropped of TCP, {until}",
            run_id::name(run_id)
        ));
    };
    let end = async {
        // Counted from when it is asked for first: from when it follows.
        let over = tokio::time::sleep(options.at_most());
        tokio::select! {
            _ = signals.come() => {}
            () = over => {}
        }
    };
    follow(followed, following, end).await
}

/// How long it follows, in words.
fn until(duration: Option<Nanos>) -> String {
    match duration {
        Some(duration) => format!("for {} s, or until Ctrl-C", duration as f64 / SECOND as f64),
        None => "until Ctrl-C".to_owned(),
    }
}

/// For a person: whether anybody reads it does not matter.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "netbreak: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told() {
        assert_eq!(until(Some(SECOND * 3 / 2)), "for 1.5 s, or until Ctrl-C");
        assert_eq!(until(None), "until Ctrl-C");
    }
}
