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
        Ok(ReportOptions { files: validate_files(&args.files)?, output })
    }

    /// A JSON file and a page hold one report each. How many there are is known when the files have been read: what other
    /// nodes saw is merged into the report of its run.
    ///
    /// # Errors
    /// When there are more.
    pub fn check_reports(&self, reports: usize) -> Result<(), Refused> {
        let Output { stdout, json, html, .. } = &self.output;
        let of_one = [
            ("JSON", json.is_some() || *stdout == Some(Format::Json)),
            ("a page", html.is_some() || *stdout == Some(Format::Html)),
        ];
        match of_one.into_iter().find(|(_, wanted)| *wanted) {
            Some((format, _)) if reports > 1 => Err(Refused::new(format!(
                "{reports} reports are named, and {format} holds one: render one at a time, or use --output text or \
                 markdown"
            ))),
            _ => Ok(()),
        }
    }
}

/// Standard input can be read once.
fn validate_files(typed: &[String]) -> Result<Vec<PathBuf>, Refused> {
    if typed.iter().any(String::is_empty) {
        return Err(Refused::new("FILE: the path is empty; `-` is standard input"));
    }
    if typed.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Refused::new("- is named twice: standard input can be read once"));
    }
    Ok(typed.iter().map(PathBuf::from).collect())
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
    fn json_and_a_page_hold_one_report() {
        for (line, reports, words) in [
            ("a b --json -", 2, "JSON holds one"),
            ("a b --output json", 2, "JSON holds one"),
            ("a b --json c", 2, "JSON holds one"),
            ("a b --html c", 2, "a page holds one"),
            ("a b c --output html", 3, "3 reports"),
        ] {
            let options = report(line).unwrap();
            let message = options.check_reports(reports).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
            assert_eq!(options.check_reports(1), Ok(()), "{line}: sightings are merged");
        }
        assert_eq!(report("a b --output markdown").unwrap().check_reports(2), Ok(()));
    }

    #[test]
    fn refused() {
        for (line, words) in [
            ("EMPTY", "path is empty"),
            ("- -", "read once"),
            ("a --json - --html -", "both want standard output"),
        ] {
            let message = report(line).expect_err(line).to_string();
            assert!(message.contains(words), "{line}: {message}");
        }
    }
}
