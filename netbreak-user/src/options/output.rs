//! Where the report goes: a format on standard output, and files that are opened before the run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Refused;
use crate::cli::{Format, OutputArgs};

/// Where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What standard output gets; `None` is nothing.
    pub stdout: Option<Format>,
    /// The JSON file, to be opened by [`Files::open`] before the run, as all of them.
    pub json: Option<PathBuf>,
    /// The page.
    pub html: Option<PathBuf>,
    /// The file of packets.
    pub pcap: Option<PathBuf>,
}

/// Where the report of a measurement goes.
pub(super) fn validate_output_args(args: &OutputArgs) -> Result<Output, Refused> {
    let output = validate_output((args.json.as_deref(), args.html.as_deref()), args.format, args.quiet)?;
    Ok(Output { pcap: validate_pcap(args.pcap.as_deref(), &output)?, ..output })
}

/// Packets are no text: they go to a file of their own.
fn validate_pcap(value: Option<&str>, output: &Output) -> Result<Option<PathBuf>, Refused> {
    let path = match value {
        None => return Ok(None),
        Some("") => return Err(Refused::new("--pcap: the path is empty; name a file")),
        Some("-") => {
            return Err(Refused::new(
                "--pcap -: packets do not go to standard output, which has the report; name a file, such as \
                 --pcap dead.pcapng",
            ));
        }
        Some(path) => PathBuf::from(path),
    };
    for (option, other) in [("--json", &output.json), ("--html", &output.html)] {
        if other.as_ref() == Some(&path) {
            let path = path.display();
            return Err(Refused::new(format!("{option} {path} and --pcap {path} are one file: name two")));
        }
    }
    Ok(Some(path))
}

/// Standard output carries one format: `--json -` is `--output json`, `--html -` is `--output html`.
pub(super) fn validate_output(
    (json, html): (Option<&str>, Option<&str>),
    format: Option<Format>,
    quiet: bool,
) -> Result<Output, Refused> {
    let mut stdout = format.map(|format| (format, format!("--output {}", format.name())));
    let mut files = [None, None];
    for ((option, value, as_format), file) in
        [("--json", json, Format::Json), ("--html", html, Format::Html)].into_iter().zip(&mut files)
    {
        match (value, &stdout) {
            (None, _) => {}
            (Some(""), _) => {
                return Err(Refused::new(format!("{option}: the path is empty; `-` is standard output")));
            }
            (Some("-"), Some((other, said))) if *other != as_format => {
                return Err(Refused::new(format!(
                    "{said} and {option} - both want standard output: write one of them to a file"
                )));
            }
            (Some("-"), _) => stdout = Some((as_format, format!("{option} -"))),
            (Some(path), _) => *file = Some(PathBuf::from(path)),
        }
    }
    let [json, html] = files;
    if let (Some(path), true) = (&html, json == html) {
        let path = path.display();
        return Err(Refused::new(format!("--json {path} and --html {path} are one file: name two")));
    }
    let stdout = stdout.map(|(format, _)| format).or((!quiet).then_some(Format::Text));
    Ok(Output { stdout, json, html, pcap: None })
}

/// The files of a report: opened before the run, so that a path which cannot be written fails at once. What stood there
/// is kept until the report is written; a file that we made and never wrote is removed.
#[derive(Debug, Default)]
pub struct Files {
    /// Of `--json`.
    pub json: Option<ReportFile>,
    /// Of `--html`.
    pub html: Option<ReportFile>,
    /// Of `--pcap`.
    pub pcap: Option<ReportFile>,
}

impl Files {
    /// Opens those that `output` names.
    ///
    /// # Errors
    /// With the path and the system's reason.
    pub fn open(output: &Output) -> Result<Self> {
        let open = |option, path: &Option<PathBuf>| {
            path.as_deref().map(|path| ReportFile::open(option, path)).transpose()
        };
        Ok(Files {
            json: open("--json", &output.json)?,
            html: open("--html", &output.html)?,
            pcap: open("--pcap", &output.pcap)?,
        })
    }
}

/// One of them.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    file: File,
    remove: bool,
}

impl ReportFile {
    /// Opens `path`, the value of `option`, for writing and leaves its content alone.
    fn open(option: &str, path: &Path) -> Result<Self> {
        let create = |fresh: bool| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(fresh).open(path)
        };
        let (file, remove) = match create(true) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => (
                create(false).with_context(|| {
                    format!("cannot write the report to {}: give {option} another path", path.display())
                })?,
                false,
            ),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot create the report {}: give {option} another path", path.display())
                });
            }
        };
        Ok(ReportFile { path: path.to_owned(), file, remove })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// With the path and the system's reason.
    pub fn write(mut self, content: impl AsRef<[u8]>) -> Result<()> {
        let is_regular = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        let truncated = if is_regular { self.file.set_len(0) } else { Ok(()) };
        truncated
            .and_then(|()| self.file.write_all(content.as_ref()))
            .with_context(|| format!("cannot write the report to {}", self.path.display()))?;
        self.remove = false;
        Ok(())
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if self.remove {
            // Nothing can be done about a failure here, and the run's own error matters more.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<ReportFile> {
        ReportFile::open("--html", path)
    }

    #[test]
    fn one_format_on_standard_output() {
        use Format::{Html, Json, Markdown, Text};
        for (json, html, format, quiet, stdout, files) in [
            (None, None, None, false, Some(Text), (None, None)),
            (None, None, None, true, None, (None, None)),
            (None, None, Some(Markdown), true, Some(Markdown), (None, None)),
            (None, None, Some(Html), false, Some(Html), (None, None)),
            (Some("-"), None, None, true, Some(Json), (None, None)),
            (Some("-"), None, Some(Json), false, Some(Json), (None, None)),
            (Some("a.json"), None, None, false, Some(Text), (Some("a.json"), None)),
            (Some("a.json"), None, Some(Json), false, Some(Json), (Some("a.json"), None)),
            (None, Some("-"), None, true, Some(Html), (None, None)),
            (Some("a.json"), Some("-"), Some(Html), false, Some(Html), (Some("a.json"), None)),
            (Some("-"), Some("a.html"), None, true, Some(Json), (None, Some("a.html"))),
            (Some("a.json"), Some("a.html"), None, true, None, (Some("a.json"), Some("a.html"))),
        ] {
            let (json_file, html_file) = (files.0.map(PathBuf::from), files.1.map(PathBuf::from));
            let expected = Output { stdout, json: json_file, html: html_file, pcap: None };
            let found = validate_output((json, html), format, quiet);
            assert_eq!(found, Ok(expected), "{json:?} {html:?} {format:?} {quiet}");
        }
        for (json, html, format) in [
            (Some("-"), None, Some(Text)),
            (Some("-"), None, Some(Markdown)),
            (Some(""), None, None),
            (None, Some("-"), Some(Json)),
            (None, Some(""), None),
            (Some("-"), Some("-"), None),
            (Some("a"), Some("a"), None),
        ] {
            assert!(validate_output((json, html), format, false).is_err(), "{json:?} {html:?} {format:?}");
        }
    }

    #[test]
    fn packets_have_a_file_of_their_own() {
        let output = validate_output((Some("a.json"), Some("-")), None, false).unwrap();
        assert_eq!(validate_pcap(None, &output), Ok(None));
        assert_eq!(validate_pcap(Some("a.pcapng"), &output), Ok(Some(PathBuf::from("a.pcapng"))));
        for refused in ["", "-", "a.json"] {
            assert!(validate_pcap(Some(refused), &output).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn an_unwritable_path_fails_before_the_run() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("absent/report.json"), directory.path().to_owned()] {
            let message = format!("{:#}", open(&path).unwrap_err());
            for word in [path.to_str().unwrap(), "os error", "--html"] {
                assert!(message.contains(word), "{message}");
            }
        }
    }

    #[test]
    fn nothing_is_lost_or_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        drop(open(&path).unwrap());
        assert!(!path.exists(), "a run that failed left an empty report");

        std::fs::write(&path, "an older and longer report").unwrap();
        drop(open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older and longer report");

        open(&path).unwrap().write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        open(Path::new("/dev/null")).unwrap().write("new").unwrap();
    }
}
