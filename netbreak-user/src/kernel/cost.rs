//! What programs cost, as the kernel itself accounts it.

use std::{collections::HashMap, fs, io, os::fd::OwnedFd};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{BtfTracePoint, ProgramError},
    sys::{Stats, SyscallError, enable_stats},
};

use super::tracer::{OBJECT, StartError};

/// Runs of programs and the time that they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// How often they ran.
    pub runs: u64,
    /// Nanoseconds, in all.
    pub nanos: u64,
}

impl Cost {
    /// Of all programs of which `process` holds a file descriptor, since each was loaded. It only grows while an
    /// [`Accounting`] is alive.
    ///
    /// # Errors
    /// When the process is gone or belongs to somebody else.
    pub fn of_process(process: u32) -> io::Result<Cost> {
        let mut programs = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
            // A descriptor that is closed meanwhile has no program any more.
            let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
            programs.extend(parse(&text));
        }
        Ok(programs.values().fold(Cost::default(), |sum, cost| Cost {
            runs: sum.runs + cost.runs,
            nanos: sum.nanos + cost.nanos,
        }))
    }

    /// What came on top of `earlier`, per run, in nanoseconds; `None` without a run.
    pub fn per_run_since(self, earlier: Cost) -> Option<f64> {
        let runs = self.runs.checked_sub(earlier.runs).filter(|runs| *runs > 0)?;
        Some(self.nanos.saturating_sub(earlier.nanos) as f64 / runs as f64)
    }
}

/// A program's number and cost from the `fdinfo` of one of its descriptors (`bpf_prog_show_fdinfo`). Descriptors of
/// other things lack one of the lines.
fn parse(fdinfo: &str) -> Option<(u32, Cost)> {
    let field = |name: &str| {
        let value = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.trim().parse::<u64>().ok()
    };
    let id = u32::try_from(field("prog_id")?).ok()?;
    Some((id, Cost { runs: field("run_cnt")?, nanos: field("run_time_ns")? }))
}

/// While it lives the kernel accounts every program of the machine (as with `kernel.bpf_stats_enabled`, but nothing
/// has to be put back). The accounting itself costs some 50 ns a run.
pub struct Accounting {
    /// The kernel stops when the last such descriptor is closed.
    _enabled: OwnedFd,
}

impl Accounting {
    /// # Errors
    /// Without CAP_SYS_ADMIN, and before Linux 5.8.
    pub fn start() -> Result<Self, SyscallError> {
        Ok(Self { _enabled: enable_stats(Stats::RunTime)? })
    }
}

/// An attached program that does nothing: its cost is that of the accounting.
pub struct Floor {
    _programs: Ebpf,
}

impl Floor {
    /// Attaches it to this tracepoint.
    ///
    /// # Errors
    /// Where BTF tracepoints cannot be attached.
    pub fn attach(tracepoint: &str) -> Result<Self, StartError> {
        let mut programs =
            EbpfLoader::new().load(OBJECT).map_err(|error| StartError::Load(Box::new(error)))?;
        let attach = |ebpf: &mut Ebpf| -> Result<(), ProgramError> {
            let program: &mut BtfTracePoint =
                ebpf.program_mut("empty").ok_or(ProgramError::NotLoaded)?.try_into()?;
            program.load(tracepoint, &Btf::from_sys_fs()?)?;
            program.attach().map(drop)
        };
        attach(&mut programs).map_err(|error| StartError::Mandatory(error.to_string()))?;
        Ok(Self { _programs: programs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_account() {
        let program = "pos:\t0\nprog_type:\t26\nprog_id:\t17\nrun_time_ns:\t1200\nrun_cnt:\t10\n";
        assert_eq!(parse(program), Some((17, Cost { runs: 10, nanos: 1200 })));
        assert_eq!(parse("link_type:\traw_tracepoint\nprog_id:\t17\n"), None, "a link is no program");
        assert_eq!(parse("pos:\t0\nflags:\t02\n"), None);
    }

    #[test]
    fn cost_is_per_run_and_absent_without_one() {
        let earlier = Cost { runs: 10, nanos: 1000 };
        assert_eq!(Cost { runs: 14, nanos: 1600 }.per_run_since(earlier), Some(150.0));
        assert_eq!(earlier.per_run_since(earlier), None);
    }
}
