//! Sockets that take nothing more, and sockets that take a copy of everything.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::SERVER_V4;

/// Fills the smallest receive buffer with the smallest datagrams, so that none fits any more, of whatever size.
/// Says how many of ours were refused meanwhile.
pub(super) fn full_buffer(port: u16) -> Result<(OwnedFd, u64)> {
    const ENOUGH: u64 = 64;
    let socket = UdpSocket::bind((SERVER_V4, port))?;
    SockRef::from(&socket).set_recv_buffer_size(0)?;
    socket.set_nonblocking(true)?;
    let sender = UdpSocket::bind((SERVER_V4, 0))?;
    // Loopback delivers before send returns: what does not fit is gone already.
    let fill = || (0..ENOUGH).try_for_each(|_| sender.send_to(b"x", (SERVER_V4, port)).map(drop));
    fill()?;
    let mut fits = 0;
    while socket.recv(&mut [0; 16]).is_ok() {
        fits += 1;
    }
    ensure!(fits < ENOUGH, "{ENOUGH} datagrams fit into the smallest receive buffer");
    fill()?;
    Ok((socket.into(), 2 * (ENOUGH - fits)))
}

/// A queue of length 0 takes one connection (`sk_acceptq_is_full` in include/net/sock.h), which stays in it.
pub(super) fn full_accept_queue(port: u16) -> io::Result<[OwnedFd; 2]> {
    let listener = listen(port)?;
    Ok([listener.into(), TcpStream::connect((SERVER_V4, port))?.into()])
}

/// A queue of length 0 takes one SYN at the most (`inet_csk_reqsk_queue_is_full` in include/net/inet_connection_sock.h),
/// which stays in it while its SYN-ACK does not arrive.
pub(super) fn full_syn_queue(port: u16) -> io::Result<[OwnedFd; 2]> {
    let listener = listen(port)?;
    let client = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    match client.connect(&SocketAddr::from((SERVER_V4, port)).into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
        Ok(()) => return Err(io::Error::other("the handshake came to its end")),
    }
    Ok([listener.into(), client.into()])
}

fn listen(port: u16) -> io::Result<Socket> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((SERVER_V4, port)).into())?;
    listener.listen(0)?;
    Ok(listener)
}

/// A packet socket gets a copy of all packets of all devices of the calling thread's namespace, both ways. Its buffer is
/// the smallest one: most copies are freed as dropped.
pub(super) fn packets() -> io::Result<OwnedFd> {
    let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all))?;
    socket.set_recv_buffer_size(0)?;
    Ok(socket.into())
}
