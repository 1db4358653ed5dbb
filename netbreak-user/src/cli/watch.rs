//! `netbreak watch`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  netbreak watch
  netbreak watch --address 10.0.2.0/24 --port 80 --only drops
  netbreak watch --reason NETFILTER_DROP --device eth0 --duration 1m
  netbreak watch --json | jq -c 'select(.line == \"row\" and .packets > 100)'
  netbreak watch --run 5eed --json b.json   follow `netbreak run --run-id 5eed` of another node

Of the whole machine, in every network namespace. A repeated option shows what fits one of its values; of different \
options all must fit. On a terminal a table: q quits, p stops and goes on, s sorts; arrows select a row, Enter keeps \
its detail on the screen, / shows rows with the words that are typed, Esc takes back. Else, and with --json, a line a \
second for each row that has grown, and a last one for all of them.
Exit status: 0 watched, 2 it could not (or the command line was refused).";

/// Arguments of `netbreak watch`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WatchArgs {
    /// How long to watch [default: until Ctrl-C]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Print lines of JSON; with --run, where its JSON goes: `-` is standard output
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<String>,
    /// Follow the packets of the run that another node makes with `netbreak run --run-id HEX`, for `netbreak report` to merge
    #[arg(long, value_name = "HEX", requires = "json", conflicts_with_all = ["only", "address", "port", "device", "reason"])]
    pub run: Option<String>,
    /// Only one of the two
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Filter")]
    pub only: Option<Only>,
    /// Either end of the flow
    #[arg(long, value_name = "ADDR[/BITS]", help_heading = "Filter")]
    pub address: Vec<String>,
    /// Either port of the flow
    #[arg(long, value_name = "PORT", help_heading = "Filter")]
    pub port: Vec<String>,
    /// Device where the packets were
    #[arg(long, value_name = "DEV", help_heading = "Filter")]
    pub device: Vec<String>,
    /// Drop reason as the kernel calls it, or SYN-ACK
    #[arg(long, value_name = "REASON", help_heading = "Filter")]
    pub reason: Vec<String>,
    /// Network namespace where the packets were
    #[arg(long, value_name = "NAME|PATH|pid:N", help_heading = "Filter")]
    pub netns: Vec<String>,
    /// Size of the kernel's table of flows
    #[arg(long, value_name = "N", default_value = "16384", help_heading = "Kernel")]
    pub flows: String,
}

/// What `netbreak watch` can be told to show alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Packets that the kernel freed unread
    Drops,
    /// TCP segments that were sent again
    Retransmits,
}
