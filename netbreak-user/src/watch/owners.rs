//! Who reads packet sockets and TAP devices: a packet that such a process has read is nowhere in the kernel.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use super::scan;
use crate::netns::Namespace;

/// Open files that are looked at: it bounds the time (about two microseconds each). Daemons of interest come first.
const MOST_FILES: usize = 200_000;

/// A process that takes packets out of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Its name (`comm`).
    pub name: String,
    /// Its number.
    pub pid: u32,
}

/// The owners at one moment. A device without one has none, or it may not be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of packet sockets, by namespace (inode number) and device; index 0 = they take from all devices.
    pub packet_sockets: BTreeMap<(u32, u32), Vec<Owner>>,
    /// Of TAP and TUN devices, by the owner's namespace and the device's name.
    pub taps: BTreeMap<(u32, String), Owner>,
}

impl Owners {
    /// Looks into `namespaces`, and into the open files of processes until every packet socket's owner is found. Takes
    /// CAP_SYS_PTRACE; what cannot be seen has no owner here.
    pub fn find(namespaces: &[Namespace]) -> Owners {
        let mut sockets: HashMap<u64, (u32, u32)> = HashMap::new();
        for namespace in namespaces {
            // The thread's own file: `/proc/net` would be the main thread's namespace.
            let text = namespace.run(|| fs::read_to_string("/proc/thread-self/net/packet"));
            if let Ok(Ok(text)) = text {
                sockets.extend(parse(&text).map(|(inode, ifindex)| (inode, (namespace.inode(), ifindex))));
            }
        }
        let mut owners = Owners::default();
        let mut files = MOST_FILES;
        let (daemons, others): (Vec<u32>, Vec<u32>) =
            scan::listed().unwrap_or_default().into_iter().partition(|pid| scan::is_daemon(&name(*pid)));
        for pid in daemons {
            owners.look_at(pid, &mut sockets, &mut files);
        }
        for pid in others {
            if sockets.is_empty() || files == 0 {
                break;
            }
            owners.look_at(pid, &mut sockets, &mut files);
        }
        owners
    }

    /// Takes the sockets of one process out of `sockets`.
    fn look_at(&mut self, pid: u32, sockets: &mut HashMap<u64, (u32, u32)>, files: &mut usize) {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return };
        for file in open.flatten().take(*files) {
            *files -= 1;
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let owner = || Owner { name: name(pid), pid };
            if target == "/dev/net/tun" {
                let info = format!("/proc/{pid}/fdinfo/{}", file.file_name().to_string_lossy());
                let device = fs::read_to_string(info).ok().and_then(|text| device_of_tap(&text));
                if let Some((device, netns)) = device.zip(scan::netns(pid)) {
                    self.taps.insert((netns, device), owner());
                }
            } else if let Some(place) = inode(&target).and_then(|inode| sockets.remove(&inode)) {
                let known = self.packet_sockets.entry(place).or_default();
                // One process may have a socket a queue.
                if !known.contains(&owner()) {
                    known.push(owner());
                }
            }
        }
    }
}

fn name(pid: u32) -> String {
    scan::comm(pid).unwrap_or_default()
}

/// Inode and device of every packet socket that gets packets: `packet_seq_show` in net/packet/af_packet.c. One of
/// protocol 0 gets none (`packet_create`).
fn parse(text: &str) -> impl Iterator<Item = (u64, u32)> {
    text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.get(3).filter(|protocol| **protocol != "0000")?;
        Some((columns.get(8)?.parse().ok()?, columns.get(4)?.parse().ok()?))
    })
}

/// `socket:[4711]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// `iff:` of a file's description (`tun_chr_show_fdinfo` in drivers/net/tun.c); of one without a device it is empty.
fn device_of_tap(info: &str) -> Option<String> {
    let device = info.lines().find_map(|line| line.strip_prefix("iff:"))?.trim();
    (!device.is_empty()).then(|| device.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_socket() {
        let text = "\
sk               RefCnt Type Proto  Iface R Rmem   User   Inode
0000000000000000 3      3    0003   9     1 0      0      28415
0000000000000000 3      2    88cc   0     1 704    0      28422
0000000000000000 3      3    0000   0     0 0      0      28430
";
        assert_eq!(parse(text).collect::<Vec<_>>(), [(28415, 9), (28422, 0)]);
        assert_eq!(parse("").count(), 0);
        assert_eq!((inode("socket:[7]"), inode("pipe:[7]")), (Some(7), None));
    }

    #[test]
    fn a_tap_file_names_its_device() {
        assert_eq!(device_of_tap("pos:\t0\nflags:\t02\niff:\tovn0\n").as_deref(), Some("ovn0"));
        assert_eq!(device_of_tap("pos:\t0\niff:\t\n"), None);
        assert_eq!(device_of_tap("pos:\t0\n"), None);
    }
}
