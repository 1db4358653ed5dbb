//! `netbreak matrix`, checked: a file that names sources, targets, probes and rows.

mod file;
mod row;
#[cfg(test)]
mod tests;
mod words;

pub use row::{MatrixRow, MatrixSource, Place, WayOfVisiting};

use std::collections::HashSet;

use super::{MeasureOptions, Refused, limits, time};
use crate::cli::MatrixArgs;
use crate::clock::{MILLISECOND, Nanos, SECOND};
use words::Lines;

/// A matrix to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixOptions {
    /// Those that rows leave from, by name.
    pub sources: Vec<MatrixSource>,
    /// In the order of the file; at least one.
    pub rows: Vec<MatrixRow>,
    /// How long to probe.
    pub duration: Nanos,
    /// When an answer is late.
    pub timeout: Nanos,
    /// How it is measured and told.
    pub measure: MeasureOptions,
}

impl MatrixOptions {
    /// Checks every rule. `name` and `text` are the file's.
    ///
    /// # Errors
    /// The first rule that is broken, with its line.
    pub fn check(args: &MatrixArgs, name: &str, text: &str) -> Result<Self, Refused> {
        let lines = Lines::new(name, text);
        let file = file::parse(&lines)?;
        let in_file = |field: &str, value: &Option<toml::Spanned<String>>, otherwise: Nanos| match value {
            Some(typed) => time::validate_time(field, typed.get_ref())
                .map_err(|refused| lines.refuse(&typed.span(), refused)),
            None => Ok(otherwise),
        };
        let duration = match &args.duration {
            Some(typed) => time::validate_time("--duration", typed)?,
            None => in_file("duration", &file.duration, 60 * SECOND)?,
        };
        let timeout = in_file("timeout", &file.timeout, SECOND)?;
        let interval = in_file("interval", &file.interval, 10 * MILLISECOND)?;
        let (mut rows, mut sources) = row::validate_rows(&file, interval, &lines)?;
        only(&args.row, &mut rows, &mut sources)?;
        validate_size(&rows, duration, timeout)?;
        Ok(MatrixOptions {
            sources,
            rows,
            duration,
            timeout,
            measure: MeasureOptions::check(
                (&args.trigger, &args.output, &args.kernel),
                args.run_id.as_deref(),
                duration,
            )?,
        })
    }

    /// The plan in words, a line a row.
    pub fn plan(&self) -> String {
        let line = |row: &MatrixRow| {
            let probes = row.probes.iter().map(|way| way.probe.to_string()).collect::<Vec<_>>().join(", ");
            let source = &self.sources[row.source];
            format!(
                "{}: {} ({}) visits {} by {probes}\n",
                row.name, source.name, source.place, row.target.typed
            )
        };
        let rows: String = self.rows.iter().map(line).collect();
        let probes: usize = self.rows.iter().map(|row| row.probes.len()).sum();
        let seconds = self.duration as f64 / SECOND as f64;
        let count =
            |number: usize, what| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
        let (all, probes) = (count(self.rows.len(), "row"), count(probes, "probe"));
        format!("{rows}{all}, {probes}, for at most {seconds} s\n")
    }
}

/// Leaves only the rows of these names, and the sources that they need.
fn only(names: &[String], rows: &mut Vec<MatrixRow>, sources: &mut Vec<MatrixSource>) -> Result<(), Refused> {
    if let Some(typed) = names.iter().find(|name| rows.iter().all(|row| row.name != **name)) {
        let known = rows.iter().map(|row| row.name.as_str());
        return Err(Refused::new(format!("--row: {}", words::unknown("row", typed, known))));
    }
    if !names.is_empty() {
        rows.retain(|row| names.contains(&row.name));
    }
    let used: HashSet<usize> = rows.iter().map(|row| row.source).collect();
    let kept: Vec<usize> = (0..sources.len()).filter(|source| used.contains(source)).collect();
    for row in rows.iter_mut() {
        row.source = kept.iter().position(|source| *source == row.source).unwrap_or_default();
    }
    *sources = kept.into_iter().map(|source| sources[source].clone()).collect();
    Ok(())
}

/// The bounds of a run.
fn validate_size(rows: &[MatrixRow], duration: Nanos, timeout: Nanos) -> Result<(), Refused> {
    let probes = || rows.iter().flat_map(|row| &row.probes);
    limits::validate_probe_count(1, probes().count())?;
    limits::validate_total(
        probes().map(|way| limits::attempts_of(way.probe.kind(), duration, way.interval)).sum(),
    )?;
    probes().try_for_each(|way| limits::validate_outstanding(way.interval, timeout))
}
