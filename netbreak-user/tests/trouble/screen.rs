//! `netbreak watch` on a terminal: it takes the screen, and gives it back as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, SpecialCodeIndex, Termios, tcgetattr};

use crate::support::{NETBREAK, PATIENCE, skipped, text, wait_until};

/// A terminal: what a person has, and what a program has.
fn terminal() -> (File, OwnedFd) {
    let (mut person, mut program) = (0, 0);
    let size = libc::winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let none: *mut libc::c_char = std::ptr::null_mut();
    // SAFETY: two integers to write to, no name, no modes, and a size to read.
    let made = unsafe { libc::openpty(&mut person, &mut program, none, none.cast(), &raw const size as _) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were opened just now, for us alone.
    unsafe { (File::from_raw_fd(person), OwnedFd::from_raw_fd(program)) }
}

/// What a screen of ours changes.
fn modes(terminal: &OwnedFd) -> (LocalModes, Vec<u8>) {
    let Termios { local_modes, special_codes, .. } = tcgetattr(terminal).unwrap();
    let codes =
        [SpecialCodeIndex::VMIN, SpecialCodeIndex::VTIME, SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT];
    (local_modes, codes.map(|index| special_codes[index]).to_vec())
}

/// Watches on a terminal, sorts, filters, pauses, until `end` has been done; what was on the screen.
fn watch(end: impl Fn(&mut File, Pid)) -> String {
    let (mut person, program) = terminal();
    let before = modes(&program);
    let end_of = || Stdio::from(program.try_clone().unwrap());
    let mut command = Command::new(NETBREAK);
    command.args(["watch", "--address", "192.0.2.1"]).stdin(end_of()).stdout(end_of());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let (to, screen) = mpsc::channel();
    let mut reader = person.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut bytes) {
            let _ = to.send(text(&bytes[..read]));
        }
    });
    let until = Instant::now() + PATIENCE;
    let mut shown = String::new();
    let mut show_until = |words: &str| {
        while !shown.contains(words) {
            let left = until.saturating_duration_since(Instant::now());
            shown += &screen.recv_timeout(left).unwrap_or_else(|e| panic!("{e}: {shown}"));
        }
        shown.clone()
    };
    show_until("q quit");
    assert_ne!(modes(&program), before, "keys would have to be followed by Enter");
    // In a filter `q` is a letter.
    person.write_all(b"s/qq\r").unwrap();
    show_until("filter: qq (0 of 0 rows)");
    person.write_all(b"\x1b[B\r\x1bp").unwrap();
    show_until("PAUSED");
    end(&mut person, Pid::from_child(&child));
    wait_until(PATIENCE, "netbreak ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(modes(&program), before);
    show_until("retransmitted; ")
}

#[test]
fn the_terminal_is_as_it_was_however_it_ends() {
    if skipped(&[]) {
        return;
    }
    type End = fn(&mut File, Pid);
    let ends: [(&str, End); 3] = [
        ("q", |person, _| person.write_all(b"q").unwrap()),
        ("SIGINT", |_, pid| kill_process(pid, Signal::INT).unwrap()),
        ("SIGTERM", |_, pid| kill_process(pid, Signal::TERM).unwrap()),
    ];
    for (name, end) in ends {
        let shown = watch(end);
        let (screen, after) = shown.rsplit_once("\x1b[?1049l").unwrap_or_else(|| panic!("{name}: {shown}"));
        assert!(
            screen.starts_with("\x1b[?1049h\x1b[?25l") && screen.ends_with("\x1b[?25h"),
            "{name}: {shown}"
        );
        assert!(after.contains("0 packets dropped"), "{name}: {shown}");
        assert!(screen.contains("by total"), "{name}: {shown}");
    }
}
