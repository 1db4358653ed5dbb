//! `netbreak watch`, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::{Netns, Refused, limits, origin, time::validate_time, validate_run_id};
use crate::{
    cli::{Only, WatchArgs},
    clock::Nanos,
    live::{Filter, Prefix, What},
};

/// `netbreak watch`, checked. Whether a reason exists is the kernel's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOptions {
    /// Until when; `None` = until it is interrupted.
    pub duration: Option<Nanos>,
    /// What is shown, but for namespaces.
    pub filter: Filter,
    /// Namespaces that are shown; none = all.
    pub netns: Vec<Netns>,
    /// Lines of JSON.
    pub json: bool,
    /// The packets of one run, and nothing else.
    pub run: Option<Follow>,
    /// Entries of the kernel's flow map.
    pub flows: u32,
}

/// `netbreak watch --run`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// What the packets carry.
    pub run_id: u64,
    /// Where what was seen goes; `None` = standard output.
    pub json: Option<PathBuf>,
}

impl WatchOptions {
    /// How long to watch. Without a duration: longer than anybody watches.
    pub fn at_most(&self) -> Duration {
        self.duration.map_or(Duration::from_hours(24 * 365), Duration::from_nanos)
    }

    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &WatchArgs) -> Result<Self, Refused> {
        Ok(WatchOptions {
            duration: args.duration.as_deref().map(|typed| validate_time("--duration", typed)).transpose()?,
            filter: Filter {
                what: args.only.map(|only| match only {
                    Only::Drops => What::Drop,
                    Only::Retransmits => What::Retransmit,
                }),
                addresses: all(&args.address, validate_prefix)?,
                ports: all(&args.port, validate_port)?,
                devices: all(&args.device, |typed| origin::validate_interface("--device", typed))?,
                reasons: all(&args.reason, validate_reason)?,
                netns: Vec::new(),
            },
            netns: all(&args.netns, origin::validate_netns)?,
            json: args.json.is_some(),
            run: validate_run(args.run.as_deref(), args.json.as_deref())?,
            flows: limits::validate_flows(&args.flows)?,
        })
    }
}

/// Lines go to standard output, the sightings of a run wherever they are wanted.
fn validate_run(run: Option<&str>, json: Option<&str>) -> Result<Option<Follow>, Refused> {
    let file = match json {
        None | Some("-") => None,
        Some("") => return Err(Refused::new("--json: the path is empty; `-` is standard output")),
        Some(path) => Some(PathBuf::from(path)),
    };
    match (run, file) {
        (Some(typed), json) => Ok(Some(Follow { run_id: validate_run_id("--run", typed)?, json })),
        (None, Some(file)) => Err(Refused::new(format!(
            "--json {}: lines are printed; only what --run sees goes to a file",
            file.display()
        ))),
        (None, None) => Ok(None),
    }
}

fn all<T>(typed: &[String], validate: impl Fn(&str) -> Result<T, Refused>) -> Result<Vec<T>, Refused> {
    typed.iter().map(|typed| validate(typed)).collect()
}

/// An address, or an address and how many bits of it count.
fn validate_prefix(typed: &str) -> Result<Prefix, Refused> {
    let (address, bits) = match typed.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (typed, None),
    };
    let address = origin::validate_address("--address", address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits.map_or(Ok(most), str::parse) {
        Ok(bits @ 0..=128) if bits <= most => Ok(Prefix { address, bits }),
        _ => Err(Refused::new(format!("--address {typed}: expected at most {most} bits after the slash"))),
    }
}

fn validate_port(typed: &str) -> Result<u16, Refused> {
    match typed.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(Refused::new(format!("--port {typed}: a port is a number from 1 to 65535"))),
    }
}

fn validate_reason(typed: &str) -> Result<String, Refused> {
    if typed.is_empty() {
        return Err(Refused::new("--reason: expected a name such as NETFILTER_DROP"));
    }
    Ok(typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn watch(line: &str) -> Result<WatchOptions, Refused> {
        let words = format!("netbreak watch {line}");
        match Cli::try_parse_from(words.split_whitespace()).unwrap().command {
            Command::Watch(args) => WatchOptions::check(&args),
            _ => panic!("not watch"),
        }
    }

    #[test]
    fn accepted() {
        let plain = watch("").unwrap();
        assert_eq!((plain.duration, plain.filter, plain.json), (None, Filter::default(), false));
        let options = watch(
            "--duration 2s --address 10.0.0.0/8 --address fd00::1 --port 80 --port 90 --device r0 --only drops \
             --reason NO_SOCKET --netns pid:1 --json",
        )
        .unwrap();
        let bits: Vec<u8> = options.filter.addresses.iter().map(|prefix| prefix.bits).collect();
        assert_eq!((bits, &options.filter.ports[..]), (vec![8, 128], &[80, 90][..]));
        assert_eq!((options.filter.what, options.netns), (Some(What::Drop), vec![Netns::Pid(1)]));
    }

    #[test]
    fn a_run_is_followed_into_a_file_or_standard_output() {
        let follow = |line: &str| watch(line).unwrap().run;
        let json = Some(PathBuf::from("b.json"));
        assert_eq!(follow("--run 5EED --json b.json --netns pid:1"), Some(Follow { run_id: 0x5eed, json }));
        for line in ["--run 5eed --json", "--run 5eed --json -"] {
            assert_eq!(follow(line), Some(Follow { run_id: 0x5eed, json: None }), "{line}");
        }
        assert_eq!((follow("--json"), follow("")), (None, None));
    }

    #[test]
    fn refused() {
        for (line, words) in [
            ("--duration 5", "--duration 5"),
            ("--address web", "--address web"),
            ("--address 10.0.0.0/33", "at most 32 bits"),
            ("--address fd00::/129", "at most 128 bits"),
            ("--address 10.0.0.0/x", "--address 10.0.0.0/x"),
            ("--port 65536", "--port 65536"),
            ("--port 0", "--port 0"),
            ("--device a/b", "--device a/b"),
            ("--netns pid:x", "--netns pid:x"),
            ("--flows 0", "--flows 0"),
            ("--reason=", "--reason"),
            ("--json a", "--json a: lines are printed"),
            ("--run 5eed --json=", "the path is empty"),
            ("--run seed --json", "--run seed: expected 1 to 16 hexadecimal digits"),
            ("--run 0 --json", "--run 0"),
        ] {
            let message = watch(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
