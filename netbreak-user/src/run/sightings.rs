//! Following the packets of a run that another node makes.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use tokio::time::MissedTickBehavior;

use super::{
    assemble::{host, losses, other_sensors},
    books::{self, Snapshot},
    changes::Changes,
    kept::Kept,
    measure::{explain, namespaces},
    names::Names,
    privileges,
};
use crate::{
    clock::{self, Nanos, SECOND, seconds_since},
    kernel::{self, Room, Sweep, Symbols, Tracer},
    netns,
    report::{SIGHTINGS, Sightings},
    run_id,
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

/// Whose packets are followed, and where.
pub(crate) struct Followed {
    /// What the packets carry.
    pub(crate) run_id: u64,
    /// Namespaces that are watched alone (inode numbers); none = all of this node.
    pub(crate) only: Vec<u32>,
    /// Entries of the kernel's flow map.
    pub(crate) flows: u32,
}

/// Follows them until `end`. `following` is called once nothing of them is missed any more. The calling thread gives up the
/// privileges that it does not need any more then.
///
/// # Errors
/// Whatever keeps it from starting, and tables of the kernel side that cannot be read.
pub(crate) async fn follow(
    Followed { run_id, only, flows }: Followed,
    following: impl FnOnce(),
    end: impl Future<Output = ()>,
) -> Result<Sightings> {
    let room = Room { probes: PROBES, attempts: ATTEMPTS };
    let mut tracer = Tracer::start(kernel::Options {
        flows,
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
    following();
    let mut sweep = Sweep::new(room, only.clone());
    let mut spells = Spells::default();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u64;
    tokio::pin!(end);
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
            () = &mut end => break,
        }
    }
    let ended = clock::now();
    let misses = tracer.misses();
    tracer.stop();
    events.drain_rest(|event, headers| kept.take(event, headers));
    changes.poll(ended);
    changes.end(ended);
    changes.look(ended);
    let after = Snapshot::take(Some(&tracer), &namespaces)?;
    tracer.registry().sweep(&mut sweep, true);
    let tables = tracer.tables().context(UNREADABLE)?;
    spells.look(&tables, ended);
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
        duration_s: seconds_since(start, ended),
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
