//! Network namespaces: opening one that a user names, entering it, and finding all of the machine.
//!
//! A namespace is known by its inode number, which is also what the kernel side reads from `net->ns.inum`.

mod list;
mod pod;

pub use list::{Found, list};
pub use pod::find as find_pod;

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;

/// Where `ip netns add` keeps its names (iproute2, `NETNS_RUN_DIR`).
const NAMED: &str = "/run/netns";

/// The calling thread's namespace. `/proc/self` would be the main thread's.
const OURS: &str = "/proc/thread-self/ns/net";

/// Why a namespace cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// No such name.
    #[error(
        "network namespace `{name}` does not exist; {known}. A file is given with a slash, a process as pid:N"
    )]
    NoSuchName {
        /// As typed.
        name: String,
        /// What there is, in words.
        known: String,
    },
    /// No such process.
    #[error("process {pid} does not exist (any more): its network namespace cannot be opened")]
    NoSuchProcess {
        /// Its number.
        pid: u32,
    },
    /// `pid:` without a number.
    #[error("`{spec}` is no process number: write pid:N, such as pid:4711")]
    BadPid {
        /// As typed.
        spec: String,
    },
    /// No such pod.
    #[error(
        "no process of pod {namespace}/{name} was found on this machine: run this on the pod's node, where the \
         processes of others can be seen (hostPID), or name the namespace by pid:N"
    )]
    NoSuchPod {
        /// Its Kubernetes namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Several pods may be meant.
    #[error("several pods are called {name}: name the network namespace by one of {pids}")]
    ManyPods {
        /// As typed.
        name: String,
        /// A process of each.
        pids: String,
    },
    /// The file could not be opened.
    #[error("cannot open network namespace {}: {source}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is some other file, or another kind of namespace.
    #[error("{} is not a network namespace; give the name of one, a file such as /proc/PID/ns/net, or pid:N", path.display())]
    NotANetwork {
        /// Which file.
        path: PathBuf,
    },
    /// `setns` failed.
    #[error("cannot enter network namespace {inode}: {source} (needs CAP_SYS_ADMIN)")]
    Enter {
        /// Its inode number.
        inode: u32,
        /// Why.
        source: io::Error,
    },
    /// A thread could not be started, or it panicked.
    #[error("the thread for network namespace {inode} {what}")]
    Thread {
        /// Its inode number.
        inode: u32,
        /// What became of the thread.
        what: String,
    },
}

/// An opened network namespace. It stays alive while this value does.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    inode: u32,
}

impl Namespace {
    /// The calling thread's namespace.
    pub fn current() -> Result<Namespace, Error> {
        Namespace::open(OURS)
    }

    /// Opens a namespace file such as `/proc/4711/ns/net`.
    pub fn open(path: impl AsRef<Path>) -> Result<Namespace, Error> {
        let path = path.as_ref();
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // SAFETY: NS_GET_NSTYPE takes no argument and writes no memory; on other files it fails with ENOTTY.
        let kind = unsafe { libc::ioctl(file.as_raw_fd(), libc::NS_GET_NSTYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(Error::NotANetwork { path: path.to_owned() });
        }
        // The kernel's inode numbers of namespaces have 32 bits (`ns_common.inum`).
        let inode = file.metadata().map_err(failed)?.ino() as u32;
        Ok(Namespace { file, inode })
    }

    /// Opens what a user typed: `NAME` of `ip netns`, a path (with a slash), or `pid:N`.
    pub fn resolve(spec: &str) -> Result<Namespace, Error> {
        if let Some(pid) = spec.strip_prefix("pid:") {
            let pid: u32 = pid.parse().map_err(|_| Error::BadPid { spec: spec.to_owned() })?;
            return Namespace::open(format!("/proc/{pid}/ns/net")).map_err(|error| match error {
                // A zombie still has its directory, but no namespace any more: ENOENT too.
                Error::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    Error::NoSuchProcess { pid }
                }
                other => other,
            });
        }
        if spec.contains('/') {
            return Namespace::open(spec);
        }
        let missing = || Error::NoSuchName { name: spec.to_owned(), known: in_words(&list::names()) };
        if spec.is_empty() || spec == "." || spec == ".." {
            return Err(missing());
        }
        Namespace::open(Path::new(NAMED).join(spec)).map_err(|error| match error {
            Error::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => missing(),
            other => other,
        })
    }

    /// Another handle to the same namespace.
    pub fn try_clone(&self) -> Result<Namespace, Error> {
        let source =
            |source| Error::Open { path: format!("network namespace {}", self.inode).into(), source };
        Ok(Namespace { file: self.file.try_clone().map_err(source)?, inode: self.inode })
    }

    /// Its inode number.
    pub fn inode(&self) -> u32 {
        self.inode
    }

    /// Moves the calling *thread* here, for good. Needs CAP_SYS_ADMIN, unless the thread is here already: setns(2)
    /// would ask for it even then (`netns_install` in net/core/net_namespace.c), so it is not called.
    pub fn enter(&self) -> Result<(), Error> {
        // Both namespaces exist, so they are the same one if their inodes are.
        if current().is_ok_and(|here| here == self.inode) {
            return Ok(());
        }
        move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| Error::Enter { inode: self.inode, source: e.into() })
    }

    /// Runs `work` on a fresh thread in this namespace; the calling thread stays where it is and waits.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let failed = |what: String| Error::Thread { inode: self.inode, what };
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, || self.enter().map(|()| work()))
                .map_err(|e| failed(format!("could not be started: {e}")))?
                .join()
                .unwrap_or_else(|_| Err(failed("panicked".to_owned())))
        })
    }

    /// Its devices: ifindex and name, ascending.
    pub fn devices(&self) -> Result<Vec<(u32, String)>, Error> {
        self.run(devices_here)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Inode number of the calling thread's namespace.
pub fn current() -> Result<u32, Error> {
    Namespace::current().map(|ours| ours.inode)
}

/// The calling thread's devices. `/sys/class/net` would show those of the namespace that mounted it.
pub(crate) fn devices_here() -> Vec<(u32, String)> {
    let mut found = Vec::new();
    // SAFETY: if_nameindex returns null or an array that ends with index 0 and a null name; each name is a
    // string that lives until if_freenameindex, which is called once, after the last use.
    unsafe {
        let first = libc::if_nameindex();
        let mut entry = first;
        while !entry.is_null() && (*entry).if_index != 0 && !(*entry).if_name.is_null() {
            found.push(((*entry).if_index, CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned()));
            entry = entry.add(1);
        }
        if !first.is_null() {
            libc::if_freenameindex(first);
        }
    }
    found.sort();
    found
}

/// The addresses of the calling thread's devices, of both families.
///
/// # Errors
/// The kernel's reason why it does not tell.
pub(crate) fn addresses_here() -> io::Result<BTreeSet<IpAddr>> {
    let mut found = BTreeSet::new();
    let mut first = std::ptr::null_mut();
    // SAFETY: getifaddrs writes one pointer, to a list that lives until freeifaddrs, which is called once, after the last
    // use. An address is null or points to a sockaddr of its family, which the family says.
    unsafe {
        if libc::getifaddrs(&raw mut first) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut entry = first;
        while !entry.is_null() {
            let address = (*entry).ifa_addr;
            if !address.is_null() {
                match i32::from((*address).sa_family) {
                    libc::AF_INET => {
                        let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                        found.insert(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()));
                    }
                    libc::AF_INET6 => {
                        let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                        found.insert(IpAddr::from(v6.sin6_addr.s6_addr));
                    }
                    _ => {}
                }
            }
            entry = (*entry).ifa_next;
        }
        libc::freeifaddrs(first);
    }
    Ok(found)
}

/// What `ip netns` has, for an error message.
fn in_words(names: &[String]) -> String {
    const SHOWN: usize = 10;
    match names.len() {
        0 => "`ip netns` has none".to_owned(),
        n if n <= SHOWN => format!("`ip netns` has {}", names.join(", ")),
        n => format!("`ip netns` has {} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_is_the_inode_of_our_own_link() {
        let link = std::fs::read_link(OURS).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("net:[{}]", current().unwrap()));
    }

    #[test]
    fn loopback_is_an_address_of_ours() {
        let found = addresses_here().unwrap();
        assert!(found.contains(&IpAddr::from([127, 0, 0, 1])), "{found:?}");
    }

    #[test]
    fn a_process_is_resolved() {
        let spec = format!("pid:{}", std::process::id());
        assert_eq!(Namespace::resolve(&spec).unwrap().inode(), current().unwrap());
    }

    #[test]
    fn every_bad_spec_says_what_is_wrong() {
        for (spec, expected) in [
            ("no-such-namespace", "network namespace `no-such-namespace` does not exist; `ip netns` has"),
            ("", "network namespace `` does not exist"),
            ("..", "network namespace `..` does not exist"),
            ("pid:4294967295", "process 4294967295 does not exist"),
            ("pid:x", "`pid:x` is no process number"),
            ("pid:-1", "`pid:-1` is no process number"),
            ("/no/such/file", "cannot open network namespace /no/such/file: No such file"),
            ("/dev/null", "/dev/null is not a network namespace"),
            ("/proc/self/ns/mnt", "/proc/self/ns/mnt is not a network namespace"),
        ] {
            let message = Namespace::resolve(spec).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{spec}: {message}");
        }
    }

    #[test]
    fn many_names_are_cut() {
        let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
        assert_eq!(in_words(&names), "`ip netns` has n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more");
        assert_eq!(in_words(&names[..2]), "`ip netns` has n0, n1");
    }
}
