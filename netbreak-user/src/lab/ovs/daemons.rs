//! The daemons of the lab: started, signalled, ended, each with its own files in the run directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::datapath::wait_for_processors;
use super::directory::Directory;
use super::parent::Parent;
use crate::lab::{Guard, LabNamespace};

/// How long a daemon may take to start or to end, on a machine that has little time for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(2);

/// A process of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// `ovsdb-server` with the switch's configuration.
    Config,
    /// `ovs-vswitchd`: the switch.
    Vswitchd,
    /// `ovsdb-server` with OVN's logical network.
    North,
    /// `ovsdb-server` with OVN's logical flows.
    South,
    /// `ovn-northd`: makes the flows of the network.
    Northd,
    /// `ovn-controller`: programs the switch.
    Controller,
}

impl Daemon {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Daemon::Config | Daemon::North | Daemon::South => "ovsdb-server",
            Daemon::Vswitchd => "ovs-vswitchd",
            Daemon::Northd => "ovn-northd",
            Daemon::Controller => "ovn-controller",
        }
    }

    /// What its files in the run directory are called, without `.db`, `.sock` and `.log`.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Daemon::Config => "conf",
            Daemon::Vswitchd => "vswitchd",
            Daemon::North => "nb",
            Daemon::South => "sb",
            Daemon::Northd => "northd",
            Daemon::Controller => "controller",
        }
    }

    /// What the database that it serves consists of, if it serves one.
    pub(super) fn schema(self) -> Option<&'static str> {
        match self {
            Daemon::Config => Some("/usr/share/openvswitch/vswitch.ovsschema"),
            Daemon::North => Some("/usr/share/ovn/ovn-nb.ovsschema"),
            Daemon::South => Some("/usr/share/ovn/ovn-sb.ovsschema"),
            Daemon::Vswitchd | Daemon::Northd | Daemon::Controller => None,
        }
    }

    /// Its own arguments.
    fn arguments(self, directory: &Path) -> Vec<String> {
        let own = |suffix: &str| directory.join(format!("{}.{suffix}", self.stem())).display().to_string();
        match self {
            Daemon::Config | Daemon::North | Daemon::South => {
                vec![own("db"), format!("--remote=punix:{}", own("sock"))]
            }
            Daemon::Vswitchd | Daemon::Controller => vec![database(directory, Daemon::Config)],
            Daemon::Northd => vec![
                format!("--ovnnb-db={}", database(directory, Daemon::North)),
                format!("--ovnsb-db={}", database(directory, Daemon::South)),
            ],
        }
    }
}

/// How Open vSwitch and OVN call the database that `server` serves.
pub(super) fn database(directory: &Path, server: Daemon) -> String {
    format!("unix:{}", directory.join(format!("{}.sock", server.stem())).display())
}

/// Those that run.
pub(super) struct Daemons {
    // Dropped in this order: killed and waited for, then their parent, then their files.
    running: BTreeMap<Daemon, Guard>,
    parent: Parent,
    directory: Directory,
}

impl Daemons {
    /// None yet.
    pub(super) fn new() -> Result<Daemons> {
        Ok(Daemons { running: BTreeMap::new(), parent: Parent::new()?, directory: Directory::new()? })
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn pid(&self, daemon: Daemon) -> Option<u32> {
        self.running.get(&daemon).map(Guard::pid)
    }

    /// Those of all that run.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.running.values().map(Guard::pid)
    }

    /// Where `ovs-appctl` reaches it.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn control(&self, daemon: Daemon) -> Result<PathBuf> {
        let pid = self.pid(daemon).with_context(|| format!("{} does not run", daemon.program()))?;
        Ok(control(self.directory(), daemon, pid))
    }

    /// Starts it in `namespace`, and returns when its control socket answers.
    pub(super) fn start(&mut self, daemon: Daemon, namespace: &LabNamespace) -> Result<()> {
        let name = daemon.program();
        ensure!(!self.running.contains_key(&daemon), "{name} runs already");
        if daemon == Daemon::Vswitchd {
            wait_for_processors();
        }
        let directory = self.directory();
        let log = log(directory, daemon);
        // What it says before it opens its log is in it, too.
        let errors = File::options().create(true).append(true).open(&log);
        let errors = errors.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = namespace.command(&[name])?;
        command
            .args(daemon.arguments(directory))
            .arg(format!("--log-file={}", log.display()))
            .arg("-vconsole:off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        for variable in ["RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR"] {
            command.env(format!("OVS_{variable}"), directory).env(format!("OVN_{variable}"), directory);
        }
        let child = self.parent.spawn(command).with_context(|| format!("cannot start {name}"))?;
        let mut guard = Guard::from(child);
        let deadline = Instant::now() + PATIENCE;
        let control = control(directory, daemon, guard.pid());
        while let Err(refused) = UnixStream::connect(&control) {
            if let Some(status) = guard.ended()? {
                bail!("{name} ended at once ({status}); {}", last_words(&log));
            }
            if Instant::now() >= deadline {
                let patience = PATIENCE.as_secs();
                bail!("{name} does not answer after {patience} s ({refused}); {}", last_words(&log));
            }
            sleep(PAUSE);
        }
        self.running.insert(daemon, guard);
        Ok(())
    }

    /// Waits until ovs-vswitchd has read its configuration and has this bridge, as who starts it with `--detach` does
    /// (`bridge_run` in vswitchd/bridge.c lets it go with `daemonize_complete`).
    pub(super) fn has_bridge(&self, namespace: &LabNamespace, bridge: &str) -> Result<()> {
        // Not by a connection to the bridge: one that says nothing changes what becomes of packets that no OpenFlow entry
        // matches (`connmgr_wants_packet_in_on_miss` in ofproto/connmgr.c).
        ask_until(&format!("ovs-vswitchd has no bridge {bridge}"), || {
            let bridges = self.ask(namespace, Daemon::Vswitchd, &["ofproto/list"])?;
            Ok(bridges.lines().any(|line| line == bridge))
        })
    }

    /// An error with its last words if a daemon has ended that nobody has asked to.
    pub(super) fn all_run(&mut self) -> Result<()> {
        let directory = self.directory.path();
        for (daemon, guard) in &mut self.running {
            if let Some(status) = guard.ended()? {
                bail!("{} ended ({status}); {}", daemon.program(), last_words(&log(directory, *daemon)));
            }
        }
        Ok(())
    }

    /// Sends a signal to it.
    pub(super) fn signal(&self, daemon: Daemon, signal: Signal) -> Result<()> {
        let name = daemon.program();
        let guard = self.running.get(&daemon).with_context(|| format!("{name} does not run"))?;
        let pid = i32::try_from(guard.pid()).ok().and_then(Pid::from_raw).context("not a process number")?;
        kill_process(pid, signal).with_context(|| format!("cannot send a signal to {name} (pid {pid})"))
    }

    /// Waits until it has ended.
    pub(super) fn ended(&mut self, daemon: Daemon) -> Result<()> {
        let name = daemon.program();
        let guard = self.running.get_mut(&daemon).with_context(|| format!("{name} does not run"))?;
        let deadline = Instant::now() + PATIENCE;
        while guard.ended()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "{name} (pid {}) still runs after {} s",
                guard.pid(),
                PATIENCE.as_secs()
            );
            sleep(PAUSE);
        }
        self.running.remove(&daemon);
        Ok(())
    }
}

/// Asks again and again until it `holds`; an error that says what is `missing` if it takes too long.
pub(super) fn ask_until(missing: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "{missing} after {} s", PATIENCE.as_secs());
        // Each question is a process.
        sleep(25 * PAUSE);
    }
    Ok(())
}

/// The socket that a daemon makes if it is told no other one; not every release of OVN's can be told.
fn control(directory: &Path, daemon: Daemon, pid: u32) -> PathBuf {
    directory.join(format!("{}.{pid}.ctl", daemon.program()))
}

fn log(directory: &Path, daemon: Daemon) -> PathBuf {
    directory.join(format!("{}.log", daemon.stem()))
}

/// The end of a log, for an error message.
fn last_words(log: &Path) -> String {
    const SHOWN: usize = 3;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0 => "it wrote no log".to_owned(),
        n => format!("its log ends with: {}", lines[n.saturating_sub(SHOWN)..].join(" · ")),
    }
}
