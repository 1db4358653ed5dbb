//! Options that more than one command has.

use clap::Args;

use super::Format;

/// How every target is visited.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Probe with ICMP echoes
    #[arg(long, help_heading = "Probes")]
    pub icmp: bool,
    /// Probe with TCP connects to this port
    #[arg(long, value_name = "PORT", help_heading = "Probes")]
    pub tcp: Vec<String>,
    /// Probe with HTTP requests, each on a connection of its own; port, path or both [default: 80/]
    #[arg(long, value_name = "PORT/PATH", help_heading = "Probes", num_args = 0..=1, default_missing_value = "80/")]
    pub http: Vec<String>,
    /// The same within TLS; the server's certificate must lead to one of the system's roots [default: 443/]
    #[arg(long, value_name = "PORT/PATH", help_heading = "Probes", num_args = 0..=1, default_missing_value = "443/")]
    pub https: Vec<String>,
    /// Take any certificate of an https server
    #[arg(long, help_heading = "Probes", requires = "https")]
    pub insecure: bool,
    /// Probe with datagrams to this port of `netbreak serve`
    #[arg(long, value_name = "PORT", help_heading = "Probes")]
    pub udp: Vec<String>,
    /// Probe with one long-lived TCP connection to this port of `netbreak serve`
    #[arg(long, value_name = "PORT", help_heading = "Probes")]
    pub stream: Vec<String>,
}

/// One of the two families.
#[derive(Debug, Args)]
pub struct FamilyArgs {
    /// IPv4 only
    #[arg(short = '4', help_heading = "Packets", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', help_heading = "Packets")]
    pub ipv6: bool,
}

/// What breaks the network meanwhile.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Command for `sh -c` that breaks what is measured, such as 'kubectl ko reload'. The run ends before --duration once
    /// it is over and everything has been answered for a while
    #[arg(long = "trigger", value_name = "CMD", help_heading = "Trigger")]
    pub command: Option<String>,
    /// How long to probe before the trigger
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "Trigger", requires = "command")]
    pub lead_in: String,
    /// How long everything must have been answered in time after the trigger for the run to end
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "Trigger", requires = "command")]
    pub quiet_for: String,
}

/// Where the report of a measurement goes, and what it has.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE|-", help_heading = "Report")]
    pub json: Option<String>,
    /// Write the report as a page with pictures, one file that needs no network; `-` is standard output
    #[arg(long, value_name = "FILE|-", help_heading = "Report")]
    pub html: Option<String>,
    /// Write the packets whose drop ended an attempt (their headers) to a pcapng file, each with a comment: its death
    #[arg(long, value_name = "FILE", help_heading = "Report", conflicts_with = "no_kernel")]
    pub pcap: Option<String>,
    /// Format of the report on standard output [default: text]
    #[arg(long = "output", value_enum, value_name = "FORMAT", help_heading = "Report")]
    pub format: Option<Format>,
    /// No progress bar, and nothing on standard output unless --output, `--json -` or `--html -` asks for it
    #[arg(long, help_heading = "Report")]
    pub quiet: bool,
    /// Show the way of the probes' packets, stage by stage, and where lost ones left it
    #[arg(long, help_heading = "Report", conflicts_with_all = ["no_path", "no_kernel"])]
    pub path: bool,
}

/// What is loaded into the kernel.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// Probe only: load nothing into the kernel
    #[arg(long, help_heading = "Kernel")]
    pub no_kernel: bool,
    /// Do not follow the probes' packets from device to device: a packet that was not dropped has no place then
    #[arg(long, help_heading = "Kernel")]
    pub no_path: bool,
    /// Size of the kernel's table of dropped flows
    #[arg(long, value_name = "N", default_value = "16384", help_heading = "Kernel")]
    pub flows: String,
}
