//! Every network namespace of the machine, with a name for people.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{NAMED, current};

/// Inode number of the machine's first network namespace from Linux 6.18 on (`NET_NS_INIT_INO` in
/// include/uapi/linux/nsfs.h); before, it had any number.
const INITIAL: u32 = 0xEFFF_FFF9;

/// Inode number of the first namespace of processes, in which PID 1 is the machine's own (`PROC_PID_INIT_INO` in
/// include/linux/proc_ns.h).
const INITIAL_PROCESSES: u32 = 0xEFFF_FFFC;

/// A namespace that some name or process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Inode number.
    pub inode: u32,
    /// For people: its name in `ip netns`, else `host`, else `pid N (command)`.
    pub name: String,
    /// What to open.
    pub path: PathBuf,
}

/// Every namespace that has a name or a process, ascending by inode. One `stat` a process; what may not be read is
/// left out, as is a namespace that only a thread other than a main one, or a file descriptor, holds.
pub fn list() -> Vec<Found> {
    let mut found = BTreeMap::new();
    let Ok(nsfs) = fs::metadata(super::OURS).map(|here| here.dev()) else { return Vec::new() };
    for name in names() {
        let path = Path::new(NAMED).join(&name);
        if let Some(inode) = inode_of(&path, nsfs) {
            found.entry(inode).or_insert(Found { inode, name, path });
        }
    }
    let ours = current().ok();
    let whole_machine =
        fs::metadata("/proc/self/ns/pid").is_ok_and(|here| here.ino() == u64::from(INITIAL_PROCESSES));
    for pid in processes() {
        let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let Some(inode) = inode_of(&path, nsfs) else { continue };
        found.entry(inode).or_insert_with(|| {
            if inode == INITIAL || pid == 1 && whole_machine {
                return Found { inode, name: "host".to_owned(), path };
            }
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Found { inode, name: name_of_process(pid, command.trim_end(), ours == Some(inode)), path }
        });
    }
    found.into_values().collect()
}

/// What a namespace without a name is called, after the first process in it. That of PID 1 is the host's, unless
/// it is ours too: then PID 1 may as well be a container's.
fn name_of_process(pid: u32, command: &str, ours: bool) -> String {
    if pid == 1 && !ours { "host".to_owned() } else { format!("pid {pid} ({command})") }
}

/// The names of `ip netns`, sorted.
pub(super) fn names() -> Vec<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The numbers of all processes, ascending.
pub(super) fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// A left-over name whose namespace is not mounted is a plain file on another file system, where inode numbers mean
/// nothing: only what lies on `nsfs`, the device of all namespaces, counts.
fn inode_of(path: &Path, nsfs: u64) -> Option<u32> {
    let there = fs::metadata(path).ok()?;
    (there.dev() == nsfs).then_some(there.ino() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_namespace_is_listed_once() {
        let ours = current().unwrap();
        assert_eq!(list().iter().filter(|n| n.inode == ours).count(), 1);
    }

    #[test]
    fn a_process_names_its_namespace() {
        assert_eq!(name_of_process(1, "systemd", false), "host");
        assert_eq!(name_of_process(1, "init", true), "pid 1 (init)");
        assert_eq!(name_of_process(4711, "nginx", false), "pid 4711 (nginx)");
    }
}
