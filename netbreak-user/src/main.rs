//! The `netbreak` command: a thin shell around the library.

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use netbreak_user::{
    again, agent,
    cli::{Cli, Command, DoctorArgs, TestServerArgs},
    demo, doctor, documents,
    kernel::prerequisites::in_full,
    kubernetes, live,
    options::{AgentOptions, DemoOptions, ReportOptions, RunOptions, ServeOptions, WatchOptions},
    pause, run, serve,
    stdout::write_stdout,
};

fn main() -> ExitCode {
    let ended = match Cli::of_process().command {
        Command::Run(args) => RunOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| run::run(&options))
            .map(|verdict| verdict.exit_code()),
        Command::Matrix(args) if args.init => kubernetes::init(&args).map(|()| 0),
        Command::Matrix(args) => run::matrix_command(&args).map(|verdict| verdict.exit_code()),
        Command::Watch(args) => WatchOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options: WatchOptions| match &options.run {
                Some(run) => run::follow_run(&options, run),
                None => live::command(&options),
            })
            .map(|()| 0),
        Command::Report(args) => ReportOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| again::command(&options))
            .map(|()| 0),
        Command::Agent(args) => {
            AgentOptions::check(&args).map_err(Into::into).and_then(agent::command).map(|()| 0)
        }
        Command::Serve(args) => serve_command(&args).map(|()| 0),
        Command::Demo(args) => DemoOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| demo::run(&options))
            .map(|verdict| verdict.exit_code()),
        Command::TestServer(args) => test_server_command(&args).map(|()| 0),
        Command::Doctor(args) => doctor_command(&args),
        Command::Completions { shell } => print(documents::completions(shell)),
        Command::Man { command } => print(documents::man(command.as_deref())),
        Command::Pause => pause::command().map(|()| 0),
    };
    match ended {
        Ok(status) => status.into(),
        Err(error) => {
            // Nobody reads it: the status says as much.
            let _ = writeln!(std::io::stderr(), "netbreak: {}", in_full(error.as_ref()));
            2.into()
        }
    }
}

fn print(text: Result<String>) -> Result<u8> {
    write_stdout(&text?)?;
    Ok(0)
}

fn doctor_command(args: &DoctorArgs) -> Result<u8> {
    let (text, can_trace) = doctor::run(args.json, netbreak_common::DEFAULT_FLOWS);
    write_stdout(&text)?;
    Ok(if can_trace { 0 } else { 2 })
}

/// Its status is 0 whatever the result says: scripts of old go on.
fn test_server_command(args: &TestServerArgs) -> Result<()> {
    let options = RunOptions::check_test_server(args)?;
    let ended = run::run(&options).or_else(|error| match error.downcast_ref() {
        // It ran in pods without any privilege for BPF.
        Some(why) => run::run_untraced(&options, why),
        None => Err(error),
    });
    ended.map(drop)
}

fn serve_command(args: &netbreak_user::cli::ServeArgs) -> Result<()> {
    let options = ServeOptions::check(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve::command(options))
}
