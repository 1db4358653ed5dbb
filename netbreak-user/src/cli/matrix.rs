//! `netbreak matrix`.

use clap::Args;

use super::{KernelArgs, OutputArgs, TriggerArgs};

const EXAMPLES: &str = "\
Examples:
  netbreak matrix --init > kube-ovn.toml
  netbreak matrix kube-ovn.toml --check
  netbreak matrix kube-ovn.toml --trigger 'kubectl ko reload' --duration 10m
  netbreak matrix kube-ovn.toml --row 'pod, other node' --row Service --output markdown

The file names sources, targets, probes and rows; docs/matrix.md explains it. All rows run at the same time, on one \
clock, with one tracer. A saved report of a matrix is rendered again by `netbreak report`.
Exit status: 0 clean, 1 broken, 2 the run could not tell (or the file or command line was refused).";

/// Arguments of `netbreak matrix`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MatrixArgs {
    /// The file, in TOML; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "init")]
    pub file: Option<String>,
    /// Only check the file, and show the plan
    #[arg(long, conflicts_with = "init")]
    pub check: bool,
    /// Print a file for the cluster that kubectl finds: rows as for kube-ovn, with the addresses of its pods and nodes
    #[arg(long, conflicts_with = "file")]
    pub init: bool,
    /// For --init: the pod that most probes leave from [default: the first one that has others on its own node and on
    /// another]
    #[arg(long, value_name = "NAMESPACE/POD", requires = "init")]
    pub client: Option<String>,
    /// For --init: the Service to visit [default: the first one of type NodePort with a TCP port]
    #[arg(long, value_name = "NAMESPACE/SERVICE", requires = "init")]
    pub service: Option<String>,
    /// For --init: the address outside of the cluster
    #[arg(long, value_name = "ADDR", requires = "init")]
    pub outside: Option<String>,
    /// Only the row of this name
    #[arg(long, value_name = "NAME")]
    pub row: Vec<String>,
    /// What the packets of this run carry, up to 16 hexadecimal digits [default: a random number]. Other nodes follow them
    /// by `netbreak watch --run HEX`
    #[arg(long, value_name = "HEX")]
    pub run_id: Option<String>,
    /// How long to probe [default: the file's, else 60s]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// What breaks the network.
    #[command(flatten)]
    pub trigger: TriggerArgs,
    /// Where the report goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What is loaded into the kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
}
