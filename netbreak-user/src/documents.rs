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
    String::from_utf8(page).map(|page| tidy(&page)).context("the manual page is not UTF-8")
}

/// The same page with examples as they are, one a line however long (groff fills lines else), and without the blank after an
/// option of one letter.
fn tidy(page: &str) -> String {
    let mut tidied = String::new();
    let mut is_example = false;
    for line in page.lines() {
        if line.starts_with(' ') != is_example {
            is_example = !is_example;
            tidied.push_str(if is_example { ".nf\n" } else { ".fi\n" });
        }
        tidied.push_str(&without_blanks(line));
        tidied.push('\n');
    }
    tidied
}

/// `\fB\-4 \fR`, in which clap_mangen ends the option with a blank.
fn without_blanks(line: &str) -> String {
    const BOLD: &str = "\\fB\\-";
    let mut parts = line.split(BOLD);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| {
        let mut letters = part.chars();
        let part = match (letters.next(), letters.as_str().strip_prefix(" \\fR")) {
            (Some(letter), Some(rest)) => format!("{letter}\\fR{rest}"),
            _ => part.to_owned(),
        };
        line + BOLD + &part
    })
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
    fn examples_are_not_filled() {
        let page = man(Some("run")).unwrap();
        assert!(page.contains("Examples:\n.nf\n  netbreak run 10.0.2.2\n"), "{page}");
        assert_eq!((page.matches("\n.nf\n").count(), page.matches("\n.fi\n").count()), (1, 1), "{page}");
        assert!(page.contains("[\\fB\\-4\\fR] [\\fB\\-6\\fR] "), "{page}");
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
