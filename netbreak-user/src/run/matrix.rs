//! `netbreak matrix`: every row of a file at the same time.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::UdpSocket,
    sync::Arc,
};

use anyhow::{Context, Result, bail};

use super::{Source, Visited, finish, measure, open, plan, random_run_id, spec_of};
use crate::{
    cli::MatrixArgs,
    netns::{self, Namespace},
    options::{Files, MatrixOptions, MatrixSource, Place, resolve},
    report::{Row, VerdictWord},
    stdout::write_stdout,
};

/// Checks the file, or measures what it says and writes the report.
///
/// # Errors
/// A file that cannot be read or is refused, and everything that keeps the run from starting.
pub fn command(args: &MatrixArgs) -> Result<VerdictWord> {
    let file = args.file.as_deref().unwrap_or("-");
    let (name, text) = read(file)?;
    let options = MatrixOptions::check(args, &name, &text)?;
    if args.check {
        write_stdout(&options.plan())?;
        // They may exist where it is to run.
        for why in options.sources.iter().filter_map(|source| absent(source).err()) {
            let _ = writeln!(std::io::stderr(), "netbreak: not on this machine: {why:#}");
        }
        return Ok(VerdictWord::Clean);
    }
    let places = options.sources.iter().map(open_place).collect::<Result<Vec<_>>>()?;
    let files = Files::open(&options.measure.output)?;
    let (targets, sources) = rows(&options, &places)?;
    finish(measure(plan(&options.measure, targets, sources, &files))?, &options.measure.output, files)
}

/// Whom all rows visit, and from where; `places` are the namespaces of the sources.
fn rows(options: &MatrixOptions, places: &[Arc<Namespace>]) -> Result<(Vec<Visited>, Vec<Source>)> {
    let run_id = options.measure.run_id.map_or_else(random_run_id, Ok)?;
    // Sources in one namespace share a thread and its books.
    let mut sources: BTreeMap<u32, Source> = BTreeMap::new();
    let mut targets = Vec::new();
    for (index, row) in options.rows.iter().enumerate() {
        let (source, netns) = (&options.sources[row.source], &places[row.source]);
        // A name is resolved where the probes will be sent; a source with an address wants one of its family.
        let family = source.address.map(crate::options::Family::of);
        let address = netns
            .run(|| resolve(&row.target.host, family))?
            .with_context(|| format!("row {:?}", row.name))?;
        for way in &row.probes {
            let mut spec = spec_of(&way.probe, (index, &row.target.typed, address), run_id);
            (spec.interval, spec.timeout, spec.duration) = (way.interval, options.timeout, options.duration);
            spec.size = way.size.unwrap_or(spec.size);
            (spec.sources, spec.interface) = (source.address.into_iter().collect(), source.interface.clone());
            spec.insecure = way.insecure;
            let source = || Source { netns: Arc::clone(netns), specs: Vec::new() };
            sources.entry(netns.inode()).or_insert_with(source).specs.push(spec);
        }
        let row_of_report = Row { name: row.name.clone(), source: source.name.clone(), netns: netns.inode() };
        targets.push(Visited { typed: row.target.typed.clone(), address, row: Some(row_of_report) });
    }
    Ok((targets, sources.into_values().collect()))
}

/// The file's name for messages, and its text.
fn read(file: &str) -> Result<(String, String)> {
    if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the matrix from standard input")?;
        return Ok(("standard input".to_owned(), text));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the matrix {file}"))?;
    Ok((file.to_owned(), text))
}

/// An error says what of a source does not exist here.
fn absent(source: &MatrixSource) -> Result<()> {
    let place = open_place(source)?;
    let named = || format!("source {:?}", source.name);
    if let Some(interface) = &source.interface
        && !place.devices().with_context(named)?.iter().any(|(_, name)| name == interface)
    {
        bail!("{}: there is no device {interface} ({})", named(), source.place);
    }
    if let Some(address) = source.address {
        let bound = place.run(|| UdpSocket::bind((address, 0)).map(drop)).with_context(named)?;
        bound.with_context(|| format!("{}: cannot leave from {address} ({})", named(), source.place))?;
    }
    Ok(())
}

fn open_place(source: &MatrixSource) -> Result<Arc<Namespace>> {
    let opened = match &source.place {
        Place::Here => Namespace::current().map_err(Into::into),
        Place::Netns(netns) => open(netns),
        Place::Pod { namespace, name } => netns::find_pod(namespace, name).map_err(Into::into),
    };
    opened.map(Arc::new).with_context(|| format!("source {:?}", source.name))
}
