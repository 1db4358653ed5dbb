//! `netbreak watch`, checked.

use super::{Netns, Refused, limits, origin, time::validate_time};
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
    /// Entries of the kernel's flow map.
    pub flows: u32,
}

impl WatchOptions {
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
            json: args.json,
            flows: limits::validate_flows(&args.flows)?,
        })
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
    typed.parse().map_err(|_| Refused::new(format!("--port {typed}: expected a number up to 65535")))
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
            "--duration 2s --address 10.0.0.0/8 --address fd00::1 --port 80 --port 0 --device r0 --only drops \
             --reason NO_SOCKET --netns pid:1 --json",
        )
        .unwrap();
        let bits: Vec<u8> = options.filter.addresses.iter().map(|prefix| prefix.bits).collect();
        assert_eq!((bits, &options.filter.ports[..]), (vec![8, 128], &[80, 0][..]));
        assert_eq!((options.filter.what, options.netns), (Some(What::Drop), vec![Netns::Pid(1)]));
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
            ("--device a/b", "--device a/b"),
            ("--netns pid:x", "--netns pid:x"),
            ("--flows 0", "--flows 0"),
            ("--reason=", "--reason"),
        ] {
            let message = watch(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
