//! `netbreak serve`: every service on every address, until SIGINT or SIGTERM.

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use super::{Config, serve};
use crate::{options::ServeOptions, probe::Kind, stdout::write_stdout};

/// Serves, and prints a line for each open port once it is open.
///
/// # Errors
/// The first port that cannot be had.
pub async fn command(options: ServeOptions) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut servers = JoinSet::new();
    for bind in options.bind {
        let ports = |wanted: Kind| {
            options.services.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, port)| *port).collect()
        };
        let config = Config {
            bind,
            tcp: ports(Kind::Tcp),
            http: ports(Kind::Http),
            udp: ports(Kind::Udp),
            stream: ports(Kind::Stream),
        };
        servers.spawn(serve(config, |open| {
            let lines: String =
                open.iter().map(|(kind, address)| format!("{} on {address}\n", kind.name())).collect();
            // Nobody reads it: serving goes on.
            let _ = write_stdout(&lines);
        }));
    }
    tokio::select! {
        ended = servers.join_next() => match ended {
            Some(served) => Ok(served??),
            None => Ok(()),
        },
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
