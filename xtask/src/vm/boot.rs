//! One boot of a guest: QEMU without KVM, which few build machines have.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::console::{self, Verdict};

/// What is booted, and how long it may take.
pub struct Guest<'a> {
    /// The kernel's image.
    pub vmlinuz: &'a Path,
    /// The archives of the first file system, in one file.
    pub initrd: &'a Path,
    /// The scenario, by its test's name.
    pub scenario: &'a str,
    /// What it leaves behind goes here: `console.log`, and the scenario's files.
    pub out: &'a Path,
    /// More than that, and it is stopped.
    pub timeout: Duration,
    /// Its processors.
    pub processors: u8,
}

/// How a boot ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The guest's verdict, or why there is none.
    pub verdict: Verdict,
    /// From the start of QEMU to its end.
    pub took: Duration,
    /// What was said on the console.
    pub console: Vec<String>,
}

/// Memory of a guest in MiB.
const MEMORY: &str = "1024";

/// The most that comes out of a guest, in bytes. A file with a hole of that size, until the guest writes to it.
const DISK: u64 = 256 << 20;

/// Boots and waits for the end.
///
/// # Errors
/// When QEMU cannot be started or what comes out of it cannot be kept. What the guest does is no error, but its verdict.
pub fn run(guest: &Guest) -> Result<Ended> {
    if guest.out.exists() {
        fs::remove_dir_all(guest.out).with_context(|| format!("cannot remove {}", guest.out.display()))?;
    }
    fs::create_dir_all(guest.out).with_context(|| format!("cannot make {}", guest.out.display()))?;
    let disk = guest.out.join("disk");
    File::create(&disk)
        .and_then(|file| file.set_len(DISK))
        .with_context(|| format!("cannot make {}", disk.display()))?;
    let log = guest.out.join("console.log");
    let mut log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let begin = Instant::now();
    let mut qemu = Qemu::start(guest, &disk)?;
    let mut console = Vec::new();
    let mut in_time = true;
    loop {
        let left = guest.timeout.saturating_sub(begin.elapsed());
        match qemu.lines.recv_timeout(left) {
            Ok(line) => {
                writeln!(log, "{:8.3} {line}", begin.elapsed().as_secs_f64())
                    .context("cannot write console.log")?;
                console.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                in_time = false;
                break;
            }
        }
    }
    let complaint = qemu.end(in_time);
    let took = begin.elapsed();
    let mut verdict = match complaint {
        _ if !in_time => {
            let last = console::last(&console);
            Verdict::Failed(format!("not over after {} s; the last line: {last}", guest.timeout.as_secs()))
        }
        Some(complaint) => Verdict::Failed(complaint),
        None => console::verdict(&console),
    };
    if let (Err(error), Verdict::Passed) = (unpack(&disk, guest.out), &verdict) {
        verdict = Verdict::Failed(format!("{error:#}"));
    }
    fs::remove_file(&disk).with_context(|| format!("cannot remove {}", disk.display()))?;
    Ok(Ended { verdict, took, console })
}

/// The process, which ends with this value.
struct Qemu {
    child: Child,
    lines: Receiver<String>,
}

impl Qemu {
    fn start(guest: &Guest, disk: &Path) -> Result<Self> {
        // setpriv: if this process is killed, so is the guest. It becomes QEMU: the child is QEMU.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig=KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-m", MEMORY, "-smp", &guest.processors.to_string()])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-no-reboot", "-serial", "stdio", "-drive"])
            .arg(format!("if=virtio,format=raw,cache=unsafe,file={}", disk.display()))
            .arg("-kernel")
            .arg(guest.vmlinuz)
            .arg("-initrd")
            .arg(guest.initrd)
            .args(["-append", &command_line(guest.scenario)]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start qemu-system-x86_64 by setpriv: run `cargo xtask setup --vm`")?;
        let stdout = child.stdout.take().context("QEMU has no standard output")?;
        Ok(Self { child, lines: read(stdout) })
    }

    /// Waits for its end, or ends it. What it complains of, if it failed by itself.
    fn end(&mut self, by_itself: bool) -> Option<String> {
        if !by_itself {
            let _ = self.child.kill();
        }
        let status = self.child.wait();
        let mut complaint = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut complaint);
        }
        match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("QEMU: {status}: {}", complaint.trim())),
            Err(error) => Some(format!("cannot wait for QEMU: {error}")),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail if it is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel hands `SCENARIO` to init as a variable. It must die of its first oops, and then QEMU ends. Without
/// mitigations: they only cost time here. Without a check of the timer, which fails where QEMU is not scheduled for a while
/// (check_timer in arch/x86/kernel/apic/io_apic.c).
fn command_line(scenario: &str) -> String {
    format!("console=ttyS0 quiet panic=-1 oops=panic no_timer_check mitigations=off SCENARIO={scenario}")
}

/// The lines of the console, as they come.
fn read(console: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            if lines.send(console::clean(&line)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Unpacks the scenario's files from the archive that the guest wrote over its disk.
fn unpack(disk: &Path, out: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    let output = tar
        .args(["--no-same-owner", "-xvf"])
        .arg(disk)
        .arg("-C")
        .arg(out)
        .output()
        .context("cannot start tar")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the files that came out of the guest are not whole: {}", said.trim());
    // Its first entry is the directory itself. A disk of zeros is an empty archive.
    ensure!(!output.stdout.is_empty(), "the guest wrote no files to its disk");
    Ok(())
}
