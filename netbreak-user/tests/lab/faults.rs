//! Each fault kills exactly the packets that the kernel counts, and undoing it heals the network.

use netbreak_user::lab::{Effect, FAULTS, Family, Fault, Lab};
use netbreak_user::probe::Kind;
use netbreak_user::report::Cause;

use crate::PATIENCE;
use crate::burst::{BURST, SOON, SURELY, lost, ping, tcp, udp};
use crate::skip::skipped;
use crate::wait::wait_until;

/// Breaks, counts, heals.
fn prove(lab: &mut Lab, fault: &Fault) {
    let name = fault.name;
    lab.apply(fault).unwrap();
    let mut counted = lab.read_truth(fault).unwrap();
    assert!(counted.is_none_or(|n| n == 0), "{name}: {counted:?} died before anything was sent");
    // A connection that loses some packets sends them again, after the fault.
    let kinds: &[Kind] = match fault.effect {
        Effect::KillsSome => &[Kind::Icmp, Kind::Udp],
        _ => &[Kind::Icmp, Kind::Udp, Kind::Tcp],
    };
    let hit = |family: &Family| kinds.iter().map(|kind| (*family, *kind)).collect::<Vec<_>>();
    for (family, kind) in fault.families.iter().flat_map(hit).filter(|(_, kind)| fault.probes.contains(kind))
    {
        let patience = if matches!(fault.effect, Effect::Spares | Effect::KillsSome) { SURELY } else { SOON };
        let lost = lost(lab, family, kind, fault.arguments, patience);
        let killed = match (fault.effect, kind) {
            (Effect::KillsAll | Effect::Refuses, Kind::Tcp) => 1,
            (Effect::KillsAll | Effect::Refuses, _) => BURST,
            _ => 0,
        };
        // A busy machine kills late, too.
        wait_until(PATIENCE, &format!("{name}: {killed} more than {counted:?} are counted"), || {
            lab.read_truth(fault).unwrap().is_none_or(|n| n >= counted.unwrap_or(0) + killed)
        });
        let now = lab.read_truth(fault).unwrap();
        let died = now.map(|n| n - counted.unwrap_or(0));
        counted = now;
        let seen = format!("{name} {} {}: {lost} lost, {died:?} counted", family.name(), kind.name());
        println!("{seen}");
        let in_queue = fault.expected.is_some_and(|expected| expected.cause == Cause::Queue);
        match (fault.effect, kind) {
            (Effect::Spares, _) => assert_eq!((lost, died), (0, None), "{seen}"),
            // A queue is no grave: what waits in it is late.
            (Effect::KillsSome, _) if in_queue => assert!(died.is_some_and(|n| 0 < n), "{seen}"),
            (Effect::KillsSome, _) => assert!(died == Some(lost) && 0 < lost, "{seen}"),
            // A lost SYN, or SYN-ACK, is sent again.
            (Effect::KillsAll | Effect::Refuses, Kind::Tcp) => {
                assert!(lost == 1 && died.is_none_or(|n| n >= 1), "{seen}");
            }
            _ => assert!(lost == BURST && died.is_none_or(|n| n == BURST), "{seen}"),
        }
    }
    lab.undo(fault).unwrap();
    assert_eq!(lab.read_truth(fault).unwrap(), counted, "{name}: the count outlives the undo");
    for family in Family::ALL {
        wait_until(PATIENCE, &format!("{name} is healed for {}", family.name()), || {
            ping(lab, *family, &[], SOON) == 0
        });
        let lost = (udp(lab, *family, None, 1400, SURELY), tcp(lab, *family, None, SURELY));
        assert_eq!(lost, (0, 0), "{name} is not healed for {}", family.name());
    }
    assert_eq!(lab.read_truth(fault).unwrap(), counted, "{name}: died after the undo");
}

/// A quarter of the faults: the four tests run side by side.
fn prove_quarter(part: usize) {
    let faults: Vec<&Fault> = FAULTS.iter().copied().skip(part).step_by(4).collect();
    let mut programs: Vec<&str> = faults.iter().flat_map(|f| f.needs.programs()).copied().collect();
    programs.push("ping");
    if skipped(&programs) {
        return;
    }
    let mut lab = Lab::new().unwrap();
    faults.into_iter().for_each(|fault| prove(&mut lab, fault));
}

#[test]
fn faults_kill_what_is_counted_first_quarter() {
    prove_quarter(0);
}

#[test]
fn faults_kill_what_is_counted_second_quarter() {
    prove_quarter(1);
}

#[test]
fn faults_kill_what_is_counted_third_quarter() {
    prove_quarter(2);
}

#[test]
fn faults_kill_what_is_counted_last_quarter() {
    prove_quarter(3);
}
