//! `netbreak run`.

use clap::Args;

use super::{FamilyArgs, KernelArgs, OutputArgs, ProbeArgs, TriggerArgs};

const EXAMPLES: &str = "\
Examples:
  netbreak run 10.0.2.2
  netbreak run fd00::1 --http 8080/healthz --duration 5m
  netbreak run 10.0.2.2 10.0.3.2 --icmp --udp 4000 --interval 5ms
  netbreak run web.example -6 --tcp 443 --json report.json --html report.html
  netbreak run web.example --https /healthz --connections 100
  netbreak run 10.244.1.7 --netns pid:4711 --stream 5000
  netbreak run 10.244.1.7 --trigger 'kubectl ko reload' --duration 10m

With no probe option: --icmp --tcp 80. udp and stream need `netbreak serve` at the other end.
Ctrl-C ends the run early and still prints and writes its report, once the last answers have come or timed out; a \
second one does not wait for them, and there is no report. A terminal that goes away is a Ctrl-C, too.
Exit status: 0 clean, 1 broken, 2 the run could not tell (or the command line was refused).";

/// Arguments of `netbreak run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Host name, IPv4 address or IPv6 address
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// How to visit each of them.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// Connections of each --stream, each with a record of its own; with many, each writes 10 times a second
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Probes", requires = "stream")]
    pub streams: String,
    /// How long to probe
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = "Plan")]
    pub duration: String,
    /// Time between two attempts of one probe
    #[arg(long, value_name = "TIME", default_value = "10ms", help_heading = "Plan")]
    pub interval: String,
    /// Attempts of each probe a second: the same as an --interval of 1/R
    #[arg(long, value_name = "R", help_heading = "Plan", conflicts_with = "interval")]
    pub rate: Option<String>,
    /// Keep this many connects of each tcp, http and https probe in flight: as one ends the next begins
    #[arg(long, value_name = "N", help_heading = "Plan", conflicts_with = "rate")]
    pub connections: Option<String>,
    /// An answer that comes later than this is late
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Plan")]
    pub timeout: String,
    /// What breaks the network.
    #[command(flatten)]
    pub trigger: TriggerArgs,
    /// Payload of an echo or a datagram, in bytes
    #[arg(long, value_name = "BYTES", help_heading = "Packets")]
    pub size: Option<String>,
    /// Forbid fragmentation on the way
    #[arg(long, help_heading = "Packets")]
    pub dont_fragment: bool,
    /// Over which family.
    #[command(flatten)]
    pub family: FamilyArgs,
    /// Network namespace that the probes leave from
    #[arg(long, value_name = "NAME|PATH|pid:N", help_heading = "Packets")]
    pub netns: Option<String>,
    /// Source address; of several, connections take turns, and icmp and udp have the first
    #[arg(long, value_name = "ADDR", help_heading = "Packets")]
    pub source: Vec<String>,
    /// Device that the probes leave by
    #[arg(long, value_name = "DEV", help_heading = "Packets")]
    pub interface: Option<String>,
    /// What the packets of this run carry, up to 16 hexadecimal digits [default: a random number]. Other nodes follow them
    /// by `netbreak watch --run HEX`
    #[arg(long, value_name = "HEX", help_heading = "Packets")]
    pub run_id: Option<String>,
    /// Where the report goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What is loaded into the kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
}
