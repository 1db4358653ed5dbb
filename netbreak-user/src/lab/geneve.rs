//! One end of a Geneve tunnel (RFC 8926) in this process, as Open vSwitch has it without a kernel module: kernels are
//! built without one too.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};

/// Where Geneve is spoken.
const PORT: u16 = 6081;
/// No options, Ethernet inside, network 77.
const HEADER: [u8; 8] = [0, 0, 0x65, 0x58, 0, 0, 77, 0];

/// Makes the TAP device `name` in the calling thread's namespace. What it sends goes to `remote`, wrapped; what comes from
/// there comes in by it. Both end when the result is dropped.
pub(super) fn open(name: &str, local: Ipv4Addr, remote: Ipv4Addr) -> io::Result<OwnedFd> {
    let tap = tap(name)?;
    let socket = UdpSocket::bind((local, PORT))?;
    socket.connect((remote, PORT))?;
    let (ours, theirs) = UnixStream::pair()?;
    // It ends with the other end of its stream, or with what it cannot read any more.
    std::thread::Builder::new().name("geneve".to_owned()).spawn(move || carry(tap, &socket, &theirs))?;
    Ok(ours.into())
}

fn tap(name: &str) -> io::Result<File> {
    let tap = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: an `ifreq` of zeros is valid: it has only numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, and the request is an `ifreq` that outlives the call.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 { Ok(tap) } else { Err(io::Error::last_os_error()) }
}

/// Carries frames both ways until `end` closes.
fn carry(mut tap: File, socket: &UdpSocket, end: &UnixStream) -> io::Result<()> {
    let mut packet = [0; 2048];
    packet[..HEADER.len()].copy_from_slice(&HEADER);
    loop {
        let [out, back, over] = {
            let wait = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let mut ready = [wait(tap.as_fd()), wait(socket.as_fd()), wait(end.as_fd())];
            poll(&mut ready, None)?;
            ready.map(|fd| !fd.revents().is_empty())
        };
        if over {
            return Ok(());
        }
        if out {
            let length = tap.read(&mut packet[HEADER.len()..])?;
            // A link address of one: what is for all is kept, as where a controller knows every neighbour.
            if packet[HEADER.len()] & 1 == 0 {
                // What the network refuses to take is lost, as it is in any network.
                let _ = socket.send(&packet[..HEADER.len() + length]);
            }
        }
        if back && let Ok(length) = socket.recv(&mut packet) {
            let _ = tap.write(packet.get(HEADER.len()..length).unwrap_or_default());
        }
    }
}
