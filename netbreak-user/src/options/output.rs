//! Where the report goes: a format on standard output, and a JSON file that is opened before the run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Refused;
use crate::cli::Format;

/// Where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What standard output gets; `None` is nothing.
    pub stdout: Option<Format>,
    /// The JSON file, to be opened by [`JsonFile::open`] before the run.
    pub json: Option<PathBuf>,
}

/// Standard output carries one format: `--json -` is `--output json`.
pub(super) fn validate_output(
    json: Option<&str>,
    format: Option<Format>,
    quiet: bool,
) -> Result<Output, Refused> {
    let (to_stdout, file) = match json {
        Some("") => return Err(Refused::new("--json: the path is empty; `-` is standard output")),
        Some("-") => (true, None),
        other => (false, other.map(PathBuf::from)),
    };
    let stdout = match (to_stdout, format) {
        (true, None | Some(Format::Json)) => Some(Format::Json),
        (true, Some(other)) => {
            let name = format!("{other:?}").to_lowercase();
            return Err(Refused::new(format!(
                "--json - and --output {name} both want standard output: write the JSON to a file"
            )));
        }
        (false, None) if quiet => None,
        (false, format) => Some(format.unwrap_or(Format::Text)),
    };
    Ok(Output { stdout, json: file })
}

/// The file of `--json`: opened before the run, so that a path which cannot be written fails at once. An old report
/// there is kept until the new one is written; a file that we made and never wrote is removed.
#[derive(Debug)]
pub struct JsonFile {
    path: PathBuf,
    file: File,
    remove: bool,
}

impl JsonFile {
    /// Opens `path` for writing and leaves its content alone.
    ///
    /// # Errors
    /// With the path and the system's reason.
    pub fn open(path: &Path) -> Result<Self> {
        let create = |fresh: bool| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(fresh).open(path)
        };
        let (file, remove) = match create(true) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => (
                create(false).with_context(|| {
                    format!("cannot write the report to {}: give --json another path", path.display())
                })?,
                false,
            ),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot create the report {}: give --json another path", path.display())
                });
            }
        };
        Ok(JsonFile { path: path.to_owned(), file, remove })
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// With the path and the system's reason.
    pub fn write(mut self, json: &str) -> Result<()> {
        let is_regular = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        let truncated = if is_regular { self.file.set_len(0) } else { Ok(()) };
        truncated
            .and_then(|()| self.file.write_all(json.as_bytes()))
            .with_context(|| format!("cannot write the report to {}", self.path.display()))?;
        self.remove = false;
        Ok(())
    }
}

impl Drop for JsonFile {
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

    #[test]
    fn one_format_on_standard_output() {
        use Format::{Json, Markdown, Text};
        for (json, format, quiet, stdout, file) in [
            (None, None, false, Some(Text), None),
            (None, None, true, None, None),
            (None, Some(Markdown), true, Some(Markdown), None),
            (Some("-"), None, true, Some(Json), None),
            (Some("-"), Some(Json), false, Some(Json), None),
            (Some("a.json"), None, false, Some(Text), Some("a.json")),
            (Some("a.json"), Some(Json), false, Some(Json), Some("a.json")),
        ] {
            let expected = Output { stdout, json: file.map(PathBuf::from) };
            assert_eq!(validate_output(json, format, quiet), Ok(expected), "{json:?} {format:?} {quiet}");
        }
        assert!(validate_output(Some("-"), Some(Text), false).is_err());
        assert!(validate_output(Some("-"), Some(Markdown), false).is_err());
        assert!(validate_output(Some(""), None, false).is_err());
    }

    #[test]
    fn an_unwritable_path_fails_before_the_run() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("absent/report.json"), directory.path().to_owned()] {
            let message = format!("{:#}", JsonFile::open(&path).unwrap_err());
            assert!(message.contains(path.to_str().unwrap()) && message.contains("os error"), "{message}");
        }
    }

    #[test]
    fn nothing_is_lost_or_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        drop(JsonFile::open(&path).unwrap());
        assert!(!path.exists(), "a run that failed left an empty report");

        std::fs::write(&path, "an older and longer report").unwrap();
        drop(JsonFile::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older and longer report");

        JsonFile::open(&path).unwrap().write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        JsonFile::open(Path::new("/dev/null")).unwrap().write("new").unwrap();
    }
}
