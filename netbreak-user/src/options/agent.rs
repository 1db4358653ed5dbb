//! `netbreak agent`, checked.

use std::net::{IpAddr, SocketAddr};

use super::{
    Family, MAX_ATTEMPTS, MAX_PROBES, MeasureOptions, Output, ProbeSpec, Refused, TargetSpec, limits, origin,
    probe, target, time, validate_run_id,
};
use crate::cli::AgentArgs;
use crate::clock::{Nanos, SECOND};

/// The shortest window: starting and ending one takes a few tenths of a second.
const SHORTEST_WINDOW: Nanos = SECOND;

/// Most reports kept: each may have megabytes.
const MOST_KEPT: usize = 1_000;

/// `netbreak agent`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOptions {
    /// Whom to visit; not resolved yet.
    pub targets: Vec<TargetSpec>,
    /// How to visit each address of theirs.
    pub probes: Vec<ProbeSpec>,
    /// Only this family.
    pub family: Option<Family>,
    /// How long a window is.
    pub window: Nanos,
    /// Time between two attempts of one probe.
    pub interval: Nanos,
    /// When an answer is late.
    pub timeout: Nanos,
    /// Take any certificate.
    pub insecure: bool,
    /// Source address; `None` is the kernel's choice.
    pub source: Option<IpAddr>,
    /// Where it listens for HTTP.
    pub listen: SocketAddr,
    /// How many reports of windows that were not clean it keeps.
    pub keep: usize,
    /// Addresses of one window, at most: what one run takes.
    pub most_addresses: usize,
    /// How it is measured.
    pub measure: MeasureOptions,
}

impl AgentOptions {
    /// Checks every rule that needs neither a resolver nor a kernel.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &AgentArgs) -> Result<Self, Refused> {
        let mut probes = probe::validate_probes(&args.probes)?;
        // Sorted as the report lists them, whatever the order on the command line.
        probes.sort_by_key(|probe| (probe.kind(), probe.port()));
        limits::validate_probe_count(args.targets.len(), probes.len())?;
        let targets = target::validate_targets(&args.targets, false)?;
        let family = origin::validate_family(args.family.ipv4, args.family.ipv6, &targets)?;
        let sources = origin::validate_sources(args.source.as_slice(), family, &targets)?;
        let window = validate_window(&args.window)?;
        let interval = time::validate_time("--interval", &args.interval)?;
        let timeout = time::validate_time("--timeout", &args.timeout)?;
        let of_one: u128 =
            probes.iter().map(|probe| limits::attempts_of(probe.kind(), window, interval)).sum();
        limits::validate_total(targets.len() as u128 * of_one)?;
        limits::validate_outstanding(interval, timeout)?;
        let by_attempts = usize::try_from(MAX_ATTEMPTS / of_one.max(1)).unwrap_or(usize::MAX);
        Ok(AgentOptions {
            most_addresses: by_attempts.min(MAX_PROBES / probes.len()),
            targets,
            probes,
            // A source is of one family, and so is what it visits.
            family: family.or(sources.first().copied().map(Family::of)),
            window,
            interval,
            timeout,
            insecure: args.probes.insecure,
            source: sources.first().copied(),
            listen: validate_listen(&args.listen)?,
            keep: validate_keep(&args.keep)?,
            measure: MeasureOptions {
                trigger: None,
                run_id: None,
                output: Output { stdout: None, json: None, html: None, pcap: None },
                quiet: true,
                no_kernel: args.kernel.no_kernel,
                path: false,
                no_path: args.kernel.no_path,
                flows: limits::validate_flows(&args.kernel.flows)?,
            },
        })
    }
}

/// How long a window is.
fn validate_window(typed: &str) -> Result<Nanos, Refused> {
    match time::validate_time("--window", typed)? {
        window if window >= SHORTEST_WINDOW => Ok(window),
        _ => Err(Refused::new(format!("--window {typed}: a window has at least 1s"))),
    }
}

/// An address and a port, never a name and never all addresses by leaving one out.
fn validate_listen(typed: &str) -> Result<SocketAddr, Refused> {
    typed.parse().map_err(|_| {
        Refused::new(format!(
            "--listen {typed}: expected an address and a port, such as 127.0.0.1:9475 or [::1]:9475"
        ))
    })
}

/// How many reports are kept.
fn validate_keep(typed: &str) -> Result<usize, Refused> {
    match typed.parse() {
        Ok(keep @ 0..=MOST_KEPT) => Ok(keep),
        _ => Err(Refused::new(format!("--keep {typed}: from 0 to {MOST_KEPT} reports can be kept"))),
    }
}

/// Whose packets `/sightings/RUN?duration=TIME` asks for, and how long: a minute unless it says.
pub(crate) fn validate_sightings(run: &str, duration: Option<&str>) -> Result<(u64, Nanos), Refused> {
    const LONGEST: Nanos = 600 * SECOND;
    let run_id = validate_run_id("/sightings/", run)?;
    let typed = duration.unwrap_or("60s");
    match time::validate_time("duration", typed)? {
        duration if duration <= LONGEST => Ok((run_id, duration)),
        _ => Err(Refused::new(format!("duration {typed}: a run is followed for at most 10m"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn agent(line: &str) -> Result<AgentOptions, Refused> {
        match Cli::try_parse_from(format!("netbreak agent {line}").split_whitespace()).unwrap().command {
            Command::Agent(args) => AgentOptions::check(&args),
            _ => panic!("not agent"),
        }
    }

    #[test]
    fn defaults() {
        let options = agent("10.0.2.2").unwrap();
        assert_eq!(options.probes, [ProbeSpec::Icmp, ProbeSpec::Tcp { port: 80 }]);
        assert_eq!((options.window, options.interval, options.timeout), (60 * SECOND, SECOND, SECOND));
        assert_eq!((options.listen, options.keep), (([127, 0, 0, 1], 9475).into(), 20));
        assert_eq!(options.most_addresses, MAX_PROBES / 2);
        assert!(!options.measure.no_kernel && options.measure.quiet);
    }

    #[test]
    fn accepted() {
        let options =
            agent("web.example 10.0.2.2 --udp 4000 --source 10.0.0.1 --listen [::1]:0 --keep 0").unwrap();
        assert_eq!((options.listen.port(), options.keep, options.targets.len()), (0, 0, 2));
        assert_eq!((options.family, options.source), (Some(Family::V4), Some([10, 0, 0, 1].into())));
        let options = agent("web.example --icmp --interval 1ms --window 1h --no-kernel").unwrap();
        assert!(options.measure.no_kernel);
        assert_eq!(options.most_addresses as u128, MAX_ATTEMPTS / 3_600_000);
    }

    #[test]
    fn sightings() {
        assert_eq!(validate_sightings("5eed", None), Ok((0x5eed, 60 * SECOND)));
        assert_eq!(validate_sightings("5EED", Some("10m")), Ok((0x5eed, 600 * SECOND)));
        for (run, duration, words) in [
            ("seed", None, "seed: expected 1 to 16 hexadecimal digits"),
            ("", None, "hexadecimal digits"),
            ("5eed", Some("601s"), "duration 601s: a run is followed for at most 10m"),
            ("5eed", Some("60"), "duration 60: expected a time with its unit"),
            ("5eed", Some(""), "with its unit"),
        ] {
            let message = validate_sightings(run, duration).unwrap_err().to_string();
            assert!(message.contains(words), "{run} {duration:?}: {message}");
        }
    }

    #[test]
    fn refused_lines_name_the_value() {
        for (line, words) in [
            ("10.0.2.2 --window 999ms", "--window 999ms: a window has at least 1s"),
            ("10.0.2.2 --window 5", "--window 5"),
            ("10.0.2.2 --interval 0s", "--interval 0s"),
            ("10.0.2.2 --timeout 0s", "--timeout 0s"),
            ("10.0.2.2 --interval 1us --window 1s", "--timeout"),
            ("10.0.2.2 --interval 1us --timeout 1ms --window 1h", "attempts"),
            ("10.0.2.2 --listen 9475", "--listen 9475: expected an address and a port"),
            ("10.0.2.2 --listen :9475", "--listen :9475"),
            ("10.0.2.2 --listen localhost:9475", "--listen localhost:9475"),
            ("10.0.2.2 --keep 1001", "--keep 1001"),
            ("10.0.2.2 --keep=-1", "--keep -1"),
            ("10.0.2.2 --source eth0", "--source eth0"),
            ("10.0.2.2 --source fd00::1", "fd00::1"),
            ("10.0.2.2 -6", "10.0.2.2"),
            ("10.0.2.2 10.0.2.2", "given twice"),
            ("10.0.2.2 --tcp 0", "--tcp 0"),
            ("10.0.2.2 --flows 0", "--flows 0"),
            ("http://web.example/", "a target is a host"),
        ] {
            let message = agent(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
