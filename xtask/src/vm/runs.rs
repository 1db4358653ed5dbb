//! Many boots, some of them at the same time, and what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{iter, thread};

use anyhow::{Context as _, Result, bail};

use super::boot::{self, Ended, Guest};
use super::console::{self, Verdict};
use super::fetch::{self, Fetched};
use super::initramfs::{self, Built};
use super::kernels;
use super::place::Place;
use super::plan::Run;
use super::table;

/// How much of a failed guest's console is shown.
const TAIL: usize = 40;

/// Processors of a guest that is alone. QEMU gives each a thread, and one of them may translate code that another is just
/// changing, as the kernel does where it is traced, and keep the breakpoint that stood there meanwhile (text_poke_bp in
/// arch/x86/kernel/alternative.c): "Oops: int3", once in some hundred boots of a busy machine. So each has one where guests
/// share the machine.
const ALONE: u8 = 2;

/// A run that is over.
struct Done<'a> {
    run: &'a Run,
    end: Result<Ended>,
}

type Kernels = BTreeMap<&'static str, Fetched>;

/// Fetches the kernels that `runs` need, boots them all, `jobs` at a time, and prints the table.
///
/// # Errors
/// When a step fails, or at the end when not all have passed.
pub fn all(place: &Place, built: &Built, runs: &[Run], jobs: u8, timeout: Duration) -> Result<()> {
    let begin = Instant::now();
    let kernels = fetch(place, runs)?;
    pack(place, built, &kernels)?;
    let jobs = usize::from(jobs).min(runs.len());
    let processors = if jobs > 1 { 1 } else { ALONE };
    eprintln!("+ {} guests with {processors} processors, {jobs} at a time", runs.len());
    let waiting = Mutex::new(runs.iter());
    let work = || {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let boot = |run| {
            let end = one(place, &kernels, run, timeout, processors);
            tell(place, run, &end);
            Done { run, end }
        };
        iter::from_fn(next).map(boot).collect::<Vec<_>>()
    };
    let done: Vec<Done> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let initrds = place.initrds();
    fs::remove_dir_all(&initrds).with_context(|| format!("cannot remove {}", initrds.display()))?;
    print!("{}", table::render(&rows(&done, &kernels)));
    let failed = done.iter().filter(|done| !is_passed(&done.end)).count();
    eprintln!("{} of {} passed in {:.0} s", runs.len() - failed, runs.len(), begin.elapsed().as_secs_f64());
    if failed > 0 {
        bail!("{failed} of {} guests failed", runs.len());
    }
    Ok(())
}

fn fetch(place: &Place, runs: &[Run]) -> Result<Kernels> {
    let cache = place.kernels();
    let needed = kernels::KERNELS.iter().filter(|kernel| runs.iter().any(|run| run.kernel == *kernel));
    let kernels = needed.map(|kernel| Ok((kernel.name, fetch::ensure(kernel, &cache)?))).collect();
    fetch::forget_lists(&cache)?;
    kernels
}

/// Writes the first file system of every kernel: what is the same for all, and its modules.
fn pack(place: &Place, built: &Built, kernels: &Kernels) -> Result<()> {
    let directory = place.initrds();
    let all = directory.join("all");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let context = |path: &Path| format!("cannot write {}", path.display());
    let file = File::create(&all).with_context(|| context(&all))?;
    initramfs::write(built, BufWriter::new(file)).with_context(|| context(&all))?;
    for (name, kernel) in kernels {
        let path = place.initrd(name);
        let mut file = File::create(&path).with_context(|| context(&path))?;
        for part in [&all, &kernel.modules] {
            let mut part = File::open(part).with_context(|| format!("cannot read {}", part.display()))?;
            io::copy(&mut part, &mut file).with_context(|| context(&path))?;
        }
    }
    Ok(())
}

fn one(place: &Place, kernels: &Kernels, run: &Run, timeout: Duration, processors: u8) -> Result<Ended> {
    let kernel = kernels.get(run.kernel.name).context("its kernel was not fetched")?;
    boot::run(&Guest {
        vmlinuz: &kernel.vmlinuz,
        initrd: &place.initrd(run.kernel.name),
        scenario: &run.scenario,
        out: &place.out(run),
        timeout,
        processors,
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
    matches!(end, Ok(Ended { verdict: Verdict::Passed, .. }))
}

fn cell(end: &Result<Ended>) -> String {
    match end {
        Ok(Ended { verdict: Verdict::Passed, took, .. }) => format!("{:.1} s", took.as_secs_f64()),
        Ok(_) => "FAILED".to_owned(),
        Err(_) => "ERROR".to_owned(),
    }
}

/// Scenarios down, kernels across; a cell is the time that it took, or that it did not pass.
fn rows(done: &[Done], kernels: &Kernels) -> Vec<Vec<String>> {
    let columns: Vec<_> =
        kernels::KERNELS.iter().filter_map(|kernel| Some((kernel.name, kernels.get(kernel.name)?))).collect();
    let row = |head: &str, cell: &dyn Fn(&'static str, &Fetched) -> String| -> Vec<String> {
        let cells = columns.iter().map(|(name, kernel)| cell(name, kernel));
        [head.to_owned()].into_iter().chain(cells).collect()
    };
    let mut rows =
        vec![row("scenario", &|name, _| name.to_owned()), row("", &|_, kernel| short(&kernel.release))];
    let scenarios: BTreeSet<&str> = done.iter().map(|done| done.run.scenario.as_str()).collect();
    for scenario in scenarios {
        let is_it = |name| move |done: &&Done| done.run.kernel.name == name && done.run.scenario == scenario;
        rows.push(row(scenario, &|name, _| {
            done.iter().find(is_it(name)).map_or_else(String::new, |done| cell(&done.end))
        }));
    }
    rows
}

/// `6.12.117+deb12` of `6.12.117+deb12-cloud-amd64`.
fn short(release: &str) -> String {
    release.strip_suffix("-cloud-amd64").unwrap_or(release).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_scenario_and_a_column_for_each_kernel() {
        let run = |name, scenario: &str| Run {
            kernel: kernels::find(name).unwrap(),
            scenario: scenario.to_owned(),
        };
        let runs = [run("6.12", "ovs::flow"), run("5.10", "boot"), run("6.12", "boot")];
        let end = |verdict| Ok(Ended { verdict, took: Duration::from_millis(4_230), console: Vec::new() });
        let ends =
            [end(Verdict::Passed), end(Verdict::Failed("why".to_owned())), Err(anyhow::anyhow!("no QEMU"))];
        let done: Vec<_> = runs.iter().zip(ends).map(|(run, end)| Done { run, end }).collect();
        let fetched = |release: &str| Fetched {
            release: release.to_owned(),
            vmlinuz: "vmlinuz".into(),
            modules: "modules.cpio".into(),
        };
        let kernels = Kernels::from([
            ("6.12", fetched("6.12.117+deb12-cloud-amd64")),
            ("5.10", fetched("5.10.0-32-cloud-amd64")),
        ]);
        assert_eq!(
            rows(&done, &kernels),
            [
                ["scenario", "5.10", "6.12"],
                ["", "5.10.0-32", "6.12.117+deb12"],
                ["boot", "FAILED", "ERROR"],
                ["ovs::flow", "", "4.2 s"],
            ]
        );
        assert_eq!(done.iter().filter(|done| is_passed(&done.end)).count(), 1);
    }
}
