//! `netbreak test-server`: the flags of kube-ovn's test-server as a run.

use clap::Parser;

use super::{Refused, RunOptions};
use crate::cli::{Format, RunArgs, TestServerArgs};
use crate::clock::MILLISECOND;

/// Where its `iperf3` went, whatever the port of the requests.
const STREAM_PORT: u16 = 5201;

/// `netbreak run`, for its defaults.
#[derive(Parser)]
struct Run {
    #[command(flatten)]
    args: RunArgs,
}

impl RunOptions {
    /// The run that does what test-server did: echoes every 10 ms (`ping -i 0.01`), requests of at most a second every
    /// 100 ms (`curl -m 1`), and one stream.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_test_server(args: &TestServerArgs) -> Result<Self, Refused> {
        let seconds = validate_seconds(&args.duration_seconds)?;
        let port = validate_port(&args.remote_port)?;
        let output = if args.output == "text" { Format::TestServerText } else { Format::TestServer };
        let address = args.address.as_ref().unwrap_or(&args.remote_address);
        let line = format!(
            "--icmp --http {port}/ --stream {STREAM_PORT} --duration {seconds}s --interval 10ms --timeout 1s"
        );
        // What it did not have is as `run` has it.
        let mut run = Run::try_parse_from(["run"].into_iter().chain(line.split(' ')).chain(["--", address]))
            .map_err(|error| Refused::new(error.to_string()))?
            .args;
        (run.output.json, run.output.html) = (args.json.clone(), args.html.clone());
        (run.output.format, run.output.quiet) = (Some(output), true);
        let options = RunOptions::check(&run)?;
        Ok(RunOptions { connect_interval: Some(100 * MILLISECOND), ..options })
    }
}

fn validate_seconds(typed: &str) -> Result<u32, Refused> {
    match typed.parse() {
        Ok(seconds @ 1..) => Ok(seconds),
        _ => Err(Refused::new(format!(
            "--duration-seconds {typed}: expected a whole number of seconds, at least 1"
        ))),
    }
}

fn validate_port(typed: &str) -> Result<u16, Refused> {
    match typed.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(Refused::new(format!("--remote-port {typed}: a port is a number from 1 to 65535"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::clock::SECOND;
    use crate::options::{Host, ProbeSpec};
    use crate::probe::Kind;

    fn check(line: &str) -> Result<RunOptions, Refused> {
        let line = format!("netbreak test-server {line}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::TestServer(args) => RunOptions::check_test_server(&args),
            _ => panic!("not test-server"),
        }
    }

    #[test]
    fn without_flags_it_is_what_it_was() {
        let options = check("").unwrap();
        assert_eq!(options.targets[0].host, Host::Address([100, 64, 0, 1].into()));
        assert_eq!(
            options.probes,
            [
                ProbeSpec::Icmp,
                ProbeSpec::Http { port: 80, path: "/".into() },
                ProbeSpec::Stream { port: 5201 }
            ]
        );
        assert_eq!((options.duration, options.timeout), (60 * SECOND, SECOND));
        assert_eq!(options.interval_of(Kind::Icmp), 10 * MILLISECOND);
        assert_eq!(options.interval_of(Kind::Http), 100 * MILLISECOND);
        assert_eq!(options.measure.output.stdout, Some(Format::TestServerText));
    }

    #[test]
    fn both_forms() {
        let old = check("10.0.2.2").unwrap();
        assert_eq!(old, check("--remote-address 10.0.2.2").unwrap());
        let options =
            check("--duration-seconds=5 --remote-port 8080 --remote-address=::1 --output=json").unwrap();
        assert_eq!(options.duration, 5 * SECOND);
        assert_eq!(options.probes[1].port(), Some(8080));
        for output in ["json", "yaml", "Text"] {
            let options = check(&format!("--output {output}")).unwrap();
            assert_eq!(options.measure.output.stdout, Some(Format::TestServer), "{output}");
        }
        assert!(Cli::try_parse_from("netbreak test-server a --remote-address b".split(' ')).is_err());
    }

    #[test]
    fn refused() {
        for (line, words) in [
            ("--duration-seconds 0", "--duration-seconds 0"),
            ("--duration-seconds 1m", "whole number"),
            ("--remote-port 0", "--remote-port 0"),
            ("--remote-port 65536", "1 to 65535"),
            ("--remote-address 10.0.0.256", "10.0.0.256"),
            ("--remote-address=--icmp", "--icmp"),
            ("--json -", "--json -"),
        ] {
            let message = check(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
