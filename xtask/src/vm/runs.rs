//! Many boots, some of them at the same time, and what came of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::boot::{self, Ended, Guest};
use super::console::{self, Verdict};
use super::fetch::{self, Fetched};
use super::initramfs::{self, Built};
use super::kernels::KERNELS;
use super::place::Place;
use super::plan::Run;
use super::table;

/// How much of a failed guest's console is shown.
const TAIL: usize = 40;

type Kernels = BTreeMap<&'static str, Fetched>;

/// Fetches the kernels that `runs` need, boots them all, `jobs` at a time, and prints the table.
///
/// # Errors
/// When a step fails, or at the end when not all have passed.
pub fn all(place: &Place, built: &Built, runs: &[Run], jobs: u8, timeout: Duration) -> Result<()> {
    let begin = Instant::now();
    let kernels = fetch(place, runs)?;
    pack(place, built, &kernels)?;
    eprintln!("+ {} guests, {jobs} at a time", runs.len());
    let next = AtomicUsize::new(0);
    let ended: Vec<Mutex<Option<Result<Ended>>>> = runs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((run, slot)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    runs.get(at).zip(ended.get(at))
                } {
                    let end = one(place, &kernels, run, timeout);
                    tell(place, run, &end);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(end);
                    }
                }
            });
        }
    });
    let ended: Vec<Result<Ended>> = ended
        .into_iter()
        .map(|slot| slot.into_inner().ok().flatten().unwrap_or_else(|| Err(anyhow!("it was not run"))))
        .collect();
    print!("{}", table::render(&rows(runs, &ended, &kernels)));
    let failed = ended.iter().filter(|end| !is_passed(end)).count();
    eprintln!("{} of {} passed in {:.0} s", runs.len() - failed, runs.len(), begin.elapsed().as_secs_f64());
    if failed > 0 {
        bail!("{failed} of {} guests failed", runs.len());
    }
    Ok(())
}

fn fetch(place: &Place, runs: &[Run]) -> Result<Kernels> {
    let cache = place.kernels();
    let needed = KERNELS.iter().filter(|kernel| runs.iter().any(|run| run.kernel == *kernel));
    let kernels = needed.map(|kernel| Ok((kernel.name, fetch::ensure(kernel, &cache)?))).collect();
    fetch::forget_lists(&cache)?;
    kernels
}

/// Writes the first file system of every kernel: what is the same for all, and its modules.
fn pack(place: &Place, built: &Built, kernels: &Kernels) -> Result<()> {
    let all = place.initrd(None);
    let directory = all.parent().context("an archive lies in no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let context = |path: &Path| format!("cannot write {}", path.display());
    let file = File::create(&all).with_context(|| context(&all))?;
    initramfs::write(built, BufWriter::new(file)).with_context(|| context(&all))?;
    for (name, kernel) in kernels {
        let path = place.initrd(Some(name));
        let mut file = File::create(&path).with_context(|| context(&path))?;
        for part in [&all, &kernel.modules] {
            let mut part = File::open(part).with_context(|| format!("cannot read {}", part.display()))?;
            io::copy(&mut part, &mut file).with_context(|| context(&path))?;
        }
    }
    Ok(())
}

fn one(place: &Place, kernels: &Kernels, run: &Run, timeout: Duration) -> Result<Ended> {
    let kernel = kernels.get(run.kernel.name).context("its kernel was not fetched")?;
    boot::run(&Guest {
        vmlinuz: &kernel.vmlinuz,
        initrd: &place.initrd(Some(run.kernel.name)),
        scenario: &run.scenario,
        out: &place.out(run),
        timeout,
    })
}

/// Says at once how a run ended, and what explains a failure.
fn tell(place: &Place, run: &Run, end: &Result<Ended>) {
    let mut text = format!("{:7} {:30} {}\n", run.kernel.name, run.scenario, cell(end));
    if let Ok(Ended { verdict, console, .. }) = end {
        for warning in console::warnings(console) {
            text.push_str(&format!("    ! {warning}\n"));
        }
        if let Verdict::Failed(why) = verdict {
            let told = Some(console::panic(console)).filter(|panic| !panic.is_empty()).unwrap_or(console);
            let told = &told[told.len().saturating_sub(TAIL)..];
            told.iter().for_each(|line| text.push_str(&format!("    | {line}\n")));
            text.push_str(&format!(
                "    {why}\n    all of it: {}\n",
                Place::shown(&place.out(run).join("console.log"))
            ));
        }
    } else if let Err(error) = end {
        text.push_str(&format!("    {error:#}\n"));
    }
    // In one piece: others end at the same time.
    eprint!("{text}");
}

fn is_passed(end: &Result<Ended>) -> bool {
    end.as_ref().is_ok_and(|end| end.verdict == Verdict::Passed)
}

fn cell(end: &Result<Ended>) -> String {
    match end {
        Ok(end) if is_passed_verdict(&end.verdict) => format!("{:.1} s", end.took.as_secs_f64()),
        Ok(_) => "FAILED".to_owned(),
        Err(_) => "ERROR".to_owned(),
    }
}

fn is_passed_verdict(verdict: &Verdict) -> bool {
    *verdict == Verdict::Passed
}

/// Scenarios down, kernels across; a cell is the time that it took, or that it did not pass.
fn rows(runs: &[Run], ended: &[Result<Ended>], kernels: &Kernels) -> Vec<Vec<String>> {
    let columns: Vec<_> = KERNELS.iter().filter(|kernel| kernels.contains_key(kernel.name)).collect();
    let heads = columns.iter().map(|kernel| kernel.name.to_owned());
    let versions =
        columns.iter().filter_map(|kernel| kernels.get(kernel.name)).map(|kernel| short(&kernel.release));
    let mut rows: Vec<Vec<String>> = vec![
        ["scenario".to_owned()].into_iter().chain(heads).collect(),
        [String::new()].into_iter().chain(versions).collect(),
    ];
    let mut scenarios: Vec<_> = runs.iter().map(|run| &run.scenario).collect();
    scenarios.sort();
    scenarios.dedup();
    for scenario in scenarios {
        let of = |name| {
            runs.iter().zip(ended).find(|(run, _)| run.kernel.name == name && run.scenario == *scenario)
        };
        let cells =
            columns.iter().map(|kernel| of(kernel.name).map_or_else(String::new, |(_, end)| cell(end)));
        rows.push([scenario.clone()].into_iter().chain(cells).collect());
    }
    rows
}

/// `6.12.117+deb12` of `6.12.117+deb12-cloud-amd64`.
fn short(release: &str) -> String {
    release.strip_suffix("-cloud-amd64").unwrap_or(release).to_owned()
}
