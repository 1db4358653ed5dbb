//! `netbreak watch`: drops and retransmits of the whole machine as they happen, without probes.
//!
//! The kernel side counts them anyway, for every flow: once a second the counters are read, and what has grown is shown.

mod detail;
mod difference;
mod filter;
mod keys;
mod lines;
mod output;
mod row;
mod seen;
mod table;
mod terminal;
mod view;

pub use filter::{Filter, Prefix};
pub use row::{Row, What};

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use self::{output::Output, row::Names, seen::Seen};
use crate::{
    clock,
    kernel::{self, Reasons, Symbols, Tracer, prerequisites},
    netns,
    options::WatchOptions,
    run::{self, privileges},
    signals::Signals,
};

/// Watches until a signal, the end of the duration, `q`, or until nobody reads any more.
///
/// # Errors
/// Whatever keeps it from starting, and output that fails otherwise than by a closed pipe.
pub fn command(options: &WatchOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(options))
}

async fn watch(options: &WatchOptions) -> Result<()> {
    // From here on these end the watching and not the process: the terminal is given back.
    let mut ends = Signals::handle()?;
    let mut resized = signal(SignalKind::window_change()).context("cannot handle SIGWINCH")?;
    let mut filter = options.filter.clone();
    filter.netns = run::inodes(&options.netns)?;
    let mut tracer =
        Tracer::start(kernel::Options { flows: options.flows, ..Default::default() }).map_err(explain)?;
    let (start, started) = (clock::now(), clock::anchor());
    check_reasons(&filter.reasons, tracer.reasons())?;
    let mut names = Names {
        symbols: Symbols::read().unwrap_or_default(),
        netns: netns::list().into_iter().map(|found| (found.inode, found.name)).collect(),
    };
    // Reading tables takes less than loading programs.
    privileges::keep_only(privileges::READER);
    let mut seen = Seen::new(filter, start);
    let mut output = Output::start(options.json, started, tracer.sensors())?;
    let mut look = tokio::time::interval(Duration::from_secs(1));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.reset();
    let over = tokio::time::sleep(options.at_most());
    tokio::pin!(over);
    output.draw(&seen)?;
    while !output.is_closed() {
        tokio::select! {
            _ = look.tick() => {
                let tables = tracer.tables().context("cannot read the tables of the kernel side")?;
                seen.look(&tables, clock::now(), &mut names, tracer.reasons());
                output.show(&seen)?;
            }
            keys = output.keys() => match keys {
                Ok(keys) if !keys.is_empty() => if output.press(&keys, &seen)? { break },
                // The terminal is gone, and with it whoever watched.
                Ok(_) | Err(_) => break,
            },
            _ = resized.recv() => output.draw(&seen)?,
            _ = ends.come() => break,
            () = &mut over => break,
        }
    }
    // From here on nothing is counted any more: what the last look sees is all that there was.
    let missed = tracer.misses();
    tracer.stop();
    let tables = tracer.tables().context("cannot read the tables of the kernel side")?;
    seen.look(&tables, clock::now(), &mut names, tracer.reasons());
    seen.sums.missed = missed;
    output.end(&seen)
}

/// A reason that this kernel does not have would show nothing, for ever.
fn check_reasons(wanted: &[String], reasons: &Reasons) -> Result<()> {
    for reason in wanted {
        let is_known = reason.eq_ignore_ascii_case("SYN-ACK")
            || reason.starts_with("0x")
            || reasons.number(&reason.to_ascii_uppercase()).is_some();
        if !is_known {
            bail!(
                "--reason {reason}: this kernel has no such drop reason; \
                 `netbreak watch` without --reason shows those that there are (such as NO_SOCKET)"
            );
        }
    }
    Ok(())
}

fn explain(error: kernel::StartError) -> anyhow::Error {
    let advice = prerequisites::turn_on(&error, &prerequisites::Facts::read());
    anyhow!("{}. {advice}", prerequisites::in_full(&error))
}
