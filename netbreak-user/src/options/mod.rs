//! What the user typed, checked: one `validate_*` a rule, each with its table of accepted and refused lines.
//!
//! All of it is pure but [`resolve`] (which asks the system's resolver) and [`Files`] (which opens them).

mod agent;
mod limits;
mod matrix;
mod measure;
mod origin;
mod output;
mod probe;
mod report;
mod resolve;
mod target;
mod test_server;
mod time;
mod trigger;
mod watch;

pub use agent::AgentOptions;
pub(crate) use agent::validate_sightings;
pub use limits::{MAX_ATTEMPTS, MAX_PROBES, MAX_SIZE, MIN_SIZE};
pub use matrix::{MatrixOptions, MatrixRow, MatrixSource, Place, WayOfVisiting};
pub use measure::MeasureOptions;
pub use origin::{Family, Netns};
pub use output::{Files, Output, ReportFile};
pub use probe::ProbeSpec;
pub use report::ReportOptions;
pub use resolve::{resolve, resolve_all};
pub use target::{Host, TargetSpec};
pub use trigger::Trigger;
pub use watch::{Follow, WatchOptions};

use std::net::IpAddr;

use crate::cli::{DemoArgs, DemoFrom, DemoLab, DemoOvn0, RunArgs, ServeArgs};
use crate::clock::{MILLISECOND, Nanos, SECOND};
use crate::probe::Kind;
use crate::run_id;

/// A command line that cannot be run: what is wrong, with which value, and what to type instead. Exit status 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Refused(message.into())
    }
}

/// `netbreak run`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// Whom to visit; not resolved yet.
    pub targets: Vec<TargetSpec>,
    /// How to visit each of them.
    pub probes: Vec<ProbeSpec>,
    /// Only this family.
    pub family: Option<Family>,
    /// How long to probe.
    pub duration: Nanos,
    /// Time between two attempts of one probe.
    pub interval: Nanos,
    /// Time between two connects of tcp, http and https; `None` is `interval`.
    pub connect_interval: Option<Nanos>,
    /// How many connects of each tcp, http and https probe are in flight, `connect_interval` being their least distance;
    /// `None` is an open loop.
    pub connections: Option<usize>,
    /// Connections of each stream.
    pub streams: usize,
    /// When an answer is late.
    pub timeout: Nanos,
    /// Payload of an echo or a datagram in bytes; `None` is the probe's own default.
    pub size: Option<usize>,
    /// Forbid fragmentation.
    pub dont_fragment: bool,
    /// Take any certificate.
    pub insecure: bool,
    /// Where probes leave from; `None` is our own namespace.
    pub netns: Option<Netns>,
    /// Source addresses; none is the kernel's choice.
    pub sources: Vec<IpAddr>,
    /// Device to bind to.
    pub interface: Option<String>,
    /// How it is measured and told.
    pub measure: MeasureOptions,
}

impl RunOptions {
    /// Checks every rule that needs neither a resolver nor a kernel.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &RunArgs) -> Result<Self, Refused> {
        let interface = args
            .interface
            .as_deref()
            .map(|typed| origin::validate_interface("--interface", typed))
            .transpose()?;
        let mut probes = probe::validate_probes(&args.probes)?;
        // Sorted as the report lists them, whatever the order on the command line.
        probes.sort_by_key(|probe| (probe.kind(), probe.port()));
        let streams = limits::validate_streams(&args.streams)?;
        let more = probes.iter().filter(|probe| probe.kind() == Kind::Stream).count() * (streams - 1);
        limits::validate_probe_count(args.targets.len(), probes.len() + more)?;
        let targets = target::validate_targets(&args.targets, interface.is_some())?;
        let family = origin::validate_family(args.family.ipv4, args.family.ipv6, &targets)?;
        let sources = origin::validate_sources(&args.source, family, &targets)?;
        let duration = time::validate_time("--duration", &args.duration)?;
        let interval = match &args.rate {
            Some(rate) => limits::validate_rate(rate)?,
            None => time::validate_time("--interval", &args.interval)?,
        };
        let timeout = time::validate_time("--timeout", &args.timeout)?;
        let connections = args.connections.as_deref();
        let connections =
            connections.map(|typed| limits::validate_connections(typed, &probes)).transpose()?;
        let closed = probes.iter().filter(|probe| probe.connects()).count();
        let connect_interval =
            connections.map(|_| limits::closed_loop_interval(targets.len() * closed, duration));
        let interval_of =
            |probe: &ProbeSpec| connect_interval.filter(|_| probe.connects()).unwrap_or(interval);
        let attempts_of = |probe: &ProbeSpec| match probe.kind() {
            Kind::Stream => limits::stream_attempts(streams, duration),
            kind => limits::attempts_of(kind, duration, interval_of(probe)),
        };
        limits::validate_total(targets.len() as u128 * probes.iter().map(attempts_of).sum::<u128>())?;
        limits::validate_outstanding(interval, timeout)?;
        let size = args.size.as_deref().map(|typed| limits::validate_sized(typed, &probes)).transpose()?;
        Ok(RunOptions {
            targets,
            probes,
            family,
            duration,
            interval,
            connect_interval,
            connections,
            streams,
            timeout,
            size,
            dont_fragment: args.dont_fragment,
            insecure: args.probes.insecure,
            netns: args.netns.as_deref().map(origin::validate_netns).transpose()?,
            sources,
            interface,
            measure: MeasureOptions::check(
                (&args.trigger, &args.output, &args.kernel),
                args.run_id.as_deref(),
                duration,
            )?,
        })
    }
}

impl RunOptions {
    /// Time between two attempts of a probe of this kind.
    pub fn interval_of(&self, kind: Kind) -> Nanos {
        self.connect_interval.filter(|_| kind.connects()).unwrap_or(self.interval)
    }

    /// Probes that one way of visiting makes of each target.
    pub fn probes_of(&self, kind: Kind) -> usize {
        if kind == Kind::Stream { self.streams } else { 1 }
    }

    /// How many attempts of a probe of this kind are in flight in a closed loop; `None` is an open loop.
    pub fn connections_of(&self, kind: Kind) -> Option<usize> {
        self.connections.filter(|_| kind.connects())
    }
}

/// What packets of a run carry: up to 16 hexadecimal digits, and not zero, which stands for no run at all.
fn validate_run_id(option: &str, typed: &str) -> Result<u64, Refused> {
    run_id::parse(typed).ok_or_else(|| {
        Refused::new(format!(
            "{option} {typed}: expected 1 to 16 hexadecimal digits, such as 5eed0123, not all zero"
        ))
    })
}

/// `netbreak serve`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// What to serve on which port; never [`Kind::Icmp`].
    pub services: Vec<(Kind, u16)>,
    /// Addresses to listen on; at least one.
    pub bind: Vec<IpAddr>,
}

impl ServeOptions {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &ServeArgs) -> Result<Self, Refused> {
        let bind =
            args.bind.iter().map(|a| origin::validate_address("--bind", a)).collect::<Result<_, _>>()?;
        Ok(ServeOptions { services: probe::validate_services(args)?, bind })
    }
}

/// `netbreak demo`, checked. Whether the fault exists is the lab's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoOptions {
    /// Which lab.
    pub lab: DemoLab,
    /// The fault's name; `None` is the lab's first.
    pub fault: Option<String>,
    /// Only list the faults.
    pub list: bool,
    /// Where the probes leave from, in a lab with Open vSwitch.
    pub from: DemoFrom,
    /// What `ovn0` is, in a cluster.
    pub ovn0: DemoOvn0,
    /// Between two attempts of a probe, in a cluster.
    pub interval: Nanos,
    /// How long to probe.
    pub duration: Nanos,
    /// Report the way of the probes' packets.
    pub path: bool,
    /// Where the report goes.
    pub output: Output,
}

impl DemoOptions {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &DemoArgs) -> Result<Self, Refused> {
        Ok(DemoOptions {
            lab: args.lab,
            fault: args.fault.clone(),
            list: args.list,
            from: args.from,
            ovn0: args.ovn0,
            interval: validate_demo_interval(args)?,
            duration: match &args.duration {
                Some(typed) => time::validate_time("--duration", typed)?,
                None if args.lab == DemoLab::OvnCluster => 60 * SECOND,
                None => 8 * SECOND,
            },
            path: args.path,
            output: output::validate_output((args.json.as_deref(), args.html.as_deref()), None, false)?,
        })
    }
}

/// The other labs have a pace of their own.
fn validate_demo_interval(args: &DemoArgs) -> Result<Nanos, Refused> {
    match &args.interval {
        None => Ok(20 * MILLISECOND),
        Some(typed) if args.lab != DemoLab::OvnCluster => Err(Refused::new(format!(
            "--interval {typed} is for --lab ovn-cluster: the other labs have a pace of their own"
        ))),
        Some(typed) => time::validate_time("--interval", typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn run(line: &str) -> Result<RunOptions, Refused> {
        match Cli::try_parse_from(format!("netbreak run {line}").split_whitespace()).unwrap().command {
            Command::Run(args) => RunOptions::check(&args),
            _ => panic!("not run"),
        }
    }

    fn serve(line: &str) -> Result<ServeOptions, Refused> {
        match Cli::try_parse_from(format!("netbreak serve {line}").split_whitespace()).unwrap().command {
            Command::Serve(args) => ServeOptions::check(&args),
            _ => panic!("not serve"),
        }
    }

    #[test]
    fn defaults() {
        let options = run("10.0.2.2").unwrap();
        assert_eq!(options.probes, [ProbeSpec::Icmp, ProbeSpec::Tcp { port: 80 }]);
        assert_eq!(
            (options.duration, options.interval, options.timeout),
            (60 * SECOND, 10 * MILLISECOND, SECOND)
        );
        assert_eq!((options.measure.flows, options.size), (16384, None));
        assert_eq!(serve("--udp 4000").unwrap().bind, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn refused_lines_name_the_value() {
        for (line, words) in [
            ("10.0.2.2 --tcp 0", "--tcp 0"),
            ("10.0.2.2 --udp 70000", "--udp 70000"),
            ("10.0.2.2 --interval 0s", "--interval 0s"),
            ("10.0.2.2 --duration 0s", "--duration 0s"),
            ("10.0.2.2 --timeout 0s", "--timeout 0s"),
            ("10.0.2.2 --size 1", "--size 1"),
            ("10.0.2.2 --tcp 80 --stream 90 --size 100", "--size 100 is for --icmp and --udp"),
            ("10.0.2.2 --flows 0", "--flows 0"),
            ("10.0.2.2 -6", "10.0.2.2"),
            ("10.0.2.2 --source fd00::1", "fd00::1"),
            ("10.0.2.2 10.0.2.2", "10.0.2.2"),
            ("10.0.2.2 --http --http 80/", "http 80/"),
            ("--http 10.0.2.2 10.0.2.3", "10.0.2.2"),
            ("http://[fd00::1]:8080/x", "netbreak run fd00::1 --http 8080/x"),
            ("10.0.2.2 --json - --output text", "--output text"),
            ("10.0.2.2 --json - --html -", "--html -"),
            ("10.0.2.2 --json a --html a", "--html a"),
            ("10.0.2.2 --interval 1us --duration 1s", "--timeout"),
            ("10.0.2.2 --duration 1000h", "--interval"),
            ("10.0.2.2 --trigger true --duration 10s", "--duration"),
            ("10.0.2.2 --trigger true --quiet-for 0s", "--quiet-for 0s"),
            ("10.0.2.2 --rate 0", "--rate 0"),
            ("10.0.2.2 --connections 0", "--connections 0"),
            ("10.0.2.2 --icmp --connections 5", "--tcp, --http or --https"),
            ("10.0.2.2 --https x", "--https x"),
            ("10.0.2.2 --stream 5 --streams 0", "--streams 0"),
            ("10.0.2.2 --stream 5 --stream 6 --streams 2049", "4098"),
            ("10.0.2.2 --source 10.0.0.1 --source 10.0.0.1", "given twice"),
            ("https://web.example/x", "netbreak run web.example --https /x"),
            ("10.0.2.2 --netns pid:x", "pid:x"),
            ("10.0.2.2 --interface a/b", "a/b"),
        ] {
            let message = run(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
        for (line, words) in [
            ("", "at least one"),
            ("--tcp 80 --http 80", "80"),
            ("--tcp 80 --bind localhost", "localhost"),
            ("--udp 65536", "--udp 65536"),
        ] {
            let message = serve(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
        assert!(serve("--tcp 80 --udp 80").is_ok());
        let any = serve("--tcp 0 --http 0 --udp 0").unwrap().services;
        assert_eq!(any, [(Kind::Tcp, 0), (Kind::Http, 0), (Kind::Udp, 0)]);
    }

    #[test]
    fn a_rate_is_an_interval_and_a_closed_loop_has_a_least_one() {
        let options = run("10.0.2.2 --rate 5000").unwrap();
        assert_eq!((options.interval, options.connections), (SECOND / 5000, None));
        let options = run("10.0.2.2 --https --insecure --icmp --connections 100").unwrap();
        assert_eq!(options.interval_of(Kind::Icmp), 10 * MILLISECOND);
        assert_eq!(options.interval_of(Kind::Https), 10 * MILLISECOND / 1000);
        assert_eq!(
            (options.connections_of(Kind::Https), options.connections_of(Kind::Icmp)),
            (Some(100), None)
        );
        // Half of what one run remembers, whatever the duration.
        let options = run("10.0.2.2 10.0.2.3 --tcp 1 --http --connections 9 --duration 10h").unwrap();
        let attempts = 4 * (options.duration / options.interval_of(Kind::Tcp));
        assert!(attempts <= MAX_ATTEMPTS as u64 / 2 && attempts > MAX_ATTEMPTS as u64 / 3, "{attempts}");
    }

    #[test]
    fn an_interval_of_a_demo_is_the_clusters() {
        let demo = |line: &str| match Cli::try_parse_from(format!("netbreak demo{line}").split(' '))
            .unwrap()
            .command
        {
            Command::Demo(args) => DemoOptions::check(&args).map(|options| options.interval),
            _ => panic!("not demo"),
        };
        assert_eq!(demo(""), Ok(20 * MILLISECOND));
        assert_eq!(demo(" --lab ovn-cluster --interval 50ms"), Ok(50 * MILLISECOND));
        let message = demo(" --interval 50ms").unwrap_err().to_string();
        assert!(message.starts_with("--interval 50ms is for --lab ovn-cluster"), "{message}");
    }

    #[test]
    fn a_hundred_thousand_targets() {
        let line: Vec<String> = (0..100_000).map(|i| format!("host{i}.example")).collect();
        let message = run(&line.join(" ")).unwrap_err().to_string();
        assert!(message.contains("100000 targets") && message.contains("4096"), "{message}");
    }
}
