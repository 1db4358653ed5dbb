//! What is made of the command line's definition: completions and manual pages.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;

/// A script for `shell` that completes netbreak's command line.
///
/// # Errors
/// When what was generated is no text, which no definition makes happen.
pub fn completions(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "netbreak", &mut script);
    String::from_utf8(script).context("the completions are not UTF-8")
}

/// The manual page of one of netbreak's commands, or of netbreak, in roff.
///
/// # Errors
/// When there is no such command.
pub fn man(name: Option<&str>) -> Result<String> {
    let mut netbreak = Cli::command();
    // Commands get their full names, as in `netbreak-run`.
    netbreak.build();
    let command = match name {
        None => &netbreak,
        Some(name) => netbreak.find_subcommand(name).with_context(|| {
            let names: Vec<_> = netbreak.get_subcommands().map(|command| command.get_name()).collect();
            format!("{name} is no command of netbreak; there are {}", names.join(", "))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    String::from_utf8(page).context("the manual page is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let script = completions(*shell).unwrap();
            for word in ["run", "doctor", "test-server", "no-kernel", "remote-address"] {
                assert!(script.contains(word), "{shell}: no {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        assert!(man(None).unwrap().contains("netbreak\\-run(1)"));
        for command in Cli::command().get_subcommands() {
            let page = man(Some(command.get_name())).unwrap();
            let title = format!(".TH netbreak-{}", command.get_name());
            assert!(page.contains(&title), "{page}");
        }
        assert!(man(Some("run")).unwrap().contains("no\\-kernel"));
        let message = man(Some("fly")).unwrap_err().to_string();
        assert!(message.contains("fly") && message.contains("doctor"), "{message}");
    }
}
