//! Sockets as all probes open them, and the ICMP errors that the kernel queues for them.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::spec::{PrepareError, Spec};
use super::{FlowRegistry, Owner, ProbeFlow};

/// A non-blocking socket that has `spec`'s device and fragmentation, this source (`None` = the kernel's choice), and a queue of ICMP errors. It is bound,
/// so that it has a port (where there are ports) before its first packet leaves.
pub(super) fn open(
    spec: &Spec,
    source: Option<IpAddr>,
    kind: Type,
    protocol: Protocol,
) -> Result<Socket, PrepareError> {
    let (probe, address) = (spec.kind, spec.address);
    let other = |source| PrepareError::Socket { kind: probe, address, source };
    let socket =
        Socket::new_raw(Domain::for_address(spec.remote()), kind.nonblocking().cloexec(), Some(protocol))
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EPERM) if kind == Type::RAW => PrepareError::NoRawSockets { address },
                _ => other(source),
            })?;
    queue_icmp_errors(&socket, spec.address, true).map_err(other)?;
    if spec.dont_fragment {
        forbid_fragments(&socket, spec.address).map_err(other)?;
    }
    if let Some(interface) = &spec.interface {
        socket.bind_device(Some(interface.as_bytes())).map_err(|source| PrepareError::Interface {
            kind: probe,
            address,
            interface: interface.clone(),
            source,
        })?;
    }
    let from = source.unwrap_or(match spec.address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    });
    socket.bind(&SocketAddr::new(from, 0).into()).map_err(|source| PrepareError::Source {
        kind: probe,
        address,
        from,
        source,
    })?;
    Ok(socket)
}

/// The port that the kernel gave.
pub(super) fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    address.map(|address| address.port()).ok_or_else(|| io::Error::other("the socket has no IP address"))
}

/// Asks for (or ends) the queue of ICMP errors, `IP_RECVERR` of ip(7). With it on, an ICMP error fails the next call on
/// an established TCP connection, which TCP would otherwise survive: so it is off again after the connect.
pub(super) fn queue_icmp_errors(socket: &Socket, remote: IpAddr, on: bool) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => set(socket, libc::SOL_IP, libc::IP_RECVERR, i32::from(on)),
        IpAddr::V6(_) => set(socket, libc::SOL_IPV6, libc::IPV6_RECVERR, i32::from(on)),
    }
}

fn forbid_fragments(socket: &Socket, remote: IpAddr) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => set(socket, libc::SOL_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
        IpAddr::V6(_) => {
            set(socket, libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
            set(socket, libc::SOL_IPV6, libc::IPV6_DONTFRAG, 1)
        }
    }
}

/// `setsockopt` with any plain value.
pub(super) fn set<T: Copy>(socket: &Socket, level: i32, name: i32, value: T) -> io::Result<()> {
    // SAFETY: pointer and length are those of `value`, which lives through the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Room for the control messages of one queued error: `sock_extended_err` and the offender's address, with headers.
const CONTROL_LEN: usize = 256;

#[repr(align(8))]
struct Control([u8; CONTROL_LEN]);

/// Takes the next ICMP error from the socket's queue: the errno that the kernel made of it, and how many bytes of
/// `quoted` now hold our packet as the error quotes it (from the ICMP header on for icmp, the payload for udp).
/// Errors that the kernel queued without an ICMP message (`SO_EE_ORIGIN_LOCAL`) are passed over. `None` = empty.
pub(super) fn next_icmp_error(socket: &Socket, quoted: &mut [u8]) -> Option<(i32, usize)> {
    loop {
        let mut control = Control([0; CONTROL_LEN]);
        let mut part = libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: quoted.len() };
        // SAFETY: a msghdr of zeros is valid (no name, no parts, no control).
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = CONTROL_LEN as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: `message` points to `part` and `control`, and `part` to `quoted`, with their true lengths.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        let length = usize::try_from(length).ok()?;
        if let Some(error) = extended_error(&message)
            && matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6)
        {
            return Some((error.ee_errno as i32, length.min(quoted.len())));
        }
    }
}

fn extended_error(message: &libc::msghdr) -> Option<libc::sock_extended_err> {
    // SAFETY: the kernel filled `message`; CMSG_FIRSTHDR and CMSG_NXTHDR stay within its control buffer.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: as above; the pointer is null or points to a whole header.
    while let Some(control) = unsafe { header.as_ref() } {
        if matches!(
            (control.cmsg_level, control.cmsg_type),
            (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
        ) {
            // SAFETY: the kernel puts a whole `sock_extended_err` first in this message (`ip_recv_error`); it may lie
            // unaligned.
            return Some(unsafe {
                libc::CMSG_DATA(header).cast::<libc::sock_extended_err>().read_unaligned()
            });
        }
        // SAFETY: `header` is one of this message's headers.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// A flow that the kernel side knows for as long as this lives.
pub(super) struct Registered {
    registry: Arc<dyn FlowRegistry>,
    flow: ProbeFlow,
}

impl Registered {
    /// Makes `flow` known; `None` = it is that of another probe.
    pub(super) fn new(registry: &Arc<dyn FlowRegistry>, flow: ProbeFlow, owner: Owner) -> Option<Registered> {
        registry.register(flow, owner).then(|| Registered { registry: Arc::clone(registry), flow })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.forget(self.flow);
    }
}

/// Bytes of receive buffer that a probe wants: some seconds of replies at thousands a second, so that a pause of our
/// process does not look like loss.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Enlarges the receive buffer as far as we may: beyond `net.core.rmem_max` with CAP_NET_ADMIN. A smaller one is no error.
pub(super) fn make_room(socket: &Socket) {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER / 2).is_err() {
        // Fails for no value: the kernel caps it (`sock_setsockopt`).
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER / 2);
    }
}
