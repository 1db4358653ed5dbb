//! What the user may type. Values stay text here: [`crate::options`] checks them, one rule at a time.

mod agent;
mod demo;
mod hint;
mod matrix;
mod report;
mod run;
mod serve;
mod shared;
mod test_server;
mod watch;

pub use agent::AgentArgs;
pub use demo::{DemoArgs, DemoFrom, DemoLab, DemoOvn0};
pub use matrix::MatrixArgs;
pub use report::ReportArgs;
pub use run::RunArgs;
pub use serve::ServeArgs;
pub use shared::{FamilyArgs, KernelArgs, OutputArgs, ProbeArgs, TriggerArgs};
pub use test_server::TestServerArgs;
pub use watch::{Only, WatchArgs};

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  netbreak run 10.0.2.2                      echoes and TCP connects to port 80, for a minute
  netbreak run web.example --http /healthz   one HTTP request every 10 ms
  netbreak demo                              a disposable lab, a break, a verdict
  netbreak doctor                            what this machine can observe

Exit status: 0 clean, 1 broken, 2 the run could not tell (or the command line was refused).";

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
        let line = expand(std::env::args_os().collect());
        Cli::try_parse_from(&line).unwrap_or_else(|error| {
            let command = Cli::command();
            hint::hinted(error, &line, command.get_subcommands().map(clap::Command::get_name)).exit()
        })
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
    /// Probe for ever, window after window, and show Prometheus what became of it: what a DaemonSet runs on each node
    Agent(Box<AgentArgs>),
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

/// Arguments of `netbreak doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
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
            "agent",
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
        assert_eq!(run.probes.http, ["80/", "8080/x"]);
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
