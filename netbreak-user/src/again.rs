//! `netbreak report`: saved reports, rendered again, with what other nodes saw of their runs.

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
    report::{
        Report, Sightings,
        json::{self, Saved},
        merge::merge,
    },
    run::publish,
    stdout::write_stdout,
};

/// Renders them in the order in which they were named, sightings with the report of their run. All are read before
/// anything is written.
///
/// # Errors
/// The first file that cannot be read or is no report, by its name; then what cannot be merged or written.
pub fn command(options: &ReportOptions) -> Result<()> {
    let saved =
        options.files.iter().map(|file| Ok((file.as_path(), read(file)?))).collect::<Result<Vec<_>>>()?;
    let reports = merged(saved)?;
    options.check_reports(reports.len())?;
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

/// The reports, each with the sightings of its run.
fn merged(saved: Vec<(&Path, Saved)>) -> Result<Vec<(&Path, Report)>> {
    let (mut reports, mut sightings) = (Vec::new(), Vec::new());
    for (file, saved) in saved {
        match saved {
            Saved::Report(report) => reports.push((file, *report)),
            Saved::Sightings(seen) => sightings.push((file, *seen)),
        }
    }
    // Of no run that is here. Where there is one report, merging says what differs.
    let is_strange = |seen: &Sightings| {
        reports.len() != 1
            && reports.iter().all(|(_, report)| report.run.run_id.as_ref() != Some(&seen.run_id))
    };
    if let Some((file, seen)) = sightings.iter().find(|(_, seen)| is_strange(seen)) {
        bail!(
            "{}: it holds what {} saw of run {}, and no file that is named is the report of that run: name what \
             `netbreak run --json FILE` wrote, too",
            name(file),
            seen.host,
            seen.run_id
        );
    }
    refuse_twins(&sightings)?;
    let is_alone = reports.len() == 1;
    let merged = reports.into_iter().map(|(file, report)| {
        let of_run = |seen: &Sightings| is_alone || report.run.run_id.as_ref() == Some(&seen.run_id);
        let seen: Vec<Sightings> =
            sightings.iter().map(|(_, seen)| seen).filter(|seen| of_run(seen)).cloned().collect();
        if seen.is_empty() {
            return Ok((file, report));
        }
        let merged = merge(&report, &seen).map_err(|error| anyhow::anyhow!("{}: {error}", name(file)))?;
        Ok((file, merged))
    });
    merged.collect()
}

/// A node watches one run once at a time: the same begin is the same file, maybe under another name.
fn refuse_twins(sightings: &[(&Path, Sightings)]) -> Result<()> {
    for (index, (file, seen)) in sightings.iter().enumerate() {
        let is_twin = |other: &Sightings| (&other.host, &other.started) == (&seen.host, &seen.started);
        match sightings[..index].iter().find(|(_, other)| is_twin(other)) {
            Some((first, _)) if first == file => bail!("{}: it is named twice: name it once", name(file)),
            Some((first, _)) => bail!(
                "{}: the sightings of {} that begin at {} are named twice, {} has them, too: name one of the two",
                name(file),
                seen.host,
                seen.started,
                name(first),
            ),
            None => {}
        }
    }
    Ok(())
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn read(file: &Path) -> Result<Saved> {
    let mut text = String::new();
    let name = name(file);
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            bail!("{name}: it is not text: name a file that `netbreak run --json FILE` wrote")
        }
        read => read.with_context(|| format!("cannot read the report {name}"))?,
    }
    json::parse_saved(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))
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
    let name = name(file);
    match output.stdout? {
        Format::Markdown => Some(format!("# {name}")),
        // Its objects follow each other, with nothing between them.
        Format::TestServer => None,
        _ => Some(format!("==> {name} <==")),
    }
}
