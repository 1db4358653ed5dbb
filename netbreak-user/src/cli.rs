//! What the user may type. Values stay text here: [`crate::options`] checks them, one rule at a time.

mod matrix;
mod shared;

pub use matrix::MatrixArgs;
pub use shared::{KernelArgs, OutputArgs, TriggerArgs};

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  netbreak run 10.0.2.2                      echoes and TCP connects to port 80, for a minute
  netbreak run web.example --http /healthz   one HTTP request every 10 ms
  netbreak demo                              a disposable lab, a break, a verdict
  netbreak doctor                            what this machine can observe

Exit status: 0 clean, 1 broken, 2 the run could not tell (or the command line was refused).";

const RUN_EXAMPLES: &str = "\
Examples:
  netbreak run 10.0.2.2
  netbreak run fd00::1 --http 8080/healthz --duration 5m
  netbreak run 10.0.2.2 10.0.3.2 --icmp --udp 4000 --interval 5ms
  netbreak run web.example -6 --tcp 443 --json report.json --html report.html
  netbreak run web.example --https /healthz --connections 100
  netbreak run 10.244.1.7 --netns pid:4711 --stream 5000
  netbreak run 10.244.1.7 --trigger 'kubectl ko reload' --duration 10m

With no probe option: --icmp --tcp 80. udp and stream need `netbreak serve` at the other end.
Ctrl-C ends the run early and still prints and writes its report, once the last answers have come or
timed out; a second one does not wait for them, and there is no report.
Exit status: 0 clean, 1 broken, 2 the run could not tell (or the command line was refused).";

const REPORT_EXAMPLES: &str = "\
Examples:
  netbreak report report.json
  netbreak report report.json --html report.html --quiet
  netbreak report monday.json tuesday.json --output markdown
  kubectl exec node-1 -- cat /tmp/report.json | netbreak report -
  netbreak report a.json node-b.json --html both.html

What `netbreak watch --run` saw on other nodes is merged into the report of that run: attempts that left its
host alive get the death that another node saw, whatever the clocks say. Several reports are printed one after the other, each under the name of its file; json and html hold one
report each. All of them are read before anything is printed.
Exit status: 0 rendered, whatever the verdict was; 2 a file is no report that this netbreak reads (or the
command line was refused).";

const WATCH_EXAMPLES: &str = "\
Examples:
  netbreak watch
  netbreak watch --address 10.0.2.0/24 --port 80 --only drops
  netbreak watch --reason NETFILTER_DROP --device eth0 --duration 1m
  netbreak watch --json | jq -c 'select(.line == \"row\" and .packets > 100)'
  netbreak watch --run 5eed --json b.json   follow `netbreak run --run-id 5eed` of another node

Of the whole machine, in every network namespace. A repeated option shows what fits one of its
values; of different options all must fit. On a terminal a table: q quits, p stops and goes on,
s sorts; arrows select a row, Enter keeps its detail on the screen, / shows rows with the words
that are typed, Esc takes back. Else, and with --json, a line a second for each row that has
grown, and a last one for all of them.
Exit status: 0 watched, 2 it could not (or the command line was refused).";

const SERVE_EXAMPLES: &str = "\
Examples:
  netbreak serve --udp 4000 --stream 5000
  netbreak serve --http 8080 --bind 10.0.2.2 --bind fd00:2::2";

const DEMO_EXAMPLES: &str = "\
Examples:
  netbreak demo
  netbreak demo --list
  netbreak demo --fault blackhole --html demo.html
  netbreak demo --lab ovn --fault vswitchd-kill
  netbreak demo --lab ovn-cluster";

const TEST_SERVER_HELP: &str = "\
Visits one address by echoes (100 a second), HTTP requests (10 a second) and one stream of 10 Mbit/s
to port 5201: `netbreak serve --http 80 --stream 5201` is the other end. The program does the same when
it is called test-server.

Examples:
  netbreak test-server --remote-address=172.18.0.5 --output=json --duration-seconds=60
  test-server 100.64.0.1

Exit status: 0 when there is a result, whatever it says; 2 when nothing could be measured.";

/// During a network break, which of my packets died, where, when and why?
#[derive(Debug, Parser)]
#[command(name = "netbreak", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What the arguments of this process say. A program that is called `test-server` is `netbreak test-server`.
    pub fn of_process() -> Self {
        Cli::parse_from(expand(std::env::args_os().collect()))
    }
}

/// The command line with the command that the program's own name stands for.
fn expand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == "test-server") {
        arguments.splice(..1, ["netbreak".into(), "test-server".into()]);
    }
    arguments
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Probe targets, watch the kernel, and say where packets died
    Run(Box<RunArgs>),
    /// Probe along every row of a file at the same time, from several sources, and print one table
    Matrix(Box<MatrixArgs>),
    /// Show drops and retransmits as they happen, by flow, without probes
    Watch(Box<WatchArgs>),
    /// Render saved reports again, in any format
    Report(ReportArgs),
    /// Be the other end of the probes
    Serve(ServeArgs),
    /// Build a disposable lab, break it, and show the verdict: no cluster needed
    Demo(DemoArgs),
    /// Show what this machine can and cannot observe, and why
    Doctor(DoctorArgs),
    /// Measure as kube-ovn's test-server did: its flags, its output, its exit status
    TestServer(TestServerArgs),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Print a manual page
    Man {
        /// Of this command; netbreak's own if none is named
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Wait for SIGINT or SIGTERM: what a pod runs so that others can `kubectl exec` into it
    Pause,
}

/// Arguments of `netbreak run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Host name, IPv4 address or IPv6 address
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
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
    /// IPv4 only
    #[arg(short = '4', help_heading = "Packets", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', help_heading = "Packets")]
    pub ipv6: bool,
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

/// Arguments of `netbreak watch`.
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
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

/// Arguments of `netbreak report`.
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
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

/// Arguments of `netbreak serve`. Every option may be repeated.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
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

/// Arguments of `netbreak demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct DemoArgs {
    /// Which lab to build; all but the first need `cargo xtask setup --lab ovn`
    #[arg(long, value_enum, value_name = "LAB", default_value = "plain")]
    pub lab: DemoLab,
    /// Which fault to inject; --list shows them
    #[arg(long, value_name = "NAME")]
    pub fault: Option<String>,
    /// List the faults of the lab
    #[arg(long)]
    pub list: bool,
    /// Where the probes of the labs `ovs` and `ovn` leave from, to visit the others
    #[arg(long, value_enum, value_name = "PLACE", default_value = "pod1")]
    pub from: DemoFrom,
    /// How long to probe [default: 8s; with ovn-cluster until all has been well again for 2s, at most 60s]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Show the way of the probes' packets, stage by stage, and where lost ones left it
    #[arg(long)]
    pub path: bool,
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<String>,
    /// Write the report as a page with pictures, one file that needs no network; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<String>,
}

/// Arguments of `netbreak doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `netbreak test-server`: text, as all of them.
#[derive(Debug, Args)]
#[command(after_help = TEST_SERVER_HELP)]
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

/// A lab of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoLab {
    /// A client, a router and a server in network namespaces
    Plain,
    /// Two pods and a node on Open vSwitch, userspace datapath
    Ovs,
    /// The same under OVN, with a router and a join network, as in kube-ovn
    Ovn,
    /// Two nodes under OVN and a host outside: the eleven rows of kube-ovn's tables, and a reload
    OvnCluster,
}

/// Where the probes of a lab with Open vSwitch leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoFrom {
    /// A pod: its packets reach the switch by a veth
    Pod1,
    /// The node: its packets reach the switch by ovn0
    Node,
}

/// A format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Text,
    /// Schema `netbreak.report/1`.
    Json,
    /// For an issue tracker.
    Markdown,
    /// A page with pictures.
    Html,
    /// The JSON of kube-ovn's test-server, one object a target.
    TestServer,
    /// The text of kube-ovn's test-server.
    TestServerText,
}

impl Format {
    /// As it is typed.
    pub fn name(self) -> String {
        // No value is skipped, so each has a name.
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut command = &mut command;
        for name in path {
            command = command.find_subcommand_mut(name).unwrap();
        }
        command.render_long_help().to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_texts() {
        insta::assert_snapshot!("help", help(&[]));
        for name in [
            "run",
            "matrix",
            "watch",
            "report",
            "serve",
            "demo",
            "doctor",
            "test-server",
            "completions",
            "man",
            "pause",
        ] {
            insta::assert_snapshot!(format!("help_{name}"), help(&[name]));
        }
    }

    #[test]
    fn http_needs_no_value() {
        let cli = Cli::try_parse_from(["netbreak", "run", "a", "--http", "--http", "8080/x"]).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert_eq!(run.http, ["80/", "8080/x"]);
    }

    #[test]
    fn the_second_name() {
        let line = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for called in ["test-server", "./test-server", "/kube-ovn/test-server"] {
            assert_eq!(expand(line(&format!("{called} 10.0.0.1"))), line("netbreak test-server 10.0.0.1"));
        }
        for other in ["netbreak run a", "/bin/netbreak test-server", "xtest-server a"] {
            assert_eq!(expand(line(other)), line(other));
        }
        assert_eq!(expand(vec![]), Vec::<OsString>::new());
    }

    #[test]
    fn refused_lines_exit_with_status_2() {
        for line in [
            &["run"][..],
            &["run", "a", "-4", "-6"],
            &["run", "a", "--lead-in", "1s"],
            &["run", "a", "--rate", "5", "--interval", "1s"],
            &["run", "a", "--rate", "5", "--connections", "5"],
            &["run", "a", "--http", "--insecure"],
            &["run", "a", "--tcp", "80", "--streams", "9"],
            &["run", "a", "--output", "pdf"],
            &["wach"],
            &[],
        ] {
            let error = Cli::try_parse_from(["netbreak"].iter().chain(line)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
