//! The rows of a matrix, each with its source, target and probes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use toml::Spanned;

use super::file::{File, Probe, Source};
use super::words::{Lines, unknown};
use crate::clock::Nanos;
use crate::options::{Netns, ProbeSpec, Refused, TargetSpec, limits, origin, probe, target, time};

/// One row: who visits whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// What the tables call it.
    pub name: String,
    /// Which of the sources.
    pub source: usize,
    /// Whom it visits; not resolved yet.
    pub target: TargetSpec,
    /// How; at least one.
    pub probes: Vec<WayOfVisiting>,
}

/// One probe of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOfVisiting {
    /// Which probe.
    pub probe: ProbeSpec,
    /// Time between two attempts.
    pub interval: Nanos,
    /// Payload of an echo or a datagram in bytes; `None` is the probe's own default.
    pub size: Option<usize>,
    /// https: take any certificate.
    pub insecure: bool,
}

/// Where rows leave from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixSource {
    /// What the file calls it.
    pub name: String,
    /// Where that is.
    pub place: Place,
    /// Source address.
    pub address: Option<IpAddr>,
    /// Device to bind to.
    pub interface: Option<String>,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Our own.
    Here,
    /// One that has a name, a path or a process.
    Netns(Netns),
    /// That of a pod on this machine.
    Pod {
        /// The Kubernetes namespace.
        namespace: String,
        /// The pod's name.
        name: String,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Here => f.write_str("here"),
            Place::Netns(Netns::Name(name)) => write!(f, "netns {name}"),
            Place::Netns(Netns::Path(path)) => write!(f, "netns {}", path.display()),
            Place::Netns(Netns::Pid(pid)) => write!(f, "netns pid:{pid}"),
            Place::Pod { namespace, name } => write!(f, "pod {namespace}/{name}"),
        }
    }
}

/// All rows, and all sources in the order of their names.
pub(super) fn validate_rows(
    file: &File,
    interval: Nanos,
    lines: &Lines,
) -> Result<(Vec<MatrixRow>, Vec<MatrixSource>), Refused> {
    let sources: Vec<MatrixSource> =
        file.source.iter().map(|(name, typed)| source(name, typed, lines)).collect::<Result<_, _>>()?;
    let mut targets = HashMap::new();
    for (name, typed) in &file.target {
        let host = target::validate_target(&typed.get_ref().address, false);
        let host = host.map_err(|refused| lines.refuse(&typed.span(), refused))?;
        targets.insert(name.as_str(), TargetSpec { typed: typed.get_ref().address.clone(), host });
    }
    let mut ways = HashMap::new();
    for (name, typed) in &file.probe {
        ways.insert(name.as_str(), way(typed, interval, lines)?);
    }
    if file.row.is_empty() {
        return Err(Refused::new(format!(
            "{}: there is no [[row]], so there is nothing to measure",
            lines.name()
        )));
    }
    let mut names = HashSet::new();
    let mut rows = Vec::new();
    for row in &file.row {
        if row.name.get_ref().trim().is_empty() || row.name.get_ref().contains(char::is_control) {
            return Err(
                lines.refuse(&row.name.span(), "a row's name is one line of text, which is not empty")
            );
        }
        if !names.insert(row.name.get_ref()) {
            return Err(lines.refuse(&row.name.span(), "another row has this name"));
        }
        let refuse = |what, typed: &Spanned<String>, known: &[&str]| {
            Err(lines.refuse(&typed.span(), unknown(what, typed.get_ref(), known.iter().copied())))
        };
        let Some(source) = sources.iter().position(|source| source.name == *row.from.get_ref()) else {
            let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            return refuse("source", &row.from, &known);
        };
        let Some(target) = targets.get(row.to.get_ref().as_str()) else {
            return refuse("target", &row.to, &Vec::from_iter(file.target.keys().map(String::as_str)));
        };
        if let (Some(address), target::Host::Address(to)) = (sources[source].address, &target.host)
            && address.is_ipv4() != to.is_ipv4()
        {
            let why =
                format!("its source has the address {address}, and its target {to} is of the other family");
            return Err(lines.refuse(&row.name.span(), why));
        }
        if row.probes.get_ref().is_empty() {
            return Err(lines.refuse(&row.probes.span(), "a row has at least one probe"));
        }
        let mut probes: Vec<WayOfVisiting> = Vec::new();
        for name in row.probes.get_ref() {
            let Some(way) = ways.get(name.get_ref().as_str()) else {
                return refuse("probe", name, &Vec::from_iter(file.probe.keys().map(String::as_str)));
            };
            if probes.iter().any(|other| other.probe == way.probe) {
                return Err(lines.refuse(&name.span(), format!("this row has {} twice", way.probe)));
            }
            probes.push(way.clone());
        }
        // Sorted as the report lists them, whatever their order in the file.
        probes.sort_by_key(|way| (way.probe.kind(), way.probe.port()));
        rows.push(MatrixRow { name: row.name.get_ref().clone(), source, target: target.clone(), probes });
    }
    Ok((rows, sources))
}

fn source(name: &str, typed: &Spanned<Source>, lines: &Lines) -> Result<MatrixSource, Refused> {
    let refuse = |why: String| lines.refuse(&typed.span(), why);
    let Source { here, netns, pod, address, interface } = typed.get_ref();
    let place = match (here, netns, pod) {
        (Some(true), None, None) => Place::Here,
        (None, Some(netns), None) => {
            Place::Netns(origin::validate_netns(netns).map_err(|refused| refuse(refused.to_string()))?)
        }
        (None, None, Some(pod)) => match pod.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Place::Pod { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            _ => return Err(refuse(format!("pod {pod:?}: write \"NAMESPACE/NAME\""))),
        },
        _ => {
            return Err(refuse(format!(
                "source {name:?} has one of: here = true, netns = \"NAME|PATH|pid:N\", pod = \"NAMESPACE/NAME\""
            )));
        }
    };
    let address = address.as_deref().map(|typed| origin::validate_address("address", typed)).transpose();
    let interface =
        interface.as_deref().map(|typed| origin::validate_interface("interface", typed)).transpose();
    let told = |refused: Refused| refuse(refused.to_string());
    Ok(MatrixSource {
        name: name.to_owned(),
        place,
        address: address.map_err(told)?,
        interface: interface.map_err(told)?,
    })
}

fn way(typed: &Spanned<Probe>, interval: Nanos, lines: &Lines) -> Result<WayOfVisiting, Refused> {
    let refuse = |refused: Refused| lines.refuse(&typed.span(), refused);
    let Probe { icmp, tcp, http, https, insecure, udp, stream, interval: own, size } = typed.get_ref();
    let port = |name, port: &i64| probe::validate_port(name, &port.to_string());
    let probe = match (icmp, tcp, http, https, udp, stream) {
        (Some(true), None, None, None, None, None) => Ok(ProbeSpec::Icmp),
        (None, Some(tcp), None, None, None, None) => port("tcp", tcp).map(|port| ProbeSpec::Tcp { port }),
        (None, None, Some(http), None, None, None) => {
            probe::validate_http("http", http, 80).map(|(port, path)| ProbeSpec::Http { port, path })
        }
        (None, None, None, Some(https), None, None) => {
            probe::validate_http("https", https, 443).map(|(port, path)| ProbeSpec::Https { port, path })
        }
        (None, None, None, None, Some(udp), None) => port("udp", udp).map(|port| ProbeSpec::Udp { port }),
        (None, None, None, None, None, Some(stream)) => {
            port("stream", stream).map(|port| ProbeSpec::Stream { port })
        }
        _ => Err(Refused::new(
            "a probe is one of: icmp = true, tcp = PORT, http or https = \"PORT/PATH\", udp = PORT, stream = PORT",
        )),
    };
    if insecure.is_some() && https.is_none() {
        return Err(refuse(Refused::new("insecure is for https: no other probe looks at a certificate")));
    }
    if size.is_some() && (icmp, udp) == (&None, &None) {
        let why = "size is for icmp and udp: what the others send has a size of its own";
        return Err(refuse(Refused::new(why)));
    }
    if own.is_some() && stream.is_some() {
        let why = "interval is not for stream: what it writes is paced by 10 Mbit/s";
        return Err(refuse(Refused::new(why)));
    }
    let own = own.as_deref().map(|typed| time::validate_time("interval", typed)).transpose();
    let size = size.map(|size| limits::validate_size(&size.to_string())).transpose();
    Ok(WayOfVisiting {
        probe: probe.map_err(refuse)?,
        interval: own.map_err(refuse)?.unwrap_or(interval),
        size: size.map_err(refuse)?,
        insecure: insecure.unwrap_or(false),
    })
}
