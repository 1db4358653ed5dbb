//! `netbreak report`, checked.

use std::path::PathBuf;

use super::{Output, Refused, output::validate_output};
use crate::cli::{Format, ReportArgs};

/// `netbreak report`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOptions {
    /// The saved reports, at least one; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Where the renderings go.
    pub output: Output,
}

impl ReportOptions {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(args: &ReportArgs) -> Result<Self, Refused> {
        let output = validate_output((args.json.as_deref(), args.html.as_deref()), args.output, args.quiet)?;
        Ok(ReportOptions { files: validate_files(&args.files, &output)?, output })
    }
}

/// Standard input can be read once. A JSON file and a page hold one report each.
fn validate_files(typed: &[String], output: &Output) -> Result<Vec<PathBuf>, Refused> {
    if typed.iter().any(String::is_empty) {
        return Err(Refused::new("FILE: the path is empty; `-` is standard input"));
    }
    if typed.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Refused::new("- is named twice: standard input can be read once"));
    }
    let of_one = [
        ("JSON", output.json.is_some() || output.stdout == Some(Format::Json)),
        ("a page", output.html.is_some() || output.stdout == Some(Format::Html)),
    ];
    match of_one.into_iter().find(|(_, wanted)| *wanted) {
        Some((format, _)) if typed.len() > 1 => Err(Refused::new(format!(
            "{} files are named, and {format} holds one report: render one file at a time, or use --output \
             text or markdown",
            typed.len()
        ))),
        _ => Ok(typed.iter().map(PathBuf::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn report(line: &str) -> Result<ReportOptions, Refused> {
        let words = ["netbreak", "report"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words.map(|word| if word == "EMPTY" { "" } else { word })).unwrap().command
        {
            Command::Report(args) => ReportOptions::check(&args),
            _ => panic!("not report"),
        }
    }

    #[test]
    fn accepted() {
        for (line, stdout, files) in [
            ("a", Some(Format::Text), 1),
            ("-", Some(Format::Text), 1),
            ("a -", Some(Format::Text), 2),
            ("a a b --output markdown", Some(Format::Markdown), 3),
            ("a --json -", Some(Format::Json), 1),
            ("a --output html", Some(Format::Html), 1),
            ("a --html b --quiet", None, 1),
            ("a b --quiet", None, 2),
        ] {
            let options = report(line).unwrap();
            assert_eq!((options.output.stdout, options.files.len()), (stdout, files), "{line}");
        }
    }

    #[test]
    fn refused() {
        for (line, words) in [
            ("EMPTY", "path is empty"),
            ("- -", "read once"),
            ("a b --json -", "JSON holds one report"),
            ("a b --output json", "JSON holds one report"),
            ("a b --json c", "JSON holds one report"),
            ("a b --html c", "a page holds one report"),
            ("a b c --output html", "3 files"),
            ("a --json - --html -", "both want standard output"),
        ] {
            let message = report(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
