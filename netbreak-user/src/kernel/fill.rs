//! Filling the queues of what is not in use.

use std::ops::Range;

use aya::{
    Ebpf,
    maps::{MapError, Queue},
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun},
};

/// Enters `numbers` into the map `queue`: by its `program` where this kernel runs one that is asked to (raw tracepoints
/// since 5.10), many at once; by a system call for each where it does not.
pub fn fill(ebpf: &mut Ebpf, program: &str, queue: &str, numbers: Range<u32>) -> Result<(), MapError> {
    // What it could not do is done below.
    let done = run(ebpf, program, numbers.clone()).unwrap_or(numbers.start);
    let map = ebpf.map_mut(queue).ok_or_else(|| MapError::InvalidName { name: queue.to_owned() })?;
    let mut queue: Queue<_, u32> = map.try_into()?;
    for number in done..numbers.end {
        queue.push(number, 0)?;
    }
    Ok(())
}

/// Returns the first number that has not been entered.
fn run(ebpf: &mut Ebpf, program: &str, numbers: Range<u32>) -> Result<u32, ProgramError> {
    let program: &mut RawTracePoint = ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    let mut next = numbers.start;
    while next < numbers.end {
        let mut options = RawTracePointRunOptions::new();
        (options.args[0], options.args[1]) = (next.into(), numbers.end.into());
        match program.test_run(options) {
            Ok(ran) if ran.return_value > 0 => next += ran.return_value,
            _ => break,
        }
    }
    program.unload()?;
    Ok(next)
}
