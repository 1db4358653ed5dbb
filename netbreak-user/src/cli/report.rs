//! `netbreak report`.

use clap::Args;

use super::Format;

const EXAMPLES: &str = "\
Examples:
  netbreak report report.json
  netbreak report report.json --html report.html --quiet
  netbreak report monday.json tuesday.json --output markdown
  kubectl exec node-1 -- cat /tmp/report.json | netbreak report -
  netbreak report a.json node-b.json --html both.html

What `netbreak watch --run` saw on other nodes is merged into the report of that run: attempts that left its host \
alive get the death that another node saw, whatever the clocks say. Several reports are printed one after the other, \
each under the name of its file; json and html hold one report each. All of them are read before anything is printed.
Exit status: 0 rendered, whatever the verdict was; 2 a file is no report that this netbreak reads (or the command \
line was refused).";

/// Arguments of `netbreak report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// What `netbreak run --json FILE` or `netbreak watch --run HEX --json FILE` wrote; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<String>,
    /// Write the report as a page with pictures, one file that needs no network; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<String>,
    /// Format of the report on standard output [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Nothing on standard output unless --output, `--json -` or `--html -` asks for it
    #[arg(long)]
    pub quiet: bool,
}
