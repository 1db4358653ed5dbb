//! Probes and services: kinds and ports.

use std::collections::HashSet;

use super::Refused;
use crate::cli::{ProbeArgs, ServeArgs};
use crate::probe::Kind;

/// One way of visiting every target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeSpec {
    /// Echoes.
    Icmp,
    /// Connects.
    Tcp {
        /// Visited port.
        port: u16,
    },
    /// Requests.
    Http {
        /// Visited port.
        port: u16,
        /// Path with its leading slash, and the query if there is one.
        path: String,
    },
    /// Requests within TLS.
    Https {
        /// Visited port.
        port: u16,
        /// Path with its leading slash, and the query if there is one.
        path: String,
    },
    /// Datagrams.
    Udp {
        /// Visited port.
        port: u16,
    },
    /// One long-lived connection.
    Stream {
        /// Visited port.
        port: u16,
    },
}

impl ProbeSpec {
    /// The kind of the probe.
    pub fn kind(&self) -> Kind {
        match self {
            ProbeSpec::Icmp => Kind::Icmp,
            ProbeSpec::Tcp { .. } => Kind::Tcp,
            ProbeSpec::Http { .. } => Kind::Http,
            ProbeSpec::Https { .. } => Kind::Https,
            ProbeSpec::Udp { .. } => Kind::Udp,
            ProbeSpec::Stream { .. } => Kind::Stream,
        }
    }

    /// Is each of its attempts a connection of its own?
    pub(super) fn connects(&self) -> bool {
        self.kind().connects()
    }

    /// The visited port; `None` for icmp.
    pub fn port(&self) -> Option<u16> {
        match *self {
            ProbeSpec::Icmp => None,
            ProbeSpec::Tcp { port }
            | ProbeSpec::Http { port, .. }
            | ProbeSpec::Https { port, .. }
            | ProbeSpec::Udp { port }
            | ProbeSpec::Stream { port } => Some(port),
        }
    }
}

impl std::fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().name())?;
        if let Some(port) = self.port() {
            write!(f, " {port}")?;
        }
        if let ProbeSpec::Http { path, .. } | ProbeSpec::Https { path, .. } = self {
            f.write_str(path)?;
        }
        Ok(())
    }
}

/// Checks all probes of a run; none asked for means icmp and tcp 80.
pub(super) fn validate_probes(args: &ProbeArgs) -> Result<Vec<ProbeSpec>, Refused> {
    let mut probes = Vec::new();
    if args.icmp {
        probes.push(ProbeSpec::Icmp);
    }
    for port in &args.tcp {
        probes.push(ProbeSpec::Tcp { port: validate_port("--tcp", port)? });
    }
    for value in &args.http {
        let (port, path) = validate_http("--http", value, 80)?;
        probes.push(ProbeSpec::Http { port, path });
    }
    for value in &args.https {
        let (port, path) = validate_http("--https", value, 443)?;
        probes.push(ProbeSpec::Https { port, path });
    }
    for port in &args.udp {
        probes.push(ProbeSpec::Udp { port: validate_port("--udp", port)? });
    }
    for port in &args.stream {
        probes.push(ProbeSpec::Stream { port: validate_port("--stream", port)? });
    }
    if probes.is_empty() {
        probes.extend([ProbeSpec::Icmp, ProbeSpec::Tcp { port: 80 }]);
    }
    let mut seen = HashSet::new();
    match probes.iter().find(|probe| !seen.insert(*probe)) {
        Some(twice) => Err(Refused::new(format!("probe {twice} is given twice: name it once"))),
        None => Ok(probes),
    }
}

/// Checks all services of `netbreak serve`. tcp, http and stream share one space of ports.
pub(super) fn validate_services(args: &ServeArgs) -> Result<Vec<(Kind, u16)>, Refused> {
    let mut services = Vec::new();
    for (kind, flag, ports) in [
        (Kind::Tcp, "--tcp", &args.tcp),
        (Kind::Http, "--http", &args.http),
        (Kind::Udp, "--udp", &args.udp),
        (Kind::Stream, "--stream", &args.stream),
    ] {
        for port in ports {
            // The kernel chooses one, and it is printed.
            let port = if port == "0" { 0 } else { validate_port(flag, port)? };
            services.push((kind, port));
        }
    }
    if services.is_empty() {
        return Err(Refused::new("give at least one of --tcp PORT, --http PORT, --udp PORT, --stream PORT"));
    }
    let mut seen = HashSet::new();
    let mut chosen = services.iter().filter(|(_, port)| *port > 0);
    match chosen.find(|(kind, port)| !seen.insert((*kind == Kind::Udp, *port))) {
        Some((kind, port)) => Err(Refused::new(format!(
            "--{} {port}: the port is taken by another option: give each service its own",
            kind.name()
        ))),
        None => Ok(services),
    }
}

/// A port is 1 to 65535.
pub(super) fn validate_port(flag: &str, typed: &str) -> Result<u16, Refused> {
    match typed.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Refused::new(format!("{flag} {typed}: a port is a number from 1 to 65535"))),
    }
}

/// `[PORT][/PATH]`: this port and path / where not given.
pub(super) fn validate_http(flag: &str, typed: &str, default: u16) -> Result<(u16, String), Refused> {
    let (port, path) = match typed.find('/') {
        Some(slash) => typed.split_at(slash),
        None => (typed, "/"),
    };
    if !port.is_empty() && !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refused::new(format!(
            "{flag} {typed}: expected [PORT][/PATH] such as 8080/healthz; if {typed} is the target, put it before {flag}"
        )));
    }
    if let Some(bad) = path.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        return Err(Refused::new(format!("{flag} {typed}: {bad:?} cannot stand in a path: write it as %xx")));
    }
    let port = if port.is_empty() { default } else { validate_port(flag, port)? };
    Ok((port, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(validate_port("--tcp", "1"), Ok(1));
        assert_eq!(validate_port("--tcp", "65535"), Ok(65535));
        for typed in ["0", "65536", "70000", "-1", "http", ""] {
            let message = validate_port("--tcp", typed).expect_err(typed).to_string();
            assert_eq!(message, format!("--tcp {typed}: a port is a number from 1 to 65535"));
        }
    }

    #[test]
    fn http() {
        for (typed, port, path) in [
            ("80/", 80, "/"),
            ("8080", 8080, "/"),
            ("/healthz?x=1", 80, "/healthz?x=1"),
            ("8080/a/b", 8080, "/a/b"),
        ] {
            assert_eq!(validate_http("--http", typed, 80), Ok((port, path.into())), "{typed}");
        }
        assert_eq!(validate_http("--https", "/x", 443), Ok((443, "/x".into())));
        for (typed, words) in [
            ("10.0.2.2", "put it before --http"),
            ("0/x", "1 to 65535"),
            ("70000", "1 to 65535"),
            ("/a b", "%xx"),
            ("/a#b", "%xx"),
            ("/a\r\nHost: b", "%xx"),
            ("/ä", "%xx"),
        ] {
            let message = validate_http("--http", typed, 80).expect_err(typed).to_string();
            assert!(message.contains(words), "{typed}: {message}");
        }
    }
}
