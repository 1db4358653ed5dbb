//! `netbreak serve`.

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  netbreak serve --udp 4000 --stream 5000
  netbreak serve --http 8080 --bind 10.0.2.2 --bind fd00:2::2

Each open port is printed; port 0 is any free one.";

/// Arguments of `netbreak serve`. Every option may be repeated.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Accept TCP connections on this port, and close them
    #[arg(long, value_name = "PORT")]
    pub tcp: Vec<String>,
    /// Answer every HTTP request on this port with 200
    #[arg(long, value_name = "PORT")]
    pub http: Vec<String>,
    /// Echo netbreak's own datagrams on this port
    #[arg(long, value_name = "PORT")]
    pub udp: Vec<String>,
    /// Swallow the data of stream probes on this port
    #[arg(long, value_name = "PORT")]
    pub stream: Vec<String>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub bind: Vec<String>,
}
