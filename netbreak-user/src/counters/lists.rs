//! Asks for what is only to be had by netlink, in the calling thread's network namespace. It takes no privilege.

use std::collections::BTreeMap;
use std::io;

use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE, NETLINK_SOCK_DIAG};

use super::datapath::{self, Datapath, Families};
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

/// The families of openvswitch; `None` where it is not loaded.
pub(super) fn families() -> Result<Option<Families>, String> {
    let mut found: BTreeMap<String, u16> = BTreeMap::new();
    Asker::new(NETLINK_GENERIC)
        .and_then(|asker| {
            asker.dump(datapath::CONTROL, &datapath::FAMILIES, &mut |message| {
                found.extend(datapath::family(message));
            })
        })
        .map_err(|e| format!("{e} (CTRL_CMD_GETFAMILY)"))?;
    let numbers = found.get("ovs_datapath").zip(found.get("ovs_vport"));
    Ok(numbers.map(|(datapath, port)| Families { datapath: *datapath, port: *port }))
}

/// The datapaths of Open vSwitch; or why they cannot be read. `sockets` is the text of `/proc/net/netlink`.
pub(super) fn datapaths(
    families: Families,
    sockets: impl FnOnce() -> String,
) -> Result<BTreeMap<String, Datapath>, String> {
    let mut found: BTreeMap<String, Datapath> = BTreeMap::new();
    Asker::new(NETLINK_GENERIC)
        .and_then(|asker| {
            asker.dump(families.datapath, &datapath::request(2, 0), &mut |message| {
                found.extend(datapath::datapath(message));
            })?;
            for one in found.values_mut() {
                asker.dump(families.port, &datapath::request(1, one.ifindex), &mut |message| {
                    datapath::port(message, one);
                })?;
            }
            Ok(())
        })
        .map_err(|e| format!("{e} (generic netlink of openvswitch)"))?;
    if !found.is_empty() {
        let text = sockets();
        found.values_mut().for_each(|one| datapath::add_drops(&text, one));
    }
    Ok(found)
}
