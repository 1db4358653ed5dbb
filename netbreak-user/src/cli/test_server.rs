//! `netbreak test-server`.

use clap::Args;

const EXAMPLES: &str = "\
Visits one address by echoes (100 a second), HTTP requests (10 a second) and one stream of 10 Mbit/s to port 5201: \
`netbreak serve --http 80 --stream 5201` is the other end. The program does the same when it is called test-server.

Examples:
  netbreak test-server --remote-address=172.18.0.5 --output=json --duration-seconds=60
  test-server 100.64.0.1

Exit status: 0 when there is a result, whatever it says; 2 when nothing could be measured.";

/// Arguments of `netbreak test-server`: text, as all of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TestServerArgs {
    /// The same as --remote-address: the form of its first version
    #[arg(value_name = "ADDRESS", conflicts_with = "remote_address")]
    pub address: Option<String>,
    /// How long to probe, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub duration_seconds: String,
    /// Whom to visit
    #[arg(long, value_name = "ADDRESS", default_value = "100.64.0.1")]
    pub remote_address: String,
    /// Which port to visit by HTTP
    #[arg(long, value_name = "PORT", default_value = "80")]
    pub remote_port: String,
    /// `text`; anything else is JSON
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: String,
    /// Also write netbreak's own report as JSON, with what test-server never had: when, where and why
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// The same as a page with pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<String>,
}
