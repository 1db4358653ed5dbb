//! The `netbreak` command: a thin shell around the library.

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use netbreak_user::{
    again,
    cli::{Cli, Command, DoctorArgs},
    demo, doctor,
    kernel::prerequisites::in_full,
    live,
    options::{DemoOptions, ReportOptions, RunOptions, ServeOptions, WatchOptions},
    pause, run, serve,
    stdout::write_stdout,
};

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(args) => RunOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| run::run(&options))
            .map(|verdict| verdict.exit_code()),
        Command::Watch(args) => WatchOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| live::command(&options))
            .map(|()| 0),
        Command::Report(args) => ReportOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| again::command(&options))
            .map(|()| 0),
        Command::Serve(args) => serve_command(&args).map(|()| 0),
        Command::Demo(args) => DemoOptions::check(&args)
            .map_err(Into::into)
            .and_then(|options| demo::run(&options))
            .map(|verdict| verdict.exit_code()),
        Command::Doctor(args) => doctor_command(&args),
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

fn doctor_command(args: &DoctorArgs) -> Result<u8> {
    let (text, can_trace) = doctor::run(args.json, netbreak_common::DEFAULT_FLOWS);
    write_stdout(&text)?;
    Ok(if can_trace { 0 } else { 2 })
}

fn serve_command(args: &netbreak_user::cli::ServeArgs) -> Result<()> {
    let options = ServeOptions::check(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve::command(options))
}
