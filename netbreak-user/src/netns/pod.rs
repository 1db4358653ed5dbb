//! The network namespace of a pod of this machine, found by what its processes tell.
//!
//! A pod's hostname is its name (unless `spec.hostname` says otherwise), as far as a hostname can hold it, in a UTS
//! namespace that all its containers share; the Kubernetes namespace stands where the service account is mounted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Error, Namespace, list::processes};

/// Where a pod's Kubernetes namespace stands in its file system, if its service account is mounted.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Letters of a hostname that the kubelet gives to a pod.
const HOSTNAME: usize = 63;

/// The network namespace of a pod. One of that name whose Kubernetes namespace cannot be told is taken for it.
///
/// # Errors
/// No such pod here, or several.
pub fn find(namespace: &str, name: &str) -> Result<Namespace, Error> {
    let wanted = hostname_of(name);
    let own = uts(Path::new("/proc/self"));
    // A hostname is asked for once for each UTS namespace. A machine may be called like a pod: it is none.
    let mut named: BTreeMap<u64, bool> = own.map(|own| (own, false)).into_iter().collect();
    // By network namespace: a process in it.
    let mut found: BTreeMap<u32, (u32, Namespace)> = BTreeMap::new();
    for pid in processes() {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let Some(inode) = uts(&process) else { continue };
        if !*named.entry(inode).or_insert_with(|| hostname(&process).as_deref() == Some(wanted)) {
            continue;
        }
        if account(&process).is_ok_and(|account| account.trim() != namespace) {
            continue;
        }
        if let Ok(opened) = Namespace::open(process.join("ns/net")) {
            found.entry(opened.inode()).or_insert((pid, opened));
        }
    }
    let pids: Vec<String> = found.values().map(|(pid, _)| format!("pid:{pid}")).collect();
    match (found.pop_first(), found.is_empty()) {
        (Some((_, (_, opened))), true) => Ok(opened),
        (None, _) => Err(Error::NoSuchPod { namespace: namespace.to_owned(), name: name.to_owned() }),
        (Some(_), false) => Err(Error::ManyPods { name: name.to_owned(), pids: pids.join(", ") }),
    }
}

/// The hostname of a pod of this name, which may be longer (`truncatePodHostnameIfNeeded` in the kubelet's kubelet_pods.go).
fn hostname_of(name: &str) -> &str {
    match name.get(..HOSTNAME) {
        Some(begin) if name.len() > HOSTNAME => begin.trim_end_matches(['-', '.']),
        _ => name,
    }
}

/// The UTS namespace of a process.
fn uts(process: &Path) -> Option<u64> {
    Some(fs::metadata(process.join("ns/uts")).ok()?.ino())
}

/// What stands in a process's file system, of which `/var/run` may be a link to `/run`.
fn account(process: &Path) -> std::io::Result<String> {
    let root = open(process.join("root"), OFlags::PATH, Mode::empty())?;
    let file = openat2(root, ACCOUNT, OFlags::RDONLY, Mode::empty(), ResolveFlags::IN_ROOT)?;
    std::io::read_to_string(File::from(file))
}

/// The hostname as a process has it: a thread that ends with it goes to its UTS namespace.
fn hostname(process: &Path) -> Option<String> {
    let there = File::open(process.join("ns/uts")).ok()?;
    let ask = move || {
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::HostNameAndNISDomainName)).ok()?;
        Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
    };
    std::thread::spawn(ask).join().ok()?
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Stands in for a pod: a process with a hostname, a network and, if it is told, a service account of its own.
    struct Pod(Child);

    impl Pod {
        fn start(name: &str, account: Option<&str>) -> Pod {
            let account = account.map_or_else(String::new, |namespace| {
                format!(
                    "mount -t tmpfs none /var/run && mkdir -p $(dirname {ACCOUNT}) && \
                     echo {namespace} > {ACCOUNT} &&"
                )
            });
            let script = format!("hostname {name} && {account} echo ready && exec sleep 600");
            let mut child = Command::new("unshare")
                .args(["--uts", "--net", "--mount", "--kill-child", "sh", "-ec", &script])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            Pod(child)
        }

        fn inode(&self) -> u32 {
            Namespace::resolve(&format!("pid:{}", self.0.id())).unwrap().inode()
        }
    }

    impl Drop for Pod {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    #[test]
    fn a_hostname_is_cut_where_the_kubelet_cuts_it() {
        let long = "a".repeat(62);
        for (name, hostname) in [
            ("web-0".to_owned(), "web-0".to_owned()),
            (format!("{long}b"), format!("{long}b")),
            (format!("{long}bc"), format!("{long}b")),
            (format!("{long}-.x"), long.clone()),
        ] {
            assert_eq!(hostname_of(&name), hostname, "{name}");
        }
    }

    #[test]
    fn a_pod_is_found_by_its_name_and_namespace() {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this test needs root");
            return;
        }
        let name = |what: &str| format!("pod-{what}-{}", std::process::id());
        let [web, twin] = [name("web"), name("twin")];
        let here = Pod::start(&web, Some("shop"));
        let there = Pod::start(&web, Some("depot"));
        assert_eq!(find("shop", &web).unwrap().inode(), here.inode());
        assert_eq!(find("depot", &web).unwrap().inode(), there.inode());
        let message = find("other", &web).unwrap_err().to_string();
        assert!(message.contains(&format!("no process of pod other/{web}")), "{message}");
        let long = format!("{}-{}", name("long"), "a".repeat(60));
        let cut = Pod::start(&long[..HOSTNAME], Some("shop"));
        assert_eq!(find("shop", &long).unwrap().inode(), cut.inode());
        let twins = [Pod::start(&twin, None), Pod::start(&twin, None)];
        let message = find("any", &twin).unwrap_err().to_string();
        // Any process of theirs may be named.
        let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
        let named = message.split("pid:").skip(1).map(|text| format!("pid:{}", digits(text)));
        let named: Vec<u32> = named.map(|name| Namespace::resolve(&name).unwrap().inode()).collect();
        assert!(twins.iter().all(|twin| named.contains(&twin.inode())), "{message}");
    }
}
