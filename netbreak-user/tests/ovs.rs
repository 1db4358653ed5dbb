//! The promises of the labs with Open vSwitch: real packets cross them, each event breaks what it says and its end
//! heals it, and nothing of them survives their process.
//!
//! Needs root, iproute2, ethtool, ping, Open vSwitch and OVN (`cargo xtask setup --lab ovn`). Without them a test says
//! "skipped: …"; with NETBREAK_REQUIRE=1 it fails instead.

#![expect(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "ovs/cluster.rs"]
mod cluster;
#[path = "common/skip.rs"]
mod skip;
#[path = "ovs/verdicts.rs"]
mod verdicts;
#[path = "common/wait.rs"]
mod wait;

use netbreak_user::lab::ovs::{Daemon, Event, Kind, OvsLab, POD2, Place, programs};
use netbreak_user::netns;
use skip::skipped;
use wait::wait_until;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

const DAEMONS: [Daemon; 6] =
    [Daemon::Config, Daemon::Vswitchd, Daemon::North, Daemon::South, Daemon::Northd, Daemon::Controller];

fn cannot_run(kind: Kind) -> bool {
    let mut programs = programs(kind);
    programs.push("ping");
    skipped(&programs)
}

/// Does pod1 get one of three echoes answered?
fn answers(lab: &OvsLab, address: Ipv4Addr) -> bool {
    let argv = ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "0.2", &address.to_string()];
    lab.namespace(Place::Pod1).command(&argv).unwrap().stdout(Stdio::null()).status().unwrap().success()
}

/// Does a connection from pod1 bring data to `place`? Checksums must be right for that.
fn carries_tcp(lab: &OvsLab, place: Place, address: Ipv4Addr) -> bool {
    let listener = lab.namespace(place).run(|| TcpListener::bind("0.0.0.0:0").unwrap()).unwrap();
    let address = SocketAddr::from((address, listener.local_addr().unwrap().port()));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok();
    lab.namespace(Place::Pod1).run(connect).unwrap()
}

/// Whether pod2 and ovn0 answer pod1 while the event lasts.
fn meanwhile(event: &Event) -> (bool, bool) {
    match event.name {
        "ovn0-down" | "ovn0-address" => (true, false),
        "controller-term" | "controller-exit" => (true, true),
        _ => (false, false),
    }
}

fn prove(lab: &mut OvsLab, event: &Event) {
    let (name, ovn0) = (event.name, lab.kind().ovn0());
    lab.apply(event).unwrap();
    let (pod2_answers, ovn0_answers) = meanwhile(event);
    for (address, answers_then) in [(POD2, pod2_answers), (ovn0, ovn0_answers)] {
        if answers_then {
            wait_until(PATIENCE, &format!("{name}: {address} answers while it lasts"), || {
                answers(lab, address)
            });
        } else {
            assert!(!answers(lab, address), "{name}: {address} answers while it lasts");
        }
    }
    lab.undo(event).unwrap();
    wait_until(PATIENCE, &format!("{name}: pod2 answers after its end"), || answers(lab, POD2));
    if event.repair.is_empty() {
        wait_until(PATIENCE, &format!("{name}: ovn0 answers after its end"), || answers(lab, ovn0));
    } else {
        assert!(!answers(lab, ovn0), "{name}: ovn0 came back by itself");
        lab.repair(event).unwrap();
        wait_until(PATIENCE, &format!("{name}: ovn0 answers after its repair"), || answers(lab, ovn0));
    }
}

/// What a lab has on the machine.
struct Traces {
    inodes: HashSet<u32>,
    processes: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Traces {
    fn new(
        names: impl IntoIterator<Item = (u32, &'static str)>,
        pids: impl IntoIterator<Item = u32>,
        directories: impl IntoIterator<Item = impl AsRef<Path>>,
    ) -> Traces {
        Traces {
            inodes: names.into_iter().map(|(inode, _)| inode).collect(),
            processes: pids.into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}/exe"))).collect(),
            directories: directories.into_iter().map(|path| path.as_ref().to_owned()).collect(),
        }
    }

    fn of(lab: &OvsLab) -> Traces {
        Traces::new(lab.names(), DAEMONS.iter().filter_map(|daemon| lab.pid(*daemon)), [lab.directory()])
    }

    /// A process that nobody waited for yet has no `exe` any more.
    fn left(&self) -> Vec<String> {
        let namespaces = netns::list().into_iter().filter(|n| self.inodes.contains(&n.inode)).map(|n| n.name);
        let files = self.processes.iter().chain(&self.directories);
        let files =
            files.filter(|path| std::fs::metadata(path).is_ok()).map(|path| path.display().to_string());
        namespaces.chain(files).collect()
    }
}

fn prove_lab(kind: Kind, daemons: usize) {
    if cannot_run(kind) {
        return;
    }
    let start = Instant::now();
    let mut lab = OvsLab::new(kind).unwrap();
    println!("the lab `{}` takes {:?}", kind.name(), start.elapsed());
    let ovn0 = kind.ovn0();
    for address in [POD2, ovn0] {
        wait_until(PATIENCE, &format!("{address} answers"), || answers(&lab, address));
    }
    assert!(carries_tcp(&lab, Place::Pod2, POD2) && carries_tcp(&lab, Place::Node, ovn0));
    for event in kind.events() {
        let start = Instant::now();
        prove(&mut lab, event);
        println!("{}: {:?}", event.name, start.elapsed());
    }
    assert!(carries_tcp(&lab, Place::Pod2, POD2) && carries_tcp(&lab, Place::Node, ovn0));
    let traces = Traces::of(&lab);
    assert_eq!((traces.inodes.len(), traces.processes.len()), (3, daemons));
    assert_eq!(traces.left().len(), 3 + daemons + 1, "{:?}", traces.left());
    drop(lab);
    assert_eq!(traces.left(), Vec::<String>::new());
}

#[test]
fn open_vswitch_carries_breaks_and_heals() {
    prove_lab(Kind::Ovs, 2);
}

#[test]
fn ovn_carries_breaks_and_heals() {
    prove_lab(Kind::Ovn, 6);
}

#[test]
fn a_step_that_fails_says_what_it_said() {
    if cannot_run(Kind::Ovs) {
        return;
    }
    let mut lab = OvsLab::new(Kind::Ovs).unwrap();
    let find = |name| Kind::Ovs.events().find(|event| event.name == name).unwrap();
    lab.apply(find("vswitchd-kill")).unwrap();
    // It does not run any more.
    let said = format!("{:#}", lab.apply(find("vswitchd-stop")).unwrap_err());
    assert_eq!(said, "cannot bring about `vswitchd-stop`: ovs-vswitchd does not run");
    let said = format!("{:#}", lab.apply(find("flows-wiped")).unwrap_err());
    assert!(said.contains("`ovs-ofctl del-flows") && said.contains("in the node failed"), "{said}");
    lab.undo(find("vswitchd-kill")).unwrap();
    let said = format!("{:#}", lab.undo(find("vswitchd-kill")).unwrap_err());
    assert_eq!(said, "cannot undo `vswitchd-kill`: ovs-vswitchd runs already");
}

/// Not a test of its own: what [`nothing_survives_a_kill`] kills.
#[test]
#[ignore = "waits to be killed"]
fn holds_a_lab() {
    // A daemon that another thread started, which is gone, dies no sooner and no later than the others.
    let mut lab = OvsLab::new(Kind::Ovs).unwrap();
    let restart = Kind::Ovs.events().next().unwrap();
    std::thread::scope(|scope| scope.spawn(|| lab.apply(restart).and_then(|()| lab.undo(restart))).join())
        .unwrap()
        .unwrap();
    let traces = Traces::of(&lab);
    let inodes: Vec<String> = traces.inodes.iter().map(u32::to_string).collect();
    let pids = DAEMONS.iter().filter_map(|daemon| lab.pid(*daemon)).map(|pid| format!("/proc/{pid}/exe"));
    println!(
        "\nlab {} {} {}",
        traces.directories[0].display(),
        inodes.join(" "),
        Vec::from_iter(pids).join(" ")
    );
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn nothing_survives_a_kill() {
    if cannot_run(Kind::Ovs) {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_lab", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|l| l.unwrap().strip_prefix("lab ").map(str::to_owned)).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let traces = Traces {
        directories: vec![words[0].into()],
        inodes: words[1..4].iter().map(|n| n.parse().unwrap()).collect(),
        processes: words[4..].iter().map(PathBuf::from).collect(),
    };
    assert_eq!(traces.left().len(), 3 + 2 + 1, "{:?}", traces.left());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until(PATIENCE, "everything of a killed process is gone", || traces.left().is_empty());
}
