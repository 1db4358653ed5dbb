//! `netbreak watch --run`: follows the packets of a run that another node makes.

use std::{collections::BTreeSet, io::Write as _, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{
    assemble::{host, losses, other_sensors},
    books::{self, Snapshot},
    changes::Changes,
    inodes,
    kept::Kept,
    measure::{explain, namespaces},
    names::Names,
    privileges,
};
use crate::{
    clock::{self, Nanos, SECOND, seconds_since},
    kernel::{self, Room, Sweep, Symbols, Tracer},
    netns,
    options::{Files, Follow, Output, WatchOptions},
    report::{SIGHTINGS, Sightings, json},
    run_id,
    stdout::write_stdout,
    verdict::{self, Evidence, Spells},
};

/// Probes whose packets are followed: those of a matrix of a dozen rows, and more.
const PROBES: u32 = 64;

/// Attempts of each that the ledger holds until it is read: 2.5 seconds of them at 100 a second.
const ATTEMPTS: u32 = 1 << 8;

/// Between two looks into the ledger.
const LOOK: Duration = Duration::from_millis(100);

/// At every fifth of them it is looked whether another probe has begun, too: that takes longer.
const LOOK_AT_ALL: u64 = 5;

/// At every tenth of them the tables of what was dropped are read.
const LOOK_AT_TABLES: u64 = 10;

/// A reply has that long to be its request's, when nothing but its time tells.
const ANSWERED_WITHIN: Nanos = SECOND;

/// Watches until a signal or the end of the duration, and writes what it saw.
///
/// # Errors
/// Whatever keeps it from starting, and a file that cannot be written.
pub fn follow(options: &WatchOptions, run: &Follow) -> Result<()> {
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

/// For a person: whether anybody reads it does not matter.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "netbreak: {text}");
}

async fn watch(options: &WatchOptions, run_id: u64) -> Result<Sightings> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let only = inodes(&options.netns)?;
    let room = Room { probes: PROBES, attempts: ATTEMPTS };
    let mut tracer = Tracer::start(kernel::Options {
        flows: options.flows,
        run_id: Some(run_id),
        follow: Some(room),
        ..Default::default()
    })
    .map_err(explain)?;
    // No namespace of this node is the probes' own.
    let mut kept = Kept::new(Some(&tracer), BTreeSet::new());
    let mut events = tracer.events()?;
    let found = netns::list();
    let (namespaces, _) = namespaces(&[], &BTreeSet::new(), &found)?;
    let mut changes = Changes::watch(&namespaces);
    privileges::keep_only(privileges::READER);
    let before = Snapshot::take(Some(&tracer), &namespaces)?;
    let (start, started) = (clock::now(), clock::anchor());
    say(&format!(
        "following the packets of run {} (icmp and udp), and what is dropped of TCP, until Ctrl-C",
        run_id::name(run_id)
    ));
    let mut sweep = Sweep::new(room, only.clone());
    let mut spells = Spells::default();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u64;
    let over = tokio::time::sleep(options.at_most());
    tokio::pin!(over);
    loop {
        tokio::select! {
            drained = events.drain(|event, headers| kept.take(event, headers)) => {
                drained.context("cannot read events from the kernel")?;
            }
            () = changes.come() => changes.poll(clock::now()),
            _ = look.tick() => {
                changes.poll(clock::now());
                changes.look(clock::now());
                tracer.registry().sweep(&mut sweep, looks.is_multiple_of(LOOK_AT_ALL));
                if looks.is_multiple_of(LOOK_AT_TABLES) {
                    spells.look(&tracer.tables().context(UNREADABLE)?, clock::now());
                }
                looks += 1;
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = &mut over => break,
        }
    }
    let end = clock::now();
    let misses = tracer.misses();
    tracer.stop();
    events.drain_rest(|event, headers| kept.take(event, headers));
    changes.poll(end);
    changes.look(end);
    let after = Snapshot::take(Some(&tracer), &namespaces)?;
    tracer.registry().sweep(&mut sweep, true);
    let tables = tracer.tables().context(UNREADABLE)?;
    spells.look(&tables, end);
    let trails = tracer.registry().take_trails();
    kept.events.retain(|event| only.is_empty() || only.contains(&event.netns));
    let symbols = Symbols::read().unwrap_or_default();
    let netns_names = found.into_iter().map(|found| (found.inode, found.name)).collect();
    let mut names = Names::new(&symbols, tracer.reasons(), netns_names, &changes);
    if !only.is_empty() {
        names.forget_kinds();
    }
    let (absences, changed) = (changes.absences(), changes.events());
    let sides = books::sides(&before, &after);
    let probes = verdict::sighted(&Evidence {
        start,
        timeout: ANSWERED_WITHIN,
        netns: NOBODYS,
        records: &verdict::strangers(PROBES, &trails, &kept.events),
        events: &kept.events,
        trails: &trails,
        changes: &changed,
        daemons: changes.daemons(),
        owners: changes.owners(),
        absences: &absences,
        sides: &sides,
        misses,
        names: &names,
    });
    let mut sensors = tracer.sensors().to_vec();
    sensors.extend(other_sensors(Some(&tracer), &symbols));
    let mut losses = losses(&tables, misses);
    losses.ring_full += kept.lost;
    losses.ledger = sweep.missed;
    Ok(Sightings {
        schema: SIGHTINGS.to_owned(),
        run_id: run_id::name(run_id),
        host: host(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        started: started.to_string(),
        duration_s: seconds_since(start, end),
        sensors,
        followed: PROBES,
        probes,
        dropped: verdict::dropped(&tables, &spells, &names, start, &only),
        losses,
        only_netns: only,
    })
}

const UNREADABLE: &str = "cannot read the tables of the kernel side";

/// No namespace has this inode number.
const NOBODYS: u32 = u32::MAX;
