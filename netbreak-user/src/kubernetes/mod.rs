//! `netbreak matrix --init`: a cluster as kubectl tells it, as a file for `netbreak matrix`.

mod cluster;
mod scenario;

use std::{io::Write as _, process::Command};

use anyhow::{Context, Result, bail};

use crate::{cli::MatrixArgs, options::Refused, stdout::write_stdout};
use cluster::{Cluster, Wanted};

/// Asks kubectl and prints the file.
///
/// # Errors
/// No kubectl, its own error, or a pod or Service that was asked for and does not exist.
pub fn init(args: &MatrixArgs) -> Result<()> {
    let outside = args.outside.as_deref().map(|typed| {
        typed
            .parse()
            .map_err(|_| Refused::new(format!("--outside {typed}: expected an IPv4 or IPv6 address")))
    });
    let wanted = Wanted {
        client: args.client.as_deref(),
        service: args.service.as_deref(),
        outside: outside.transpose()?,
    };
    let paths = Cluster::parse(&ask()?)?.paths(&wanted)?;
    if let Some(missing) = scenario::missing(&paths) {
        // The file has it, too, as comments.
        let _ = writeln!(std::io::stderr(), "netbreak: {missing}");
    }
    write_stdout(&scenario::render(&paths)).context("cannot write the file to standard output")
}

/// What kubectl knows of nodes, pods and Services, as JSON.
fn ask() -> Result<String> {
    const ASKED: [&str; 5] = ["get", "nodes,pods,services", "--all-namespaces", "--output", "json"];
    let asked = || format!("`kubectl {}`", ASKED.join(" "));
    let output = Command::new("kubectl").args(ASKED).output().with_context(|| {
        format!("cannot run {}: install kubectl, or begin with deploy/scenarios/kube-ovn.toml", asked())
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", asked(), output.status, without_log(&said));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", asked()))
}

/// What kubectl says in the end, without the lines of its log before it, which repeat it (klog: `E1129 09:42:04.97 …`).
fn without_log(said: &str) -> String {
    let is_logged = |line: &&str| {
        let mut letters = line.chars();
        letters.next().is_some_and(|level| "EWIF".contains(level))
            && letters.by_ref().take(4).filter(char::is_ascii_digit).count() == 4
            && letters.next() == Some(' ')
    };
    let told: Vec<&str> = said.trim().lines().filter(|line| !is_logged(line)).collect();
    if told.is_empty() { said.trim().to_owned() } else { told.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_log_is_left_out() {
        let log =
            "E1129 09:42:04.972759   13062 memcache.go:265] \"Unhandled Error\" err=\"connection refused\"\n";
        let end = "The connection to the server localhost:8080 was refused - did you specify the right host or port?";
        assert_eq!(without_log(&format!("{log}{log}{end}\n")), end);
        assert_eq!(
            without_log("Error from server (Forbidden): pods\n"),
            "Error from server (Forbidden): pods"
        );
        assert_eq!(without_log(log), log.trim());
        assert_eq!(without_log(""), "");
    }
}
