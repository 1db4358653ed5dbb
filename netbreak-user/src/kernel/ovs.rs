//! Attaching to `ovs_dp_upcall`, in the form that tells most.

use std::path::Path;

use aya::{
    Ebpf,
    programs::{KProbe, ProgramError, RawTracePoint},
};

use super::{btf::KernelBtf, programs::reason};
use crate::report::{NO_DATAPATH, Sensor, SensorState};

/// The module of the kernel datapath.
pub const OPENVSWITCH: &str = "openvswitch";

/// The function, and the sensor of it.
pub const UPCALL: &str = "ovs_dp_upcall";

/// Attaches to the function and its return; where this kernel has no kprobes to the tracepoint, which does not tell what
/// came of an upcall.
pub fn attach(ebpf: &mut Ebpf, btf: &KernelBtf) -> Sensor {
    let sensor = |state, why: Option<String>| Sensor { name: UPCALL.to_owned(), state, why };
    let is_module = Path::new("/sys/module").join(OPENVSWITCH).exists();
    if !is_module && btf.tracepoint_arguments(UPCALL).is_none() {
        return sensor(SensorState::Off, Some(NO_DATAPATH.to_owned()));
    }
    // The end first: of an upcall whose beginning was not seen it tells nothing.
    let probes = ["ovs_dp_upcall_ends", "ovs_dp_upcall_begins"];
    let Err(error) = probes.iter().try_for_each(|program| attach_probe(ebpf, program)) else {
        return sensor(SensorState::On, None);
    };
    for program in probes {
        let loaded: Result<&mut KProbe, _> =
            ebpf.program_mut(program).ok_or(ProgramError::NotLoaded).and_then(|program| program.try_into());
        // The only error is that it never was loaded.
        let _ = loaded.map(|program| program.unload());
    }
    let why = reason(&error);
    match attach_tracepoint(ebpf) {
        Ok(()) => sensor(
            SensorState::Degraded,
            Some(format!(
                "as a tracepoint, which does not tell whether ovs-vswitchd could be asked: a kprobe of {UPCALL} failed: {why}"
            )),
        ),
        Err(error) => sensor(
            SensorState::Off,
            Some(format!("a kprobe failed: {why}; its tracepoint failed: {}", reason(&error))),
        ),
    }
}

fn attach_probe(ebpf: &mut Ebpf, program: &str) -> Result<(), ProgramError> {
    let program: &mut KProbe = ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach(UPCALL, 0).map(drop)
}

fn attach_tracepoint(ebpf: &mut Ebpf) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint =
        ebpf.program_mut("ovs_dp_upcall_raw").ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach(UPCALL).map(drop)
}
