//! What Open vSwitch's kernel datapath counted, by generic netlink: the kernel's own numbers, which need no ovs-vswitchd
//! and survive it.

use std::collections::BTreeMap;

use netlink_packet_core::NlasIterator;

/// `GENL_ID_CTRL`: whom to ask which families there are.
pub(super) const CONTROL: u16 = 0x10;
/// `CTRL_CMD_GETFAMILY` of all of them: a dump loads no module.
pub(super) const FAMILIES: [u8; GENERIC] = [3, 2, 0, 0];
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// Lengths of `struct genlmsghdr` and of it with `struct ovs_header`.
const GENERIC: usize = 4;
const HEADER: usize = 8;

/// Attributes of `enum ovs_datapath_attr` (include/uapi/linux/openvswitch.h).
const OVS_DP_ATTR_NAME: u16 = 1;
const OVS_DP_ATTR_STATS: u16 = 3;
const OVS_DP_ATTR_PER_CPU_PIDS: u16 = 8;
/// Attributes of `enum ovs_vport_attr`.
const OVS_VPORT_ATTR_NAME: u16 = 3;
const OVS_VPORT_ATTR_UPCALL_PID: u16 = 5;
const OVS_VPORT_ATTR_UPCALL_STATS: u16 = 10;
/// Attributes of `enum ovs_vport_upcall_attr`.
const OVS_VPORT_UPCALL_ATTR_SUCCESS: u16 = 1;
const OVS_VPORT_UPCALL_ATTR_FAIL: u16 = 2;

/// The numbers that this kernel gave to the families of openvswitch; the same in every namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Families {
    pub datapath: u16,
    pub port: u16,
}

/// One datapath.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datapath {
    /// The index of its own device.
    pub ifindex: u32,
    /// Packets that found a flow.
    pub hit: u64,
    /// Packets that found none: ovs-vswitchd was to be asked.
    pub missed: u64,
    /// Upcalls that failed (`ovs_dp_upcall`), those that a flow asked for too.
    pub lost: u64,
    /// Flows that there are now.
    pub flows: u64,
    /// What its ports count of upcalls, by their names. Linux 6.2 and later; else they are not here.
    pub ports: BTreeMap<String, Upcalls>,
    /// What the sockets that it asks dropped, by their netlink port numbers; one that is not here any more is closed.
    pub handlers: BTreeMap<u32, u64>,
}

/// Upcalls of one port. Those without a handler (ENOTCONN) are in neither (`ovs_dp_upcall`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upcalls {
    /// ovs-vswitchd has a copy.
    pub handed: u64,
    /// It could not be handed over.
    pub failed: u64,
}

impl Datapath {
    /// What was counted since `before`, which is `None` if it was not there. `None` when a counter went back: it was
    /// re-created under the same name.
    pub fn since(&self, before: Option<&Datapath>) -> Option<Datapath> {
        let Some(before) = before else { return Some(self.clone()) };
        let port = |(name, after): (&String, &Upcalls)| {
            let before = before.ports.get(name).copied().unwrap_or_default();
            // It was made anew.
            let since = |after: u64, before: u64| after.checked_sub(before).unwrap_or(after);
            let upcalls = Upcalls {
                handed: since(after.handed, before.handed),
                failed: since(after.failed, before.failed),
            };
            (name.clone(), upcalls)
        };
        let handler = |(number, drops): (&u32, &u64)| {
            let before = before.handlers.get(number).copied().unwrap_or_default();
            (*number, drops.saturating_sub(before))
        };
        Some(Datapath {
            hit: self.hit.checked_sub(before.hit)?,
            missed: self.missed.checked_sub(before.missed)?,
            lost: self.lost.checked_sub(before.lost)?,
            ports: self.ports.iter().map(port).collect(),
            handlers: self.handlers.iter().map(handler).collect(),
            ..self.clone()
        })
    }
}

/// (name, number) of a family, from an answer to [`FAMILIES`].
pub(super) fn family(message: &[u8]) -> Option<(String, u16)> {
    let (mut name, mut number) = (None, None);
    for attribute in NlasIterator::new(message.get(GENERIC..)?).flatten() {
        match attribute.kind() {
            CTRL_ATTR_FAMILY_NAME => name = Some(text(attribute.value())),
            CTRL_ATTR_FAMILY_ID => number = attribute.value().first_chunk().copied().map(u16::from_ne_bytes),
            _ => {}
        }
    }
    name.zip(number)
}

/// Asks for all datapaths (`OVS_DP_CMD_GET`, version 2), or for all ports of the one with this device's index
/// (`OVS_VPORT_CMD_GET`, version 1).
pub(super) fn request(version: u8, ifindex: u32) -> [u8; HEADER] {
    const GET: u8 = 3;
    let [a, b, c, d] = ifindex.to_ne_bytes();
    [GET, version, 0, 0, a, b, c, d]
}

/// (name, datapath), its handlers without their drops.
pub(super) fn datapath(message: &[u8]) -> Option<(String, Datapath)> {
    let ifindex = word(message.get(GENERIC..)?)?;
    let (mut name, mut found) = (None, Datapath { ifindex, ..Datapath::default() });
    for attribute in NlasIterator::new(message.get(HEADER..)?).flatten() {
        let value = attribute.value();
        match attribute.kind() {
            OVS_DP_ATTR_NAME => name = Some(text(value)),
            OVS_DP_ATTR_STATS => {
                // `struct ovs_dp_stats`
                let number = |index: usize| long(value.get(index * 8..)?);
                (found.hit, found.missed) = (number(0)?, number(1)?);
                (found.lost, found.flows) = (number(2)?, number(3)?);
            }
            OVS_DP_ATTR_PER_CPU_PIDS => found.handlers.extend(handlers(value)),
            _ => {}
        }
    }
    Some((name?, found))
}

/// A port's name, what it counts of upcalls, and its handlers: into its datapath.
pub(super) fn port(message: &[u8], datapath: &mut Datapath) -> Option<()> {
    let (mut name, mut upcalls) = (None, None);
    for attribute in NlasIterator::new(message.get(HEADER..)?).flatten() {
        let value = attribute.value();
        match attribute.kind() {
            OVS_VPORT_ATTR_NAME => name = Some(text(value)),
            OVS_VPORT_ATTR_UPCALL_PID => datapath.handlers.extend(handlers(value)),
            OVS_VPORT_ATTR_UPCALL_STATS => {
                let found: &mut Upcalls = upcalls.insert(Upcalls::default());
                for inner in NlasIterator::new(value).flatten() {
                    match inner.kind() {
                        OVS_VPORT_UPCALL_ATTR_SUCCESS => found.handed = long(inner.value())?,
                        OVS_VPORT_UPCALL_ATTR_FAIL => found.failed = long(inner.value())?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    datapath.ports.extend(name.zip(upcalls));
    Some(())
}

/// Netlink port numbers; 0 = there is no handler.
fn handlers(value: &[u8]) -> impl Iterator<Item = (u32, u64)> {
    value.chunks_exact(4).filter_map(word).filter(|number| *number != 0).map(|number| (number, 0))
}

/// Enters what the handlers' sockets dropped, from `/proc/net/netlink`; those that are not in it are closed, and left out.
///
/// Columns: address, protocol, port number, groups, memory (two), dump, references, drops, inode (`netlink_seq_show`).
pub(super) fn add_drops(text: &str, datapath: &mut Datapath) {
    const GENERIC_PROTOCOL: &str = "16";
    let mut drops: BTreeMap<u32, u64> = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, GENERIC_PROTOCOL, number, _, _, _, _, _, dropped, ..] = columns[..] else { continue };
        if let (Ok(number), Ok(dropped)) = (number.parse::<u32>(), dropped.parse()) {
            drops.insert(number, dropped);
        }
    }
    datapath
        .handlers
        .retain(|number, dropped| drops.get(number).inspect(|found| *dropped = **found).is_some());
}

/// A string with a NUL at its end.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

fn long(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(header: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
        [header, &attributes.concat()[..]].concat()
    }

    fn numbers<T: IntoIterator<Item = u64>>(numbers: T) -> Vec<u8> {
        numbers.into_iter().flat_map(u64::to_ne_bytes).collect()
    }

    #[test]
    fn families_have_a_name_and_a_number() {
        let bytes = message(
            &[1, 2, 0, 0],
            &[attribute(CTRL_ATTR_FAMILY_NAME, b"ovs_datapath\0"), attribute(CTRL_ATTR_FAMILY_ID, &[33, 0])],
        );
        assert_eq!(family(&bytes), Some(("ovs_datapath".to_owned(), 33)));
        assert_eq!(family(&bytes[..2]), None);
    }

    #[test]
    fn a_datapath_its_ports_and_their_sockets_are_read() {
        let header = [&[1, 2, 0, 0][..], &7u32.to_ne_bytes()].concat();
        let bytes = message(
            &header,
            &[
                attribute(OVS_DP_ATTR_NAME, b"ovs-system\0"),
                attribute(OVS_DP_ATTR_STATS, &numbers([212, 65, 3, 9])),
                attribute(OVS_DP_ATTR_PER_CPU_PIDS, &[5, 0, 0, 0, 0, 0, 0, 0]),
            ],
        );
        let (name, mut found) = datapath(&bytes).unwrap();
        assert_eq!((name.as_str(), found.ifindex), ("ovs-system", 7));
        assert_eq!((found.hit, found.missed, found.lost, found.flows), (212, 65, 3, 9));
        let upcalls = [
            attribute(OVS_VPORT_UPCALL_ATTR_SUCCESS, &numbers([60])),
            attribute(OVS_VPORT_UPCALL_ATTR_FAIL, &numbers([5])),
        ];
        let bytes = message(
            &header,
            &[
                attribute(OVS_VPORT_ATTR_NAME, b"ovn0\0"),
                attribute(OVS_VPORT_ATTR_UPCALL_PID, &6u32.to_ne_bytes()),
                attribute(OVS_VPORT_ATTR_UPCALL_STATS, &upcalls.concat()),
            ],
        );
        port(&bytes, &mut found).unwrap();
        assert_eq!(found.ports["ovn0"], Upcalls { handed: 60, failed: 5 });
        add_drops(
            "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
             0000000000000000 16  5          00000000 0        0        0     2        41       20\n\
             0000000000000000 0   6          00000000 0        0        0     2        3        21\n",
            &mut found,
        );
        assert_eq!(found.handlers, [(5, 41)].into(), "6 is closed: the other one is of another protocol");
    }

    #[test]
    fn differences_survive_other_ports_and_sockets() {
        let upcalls = |handed, failed| Upcalls { handed, failed };
        let before = Datapath {
            hit: 10,
            missed: 5,
            lost: 1,
            flows: 4,
            ports: [("a".to_owned(), upcalls(4, 1)), ("gone".to_owned(), upcalls(9, 9))].into(),
            handlers: [(5, 2)].into(),
            ifindex: 7,
        };
        let after = Datapath {
            hit: 30,
            missed: 9,
            lost: 4,
            flows: 0,
            ports: [("a".to_owned(), upcalls(5, 3)), ("new".to_owned(), upcalls(2, 0))].into(),
            handlers: [(5, 6), (8, 1)].into(),
            ifindex: 7,
        };
        let since = after.since(Some(&before)).unwrap();
        assert_eq!((since.hit, since.missed, since.lost, since.flows), (20, 4, 3, 0));
        assert_eq!(since.ports, [("a".to_owned(), upcalls(1, 2)), ("new".to_owned(), upcalls(2, 0))].into());
        assert_eq!(since.handlers, [(5, 4), (8, 1)].into());
        assert_eq!(before.since(Some(&after)), None);
        assert_eq!(after.since(None), Some(after));
    }
}
