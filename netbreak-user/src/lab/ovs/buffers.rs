//! The packet sockets by which a switch receives.

use std::fs;
use std::os::fd::RawFd;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::net::{AddressFamily, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// What a socket shall keep for a switch that waits for the processor: some 5,000 packets, a second's worth of many probes. By
/// default it keeps 250 (`net.core.rmem_default`, which a namespace cannot change).
const BYTES: usize = 4 << 20;

/// Enlarges the buffers of all packet sockets of this process. Needs CAP_NET_ADMIN and leave to trace the process.
pub(super) fn enlarge(pid: u32) -> Result<()> {
    let failed = || format!("cannot enlarge the packet sockets of pid {pid}");
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(failed)?;
    let process = pidfd_open(process, PidfdFlags::empty()).with_context(failed)?;
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).with_context(failed)? {
        let Some(fd) = entry.with_context(failed)?.file_name().to_str().and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let fd: RawFd = fd;
        // Those that are no sockets, and those that were closed meanwhile, are none of ours.
        let socket = match pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => continue,
            other => other.with_context(failed)?,
        };
        if sockopt::socket_domain(&socket) == Ok(AddressFamily::PACKET) {
            sockopt::set_socket_recv_buffer_size_force(&socket, BYTES).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    #[test]
    fn only_packet_sockets_are_enlarged() {
        // Without root there is none to be had.
        let Ok(packets) = Socket::new(Domain::PACKET, Type::RAW, None) else { return };
        let other = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        let before = other.recv_buffer_size().unwrap();
        enlarge(std::process::id()).unwrap();
        // The kernel doubles it, for its own use (`__sock_set_rcvbuf`).
        assert_eq!(packets.recv_buffer_size().unwrap(), 2 * BYTES);
        assert_eq!(other.recv_buffer_size().unwrap(), before);
    }
}
