//! `netbreak agent`.

use clap::Args;

use super::{FamilyArgs, KernelArgs, ProbeArgs};

const EXAMPLES: &str = "\
Examples:
  netbreak agent 10.0.2.2 10.0.3.2
  netbreak agent netbreak-node.netbreak.svc --icmp --tcp 10250
  netbreak agent web.example --https /healthz --interval 5s --listen 0.0.0.0:9475

With no probe option: --icmp --tcp 80. A name means each of its addresses but this host's own, and is resolved anew \
before each window; between two windows the last answers are waited for. Paths of the listener: /metrics, /healthz, \
/reports, /reports/ID?format=html|markdown|text|json, /sightings/RUN?duration=60s. It asks nobody for a password: \
whoever reaches it can read all of that, and have the packets of a run followed.
SIGINT or SIGTERM ends it, once the last answers have come or timed out.
Exit status: 0 when it was told to end; 2 when it could not start (or the command line was refused).";

/// Arguments of `netbreak agent`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AgentArgs {
    /// Host name, IPv4 address or IPv6 address
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// How to visit each of them.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// Time between two attempts of one probe
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Plan")]
    pub interval: String,
    /// An answer that comes later than this is late
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Plan")]
    pub timeout: String,
    /// How long to probe before the result is counted, and the next window begins
    #[arg(long, value_name = "TIME", default_value = "1m", help_heading = "Plan")]
    pub window: String,
    /// Over which family.
    #[command(flatten)]
    pub family: FamilyArgs,
    /// Source address
    #[arg(long, value_name = "ADDR", help_heading = "Packets")]
    pub source: Option<String>,
    /// Address and port to listen on for HTTP; port 0 is any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9475", help_heading = "Results")]
    pub listen: String,
    /// Windows that were not clean whose reports are kept, in memory
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Results")]
    pub keep: String,
    /// What is loaded into the kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
}
