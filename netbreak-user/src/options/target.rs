//! Targets: a host name, an IPv4 address or an IPv6 address; never a URL, never with a port.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use super::Refused;

/// A target of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSpec {
    /// As typed.
    pub typed: String,
    /// What it is.
    pub host: Host,
}

/// Whom a target names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; nothing to resolve.
    Address(IpAddr),
    /// A name for the resolver, in lower case.
    Name(String),
}

/// Checks all targets; `bound` says whether `--interface` chooses the device.
pub(super) fn validate_targets(typed: &[String], bound: bool) -> Result<Vec<TargetSpec>, Refused> {
    let mut seen = HashSet::new();
    let mut targets = Vec::with_capacity(typed.len());
    for typed in typed {
        let host = validate_target(typed, bound)?;
        if !seen.insert(host.clone()) {
            return Err(Refused::new(format!("target {typed} is given twice: name it once")));
        }
        targets.push(TargetSpec { typed: typed.clone(), host });
    }
    Ok(targets)
}

/// Checks one target.
pub(super) fn validate_target(typed: &str, bound: bool) -> Result<Host, Refused> {
    if let Some((scheme, rest)) = typed.split_once("://") {
        return Err(refuse_url(typed, scheme, rest));
    }
    if let Some((bracketed, port)) = typed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let Ok(address) = bracketed.parse::<Ipv6Addr>() else {
            return Err(Refused::new(format!("target {typed}: {bracketed} is not an IPv6 address")));
        };
        return match port {
            "" => validate_address(typed, address.into(), bound).map(Host::Address),
            _ => Err(refuse_port(typed, bracketed, port)),
        };
    }
    if let Ok(address) = typed.parse::<IpAddr>() {
        return validate_address(typed, address, bound).map(Host::Address);
    }
    if let Some((address, zone)) = typed.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return Err(Refused::new(format!(
            "target {typed}: the device of a link-local address is an option: `netbreak run {address} --interface {zone}`"
        )));
    }
    match typed.split_once(':') {
        Some((host, port)) if !port.contains(':') => Err(refuse_port(typed, host, port)),
        Some(_) => Err(Refused::new(format!("target {typed} is not an IPv6 address"))),
        None => validate_name(typed).map(Host::Name),
    }
}

/// An address must name one host, reachable as it is.
fn validate_address(typed: &str, address: IpAddr, bound: bool) -> Result<IpAddr, Refused> {
    let refuse = |why: String| Err(Refused::new(format!("target {typed} {why}")));
    if address.is_unspecified() {
        return refuse("names no host: give its address".into());
    }
    if address.is_multicast() || address == IpAddr::from([255, 255, 255, 255]) {
        return refuse("names many hosts: give the address of one".into());
    }
    let IpAddr::V6(v6) = address else { return Ok(address) };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return refuse(format!("is an IPv4 address in disguise: write {v4}"));
    }
    if v6.is_unicast_link_local() && !bound {
        return refuse("is link-local: say on which device with --interface DEV".into());
    }
    Ok(address)
}

/// A host name: labels of letters, digits, '-' and '_'. A last label of digits only would make the resolver read an
/// IPv4 address of an old form (`10.1` is 10.0.0.1), so it is refused as the typing error that it is.
fn validate_name(typed: &str) -> Result<String, Refused> {
    let name = typed.strip_suffix('.').unwrap_or(typed);
    let refuse = |why: &str| Err(Refused::new(format!("target {typed:?} is not a host name: {why}")));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    };
    if name.len() > 253 {
        return refuse("it has more than 253 characters");
    }
    if let Some((host, path)) = name.split_once('/') {
        return refuse(&format!("a path belongs to --http: `netbreak run {host} --http /{path}`"));
    }
    if !name.split('.').all(is_label) {
        return refuse(
            "its parts are 1 to 63 letters, digits, '-' and '_', with dots between (for others write the xn-- form)",
        );
    }
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return refuse("an IPv4 address has four numbers from 0 to 255");
    }
    Ok(name.to_ascii_lowercase())
}

fn refuse_port(typed: &str, host: &str, port: &str) -> Refused {
    let port = port.trim_start_matches(':');
    Refused::new(format!(
        "target {typed}: a port belongs to a probe: `netbreak run {host} --tcp {port}` (or --http, --udp, --stream)"
    ))
}

/// A URL is refused with the command that does what it says.
fn refuse_url(typed: &str, scheme: &str, rest: &str) -> Refused {
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.trim_start_matches(':')),
        None if authority.matches(':').count() > 1 => {
            return Refused::new(format!(
                "target {typed}: an IPv6 address in a URL stands in brackets, and a target is not a URL: \
                 write `netbreak run {authority} --http {path}`, with a port before the path if there is one"
            ));
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let instead = match scheme {
        "http" => format!("--http {port}{path}"),
        "https" => format!("--https {port}{path}"),
        _ => format!("--tcp {}", if port.is_empty() { "PORT" } else { port }),
    };
    Refused::new(format!("target {typed}: a target is a host, not a URL: `netbreak run {host} {instead}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for (typed, address) in
            [("10.0.2.2", "10.0.2.2"), ("fd00::1", "fd00::1"), ("[fd00::1]", "fd00::1"), ("::1", "::1")]
        {
            assert_eq!(validate_target(typed, false), Ok(Host::Address(address.parse().unwrap())), "{typed}");
        }
        for (typed, name) in [
            ("localhost", "localhost"),
            ("Web.Example.", "web.example"),
            ("_srv.a-b.x1", "_srv.a-b.x1"),
            ("4chan.x", "4chan.x"),
        ] {
            assert_eq!(validate_target(typed, false), Ok(Host::Name(name.into())), "{typed}");
        }
        assert!(validate_target("fe80::1", true).is_ok());
    }

    #[test]
    fn refused() {
        for (typed, words) in [
            ("http://[fd00::1]:8080/x", "`netbreak run fd00::1 --http 8080/x`"),
            ("http://fd00::1:8080/x", "in brackets"),
            ("http://web.example", "`netbreak run web.example --http /`"),
            ("https://web.example/x", "`netbreak run web.example --https /x`"),
            ("https://web.example:8443", "`netbreak run web.example --https 8443/`"),
            ("web.example:80", "`netbreak run web.example --tcp 80`"),
            ("[fd00::1]:80", "`netbreak run fd00::1 --tcp 80`"),
            ("[fd00::x]", "fd00::x is not an IPv6 address"),
            ("fd00::1::2", "not an IPv6 address"),
            ("fe80::1%eth0", "`netbreak run fe80::1 --interface eth0`"),
            ("fe80::1", "--interface DEV"),
            ("0.0.0.0", "no host"),
            ("255.255.255.255", "many hosts"),
            ("ff02::1", "many hosts"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
            ("10.0.0.256", "from 0 to 255"),
            ("10.1", "four numbers"),
            ("web.example/x", "`netbreak run web.example --http /x`"),
            ("web..example", "its parts"),
            ("-x", "its parts"),
            ("wéb", "xn--"),
            ("", "its parts"),
        ] {
            let message = validate_target(typed, false).expect_err(typed).to_string();
            assert!(message.contains(words), "{typed}: {message}");
        }
        let long = "a.".repeat(130);
        assert!(validate_target(&long, false).is_err());
    }

    #[test]
    fn the_same_target_twice() {
        for pair in [["::1", "[0::1]"], ["A.example", "a.example."]] {
            let message = validate_targets(&pair.map(String::from), false).unwrap_err().to_string();
            assert!(message.contains("twice"), "{message}");
        }
    }
}
