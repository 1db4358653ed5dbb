//! Asks for what is only to be had by netlink, in the calling thread's network namespace. It takes no privilege.

use std::collections::BTreeMap;
use std::io;

use netlink_sys::protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG};

use super::netlink::Asker;
use super::sockets::{BY_FAMILY, MOST};
use super::{Place, Qdisc, SocketKind, Sockets, qdisc};
use crate::netns;

/// The queues of all devices; or why they cannot be read.
pub(super) fn qdiscs() -> Result<BTreeMap<Place, Qdisc>, String> {
    let devices: BTreeMap<u32, String> = netns::devices_here().into_iter().collect();
    let name = |ifindex| devices.get(&ifindex).cloned().unwrap_or_else(|| format!("if{ifindex}"));
    let mut found = BTreeMap::new();
    Asker::new(NETLINK_ROUTE)
        .and_then(|asker| {
            asker.dump(qdisc::GET_QDISC, &qdisc::REQUEST, &mut |message| {
                found.extend(qdisc::parse(message, name));
            })
        })
        .map_err(|e| format!("{e} (RTM_GETQDISC)"))?;
    Ok(found)
}

/// The sockets of one kind that dropped packets; or why they cannot be read.
pub(super) fn sockets(kind: SocketKind) -> Result<Sockets, String> {
    let explain = |e: io::Error| match e.raw_os_error() {
        // `__sock_diag_cmd` and `inet_diag_handler` in net: nobody has registered for them.
        Some(libc::ENOENT | libc::EPROTONOSUPPORT | libc::EINVAL) => {
            format!("this kernel cannot list them: `modprobe {}` may help", kind.module())
        }
        _ => format!("{e} (sock_diag)"),
    };
    let asker = Asker::new(NETLINK_SOCK_DIAG).map_err(explain)?;
    let mut found = Sockets::default();
    for request in kind.requests() {
        asker.dump(BY_FAMILY, &request, &mut |message| found.take(kind, message)).map_err(explain)?;
    }
    if found.is_full() {
        return Err(format!("more than {MOST} of them dropped packets"));
    }
    Ok(found)
}
