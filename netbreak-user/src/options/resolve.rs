//! Names to addresses, by the system's resolver.

use std::net::{IpAddr, ToSocketAddrs};

use super::{Family, Host, Refused};

/// The address of `host`: the first of `family` that the system's resolver gives, whose order is the system's preference
/// (RFC 6724). Blocks, as [`resolve_all`].
///
/// # Errors
/// With the host, the resolver's reason and what to try.
pub fn resolve(host: &Host, family: Option<Family>) -> Result<IpAddr, Refused> {
    let found = resolve_all(host, family)?;
    found.first().copied().ok_or_else(|| Refused::new("the resolver found no address"))
}

/// The addresses of `host`, at least one: those of `family` that the system's resolver (getaddrinfo) gives. Blocks; call it
/// in the namespace whose `/etc/resolv.conf` and routes are meant, before any time is measured.
///
/// # Errors
/// With the host, the resolver's reason and what to try.
pub fn resolve_all(host: &Host, family: Option<Family>) -> Result<Vec<IpAddr>, Refused> {
    let name = match host {
        Host::Address(address) => return choose(&address.to_string(), family, &[*address]),
        Host::Name(name) => name,
    };
    match (name.as_str(), 0).to_socket_addrs() {
        Ok(found) => choose(name, family, &found.map(|address| address.ip()).collect::<Vec<_>>()),
        Err(error) => Err(Refused::new(format!(
            "cannot resolve {name}: {error}: try `getent ahosts {name}`, or give the address instead of the name"
        ))),
    }
}

/// Those of the family, in the resolver's order.
fn choose(name: &str, family: Option<Family>, found: &[IpAddr]) -> Result<Vec<IpAddr>, Refused> {
    let is_wanted = |ip: &&IpAddr| family.is_none_or(|family| family == Family::of(**ip));
    let matching: Vec<IpAddr> = found.iter().filter(is_wanted).copied().collect();
    if !matching.is_empty() {
        return Ok(matching);
    }
    Err(match (family, found.first()) {
        (Some(family), Some(other)) => Refused::new(format!(
            "{name} has no {} address, only {other}: leave -{} out",
            family.name(),
            if family == Family::V4 { 4 } else { 6 }
        )),
        _ => Refused::new(format!("{name} has no address: try `getent ahosts {name}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_the_family() {
        let v4 = IpAddr::from([10, 0, 0, 1]);
        let v6: IpAddr = "fd00::1".parse().unwrap();
        assert_eq!(choose("a", None, &[v6, v4]), Ok(vec![v6, v4]));
        assert_eq!(choose("a", Some(Family::V4), &[v6, v4]), Ok(vec![v4]));
        let message = choose("a", Some(Family::V6), &[v4]).unwrap_err().to_string();
        assert_eq!(message, "a has no IPv6 address, only 10.0.0.1: leave -6 out");
        assert!(choose("a", None, &[]).is_err());
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let v6: IpAddr = "fd00::1".parse().unwrap();
        assert_eq!(resolve(&Host::Address(v6), None), Ok(v6));
        assert!(resolve(&Host::Address(v6), Some(Family::V4)).is_err());
    }

    #[test]
    fn the_resolver_is_asked() {
        let localhost = Host::Name("localhost".into());
        assert_eq!(resolve(&localhost, Some(Family::V4)), Ok(IpAddr::from([127, 0, 0, 1])));
        // An empty label never leaves the resolver.
        let message = resolve(&Host::Name("a..b".into()), None).unwrap_err().to_string();
        assert!(message.contains("cannot resolve a..b") && message.contains("getent"), "{message}");
    }
}
