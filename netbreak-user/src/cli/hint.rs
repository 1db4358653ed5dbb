//! What a refused command line may have meant, where clap has no idea.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The same error with a hint. `line` is the whole command line, `commands` are the names of all commands.
pub(super) fn hinted<'a>(
    mut error: Error,
    line: &[OsString],
    mut commands: impl Iterator<Item = &'a str>,
) -> Error {
    let typed = |error: &Error| match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => Some(typed.clone()),
        _ => None,
    };
    match error.kind() {
        // clap looks for words that look alike: in a short one two letters that changed places are much.
        ErrorKind::InvalidSubcommand if error.get(ContextKind::SuggestedSubcommand).is_none() => {
            let meant =
                typed(&error).and_then(|typed| commands.find(|name| strsim::osa_distance(&typed, name) == 1));
            if let Some(meant) = meant {
                let meant = ContextValue::Strings(vec![meant.to_owned()]);
                error.insert(ContextKind::SuggestedSubcommand, meant);
            }
        }
        ErrorKind::MissingRequiredArgument => {
            if let Some((option, value)) = swallowed(line) {
                let tip = format!(
                    "{option} took {value:?} for its port and path: if that is the target, put it before {option}"
                );
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
            }
        }
        _ => {}
    }
    error
}

/// An option that may stand alone, and what it took for its value that is none.
fn swallowed(line: &[OsString]) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.iter().filter_map(|word| word.to_str()).collect();
    let takes = |pair: &[&str]| {
        matches!(pair[0], "--http" | "--https")
            && !pair[1].starts_with(['-', '/'])
            && !pair[1].split('/').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let at = words.windows(2).position(takes)?;
    Some((words[at], words[at + 1]))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    fn said(line: &str) -> String {
        let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&line).unwrap_err();
        let command = Cli::command();
        hinted(error, &line, command.get_subcommands().map(clap::Command::get_name)).to_string()
    }

    #[test]
    fn a_slip_in_a_short_command() {
        assert!(said("netbreak rnu a").contains("'run'"), "{}", said("netbreak rnu a"));
        assert!(said("netbreak wach").contains("'watch'"));
        assert!(!said("netbreak xyz").contains("tip"));
    }

    #[test]
    fn a_target_that_an_option_took() {
        for line in ["netbreak run --http 10.0.0.1", "netbreak run --icmp --https web.example/x"] {
            assert!(said(line).contains("put it before --http"), "{}", said(line));
        }
        for line in ["netbreak run --http 8080/x", "netbreak run --http", "netbreak run --http /x"] {
            assert!(!said(line).contains("put it before"), "{}", said(line));
        }
    }
}
