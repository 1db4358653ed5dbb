//! From where probes leave: family, source address, device, network namespace.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{Host, Refused, TargetSpec};

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// `IPv4` or `IPv6`.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// A network namespace as the user names it. Whether it exists is found when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Netns {
    /// A name of `ip netns`.
    Name(String),
    /// A path.
    Path(PathBuf),
    /// The namespace of a process.
    Pid(u32),
}

impl Netns {
    /// The file to open for `setns`.
    pub fn path(&self) -> PathBuf {
        match self {
            Netns::Name(name) => PathBuf::from("/run/netns").join(name),
            Netns::Path(path) => path.clone(),
            Netns::Pid(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        }
    }
}

/// -4 or -6, against every target that is an address.
pub(super) fn validate_family(v4: bool, v6: bool, targets: &[TargetSpec]) -> Result<Option<Family>, Refused> {
    let family = match (v4, v6) {
        (false, false) => return Ok(None),
        (true, _) => Family::V4,
        (false, true) => Family::V6,
    };
    match of_other_family(family, targets) {
        Some((target, other)) => Err(Refused::new(format!(
            "-{} asks for {}, and target {target} is {}: leave the option out",
            if family == Family::V4 { 4 } else { 6 },
            family.name(),
            other.name()
        ))),
        None => Ok(Some(family)),
    }
}

/// Sources are of one family, each of them another.
pub(super) fn validate_sources(
    typed: &[String],
    family: Option<Family>,
    targets: &[TargetSpec],
) -> Result<Vec<IpAddr>, Refused> {
    let mut sources: Vec<IpAddr> = Vec::with_capacity(typed.len());
    for typed in typed {
        let source = validate_source(typed, family, targets)?;
        if sources.contains(&source) {
            return Err(Refused::new(format!("--source {typed} is given twice: name it once")));
        }
        if let Some(other) = sources.iter().find(|other| Family::of(**other) != Family::of(source)) {
            return Err(Refused::new(format!(
                "--source {typed} is {}, and --source {other} is {}: probes of one run leave from one family",
                Family::of(source).name(),
                Family::of(*other).name()
            )));
        }
        sources.push(source);
    }
    Ok(sources)
}

/// The source must be an address of the family of the targets.
fn validate_source(typed: &str, family: Option<Family>, targets: &[TargetSpec]) -> Result<IpAddr, Refused> {
    let source = validate_address("--source", typed)?;
    let own = Family::of(source);
    if source.is_unspecified() || source.is_multicast() {
        return Err(Refused::new(format!("--source {typed}: give an address of this host")));
    }
    if family.is_some_and(|family| family != own) {
        return Err(Refused::new(format!(
            "--source {typed} is {}, and -4 or -6 asks for the other",
            own.name()
        )));
    }
    match of_other_family(own, targets) {
        Some((target, other)) => Err(Refused::new(format!(
            "--source {typed} is {}, and target {target} is {}: give a source of that family, or leave it out",
            own.name(),
            other.name()
        ))),
        None => Ok(source),
    }
}

fn of_other_family(family: Family, targets: &[TargetSpec]) -> Option<(&str, Family)> {
    targets.iter().find_map(|target| match target.host {
        Host::Address(address) if Family::of(address) != family => {
            Some((target.typed.as_str(), Family::of(address)))
        }
        _ => None,
    })
}

/// An address, never a name.
pub(super) fn validate_address(flag: &str, typed: &str) -> Result<IpAddr, Refused> {
    let bare = typed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(typed);
    bare.parse().map_err(|_| Refused::new(format!("{flag} {typed}: expected an IPv4 or IPv6 address")))
}

/// The kernel's own rule: net/core/dev.c, dev_valid_name().
pub(super) fn validate_interface(flag: &str, typed: &str) -> Result<String, Refused> {
    let valid = (1..16).contains(&typed.len())
        && !matches!(typed, "." | "..")
        && !typed.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
    if valid {
        return Ok(typed.to_owned());
    }
    Err(Refused::new(format!("{flag} {typed}: no device can have this name; `ip link` shows the devices")))
}

/// `NAME`, a path (it has a slash), or `pid:N`.
pub(super) fn validate_netns(typed: &str) -> Result<Netns, Refused> {
    let refuse = |why: &str| Err(Refused::new(format!("--netns {typed}: {why}")));
    if let Some(pid) = typed.strip_prefix("pid:") {
        return match pid.parse() {
            Ok(pid @ 1..) => Ok(Netns::Pid(pid)),
            _ => refuse("expected the number of a process after pid:"),
        };
    }
    match typed {
        "" | "." | ".." => refuse("expected a name of `ip netns`, a path, or pid:N"),
        _ if typed.contains('\0') => refuse("a name cannot hold a zero byte"),
        _ if typed.contains('/') => Ok(Netns::Path(typed.into())),
        _ => Ok(Netns::Name(typed.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(typed: &[&str]) -> Vec<TargetSpec> {
        let host = |typed: &str| typed.parse().map_or_else(|_| Host::Name(typed.into()), Host::Address);
        typed.iter().map(|typed| TargetSpec { typed: (*typed).into(), host: host(typed) }).collect()
    }

    #[test]
    fn families() {
        assert_eq!(validate_family(false, false, &targets(&["::1", "10.0.0.1"])), Ok(None));
        assert_eq!(validate_family(true, false, &targets(&["a", "10.0.0.1"])), Ok(Some(Family::V4)));
        assert_eq!(validate_family(false, true, &targets(&["a", "::1"])), Ok(Some(Family::V6)));
        assert!(validate_family(true, false, &targets(&["a", "::1"])).is_err());
        assert!(validate_family(false, true, &targets(&["10.0.0.1"])).is_err());
    }

    #[test]
    fn sources() {
        for (typed, family, target, accepted) in [
            ("10.0.0.1", None, "10.0.0.2", true),
            ("10.0.0.1", Some(Family::V4), "a", true),
            ("[fd00::1]", None, "fd00::2", true),
            ("fd00::1", None, "10.0.0.2", false),
            ("10.0.0.1", None, "fd00::2", false),
            ("10.0.0.1", Some(Family::V6), "a", false),
            ("0.0.0.0", None, "a", false),
            ("224.0.0.1", None, "a", false),
            ("eth0", None, "a", false),
        ] {
            let result = validate_source(typed, family, &targets(&[target]));
            assert_eq!(result.is_ok(), accepted, "{typed} {target}: {result:?}");
        }
    }

    #[test]
    fn several_sources() {
        let check = |typed: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|typed| (*typed).into()).collect();
            validate_sources(&typed, None, &targets(&["a"]))
        };
        assert_eq!(check(&[]), Ok(vec![]));
        assert_eq!(check(&["10.0.0.1", "10.0.0.2"]).unwrap().len(), 2);
        for (typed, words) in [
            (&["10.0.0.1", "10.0.0.1"][..], "given twice"),
            (&["fd00::1", "[fd00:0::1]"], "given twice"),
            (&["10.0.0.1", "fd00::1"], "--source fd00::1 is IPv6, and --source 10.0.0.1 is IPv4"),
            (&["10.0.0.1", "0.0.0.0"], "0.0.0.0"),
        ] {
            let message = check(typed).unwrap_err().to_string();
            assert!(message.contains(words), "{typed:?}: {message}");
        }
    }

    #[test]
    fn interfaces() {
        for typed in ["eth0", "veth-0123456789", "br.100"] {
            assert!(validate_interface("--interface", typed).is_ok(), "{typed}");
        }
        for typed in ["", ".", "a b", "a/b", "a:b", "veth-01234567890"] {
            assert!(validate_interface("--interface", typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn namespaces() {
        for (typed, path) in [
            ("blue", "/run/netns/blue"),
            ("/proc/1/ns/net", "/proc/1/ns/net"),
            ("./x", "./x"),
            ("pid:4711", "/proc/4711/ns/net"),
        ] {
            assert_eq!(validate_netns(typed).unwrap().path(), PathBuf::from(path), "{typed}");
        }
        for typed in ["", "..", "pid:", "pid:0", "pid:-1", "pid:x"] {
            assert!(validate_netns(typed).is_err(), "{typed}");
        }
    }
}
