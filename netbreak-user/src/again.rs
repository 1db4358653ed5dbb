//! `netbreak report`: saved reports, rendered again.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::{
    cli::Format,
    options::{Files, Output, ReportOptions},
    report::{Report, json},
    run::publish,
    stdout::write_stdout,
};

/// Renders them in the order in which they were named. All are read before anything is written.
///
/// # Errors
/// The first file that cannot be read or is no report, by its name; then what cannot be written.
pub fn command(options: &ReportOptions) -> Result<()> {
    let reports =
        options.files.iter().map(|file| Ok((file.as_path(), read(file)?))).collect::<Result<Vec<_>>>()?;
    spare(options)?;
    let files = Files::open(&options.output)?;
    if let [(_, report)] = &reports[..] {
        return publish(report, &options.output, files);
    }
    for (number, (file, report)) in reports.iter().enumerate() {
        if let Some(title) = title(&options.output, file) {
            let gap = if number > 0 { "\n" } else { "" };
            write_stdout(&format!("{gap}{title}\n\n")).context("cannot write to standard output")?;
        }
        // Of several there are no files but standard output: the options were checked.
        publish(report, &options.output, Files::default())?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Report> {
    let mut text = String::new();
    let (name, read) = if file == Path::new("-") {
        ("standard input".to_owned(), io::stdin().read_to_string(&mut text).map(drop))
    } else {
        let read = fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)).map(drop);
        (file.display().to_string(), read)
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            bail!("{name}: it is not text: name a file that `netbreak run --json FILE` wrote")
        }
        read => read.with_context(|| format!("cannot read the report {name}"))?,
    }
    json::parse(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))
}

/// What is read shall not be written over: neither would be there if writing failed.
fn spare(options: &ReportOptions) -> Result<()> {
    let identity =
        |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|of| (of.dev(), of.ino()));
    let Output { json, html, .. } = &options.output;
    for (option, written) in [("--json", json), ("--html", html)] {
        let Some(written) = written else { continue };
        let same =
            |read: &&std::path::PathBuf| identity(read).is_some_and(|it| identity(written) == Some(it));
        if let Some(read) = options.files.iter().find(same) {
            bail!(
                "{option} {} is the report {} itself: give another path",
                written.display(),
                read.display()
            );
        }
    }
    Ok(())
}

/// What stands above each of several reports.
fn title(output: &Output, file: &Path) -> Option<String> {
    let name = if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
    match output.stdout? {
        Format::Markdown => Some(format!("# {name}")),
        // Its objects follow each other, with nothing between them.
        Format::TestServer => None,
        _ => Some(format!("==> {name} <==")),
    }
}
