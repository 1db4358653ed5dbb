//! Asks the kernel for a whole list by netlink, in the calling thread's network namespace.

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A socket of one netlink protocol.
pub(super) struct Asker(Socket);

impl Asker {
    /// For `protocol`, such as NETLINK_ROUTE.
    pub(super) fn new(protocol: isize) -> io::Result<Asker> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        Ok(Asker(socket))
    }

    /// Sends a dump request of type `kind` and hands every answer's payload to `each`.
    ///
    /// # Errors
    /// The errno that the kernel answered with, such as ENOENT for a family of sockets that it cannot list.
    pub(super) fn dump(&self, kind: u16, request: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut bytes = vec![0; HEADER + request.len()];
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length((HEADER + request.len()) as u32);
        header.set_message_type(kind);
        header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        header.payload_mut().copy_from_slice(request);
        self.0.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        loop {
            let (bytes, _) = self.0.recv_from_full()?;
            if take(&bytes, each)? == End::Reached {
                return Ok(());
            }
        }
    }
}

/// Was this the last datagram of a dump?
#[derive(Debug, PartialEq, Eq)]
enum End {
    Reached,
    NotYet,
}

/// Takes one datagram apart. Its messages start at multiples of four bytes (`NLMSG_ALIGN`).
fn take(datagram: &[u8], each: &mut dyn FnMut(&[u8])) -> io::Result<End> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let broken = |e| io::Error::other(format!("netlink sent what cannot be read: {e}"));
        let message = NetlinkBuffer::new_checked(rest).map_err(broken)?;
        match message.message_type() {
            NLMSG_ERROR | NLMSG_DONE => {
                // Both start with 0 or a negative errno (`netlink_ack`, `netlink_dump_done`).
                let code = message.payload().first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return if code < 0 { Err(io::Error::from_raw_os_error(-code)) } else { Ok(End::Reached) };
            }
            _ => each(message.payload()),
        }
        rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(End::NotYet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + payload.len()];
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length((HEADER + payload.len()) as u32);
        header.set_message_type(kind);
        header.payload_mut().copy_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_taken_apart() {
        let mut taken = Vec::new();
        let two = [message(20, b"first"), message(20, b"second!")].concat();
        assert_eq!(take(&two, &mut |payload| taken.push(payload.to_vec())).unwrap(), End::NotYet);
        let last = [message(20, b"third"), message(NLMSG_DONE, &0i32.to_ne_bytes())].concat();
        assert_eq!(take(&last, &mut |payload| taken.push(payload.to_vec())).unwrap(), End::Reached);
        assert_eq!(taken, [&b"first"[..], b"second!", b"third"]);
    }

    #[test]
    fn an_errno_and_a_broken_message_are_errors() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let refused = message(kind, &(-libc::ENOENT).to_ne_bytes());
            assert_eq!(take(&refused, &mut |_| ()).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        }
        assert!(take(&message(20, b"cut short")[..20], &mut |_| ()).is_err());
        assert!(take(&[1, 2, 3], &mut |_| ()).is_err());
    }
}
