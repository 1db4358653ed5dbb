//! Bounds of a plan: what would need more memory, ports or sequence numbers than there are is refused before it starts.

use super::{ProbeSpec, Refused};
use crate::clock::{Nanos, SECOND};
use crate::probe::Kind;

/// Most probes (targets × ways of visiting) of one run: each has sockets of its own.
pub const MAX_PROBES: usize = 4096;

/// Most attempts of one run: each is remembered until the verdict.
pub const MAX_ATTEMPTS: u128 = 50_000_000;

/// Smallest payload: the header that tells our packets apart.
pub const MIN_SIZE: usize = 40;

/// Largest payload: what one IPv4 datagram carries, rounded.
pub const MAX_SIZE: usize = 65_000;

/// What one remembered attempt needs, in bytes (estimate for the message).
const BYTES_PER_ATTEMPT: u128 = 64;

/// Writes of a stream in a second: 10 Mbit/s in pieces of 1 KiB.
const STREAM_WRITES_PER_SECOND: u128 = 10_000_000 / (8 * 1024) + 1;

/// Attempts of one probe that may be open at once: echoes are told apart by 16 bits of sequence number, connects by
/// a local port (`net.ipv4.ip_local_port_range` has 28,232 by default).
const MAX_OUTSTANDING: u128 = 28_000;

/// Targets × probes.
pub(super) fn validate_probe_count(targets: usize, probes: usize) -> Result<(), Refused> {
    let product = targets.saturating_mul(probes);
    if product <= MAX_PROBES {
        return Ok(());
    }
    Err(Refused::new(format!(
        "{targets} targets × {probes} probes = {product}, and one run takes {MAX_PROBES}: \
         name fewer targets, or share them between several runs"
    )))
}

/// Attempts of one probe.
pub(super) fn attempts_of(kind: Kind, duration: Nanos, interval: Nanos) -> u128 {
    match kind {
        Kind::Stream => u128::from(duration) * STREAM_WRITES_PER_SECOND / u128::from(SECOND),
        _ => u128::from(duration / interval),
    }
}

/// Attempts of the whole plan.
pub(super) fn validate_attempts(
    targets: usize,
    probes: &[ProbeSpec],
    duration: Nanos,
    interval: Nanos,
) -> Result<(), Refused> {
    let of_a_probe = |probe: &ProbeSpec| attempts_of(probe.kind(), duration, interval);
    let attempts = targets as u128 * probes.iter().map(of_a_probe).sum::<u128>();
    validate_total(attempts)
}

/// Attempts of the whole plan, counted.
pub(super) fn validate_total(attempts: u128) -> Result<(), Refused> {
    if attempts <= MAX_ATTEMPTS {
        return Ok(());
    }
    let gib = attempts * BYTES_PER_ATTEMPT / (1 << 30);
    Err(Refused::new(format!(
        "the plan has {attempts} attempts (about {gib} GiB of memory), and one run takes {MAX_ATTEMPTS}: \
         use a longer --interval, a shorter --duration or fewer targets"
    )))
}

/// Attempts of one probe that wait for their answer while nothing answers.
pub(super) fn validate_outstanding(interval: Nanos, timeout: Nanos) -> Result<(), Refused> {
    let open = u128::from(timeout / interval);
    if open <= MAX_OUTSTANDING {
        return Ok(());
    }
    Err(Refused::new(format!(
        "with this --timeout and --interval {open} attempts of one probe could wait for an answer at once, \
         and {MAX_OUTSTANDING} can be told apart: use a shorter --timeout or a longer --interval"
    )))
}

/// Payload of an echo or a datagram.
pub(super) fn validate_size(typed: &str) -> Result<usize, Refused> {
    match typed.parse::<usize>() {
        Ok(size @ MIN_SIZE..=MAX_SIZE) => Ok(size),
        _ => Err(Refused::new(format!("--size {typed}: a payload has {MIN_SIZE} to {MAX_SIZE} bytes"))),
    }
}

/// Entries of the kernel's flow map.
pub(super) fn validate_flows(typed: &str) -> Result<u32, Refused> {
    match typed.parse::<u32>() {
        Ok(flows @ 1..=4_194_304) => Ok(flows),
        _ => Err(Refused::new(format!(
            "--flows {typed}: the flow table has 1 to 4194304 entries (`netbreak doctor` shows its memory)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLISECOND;

    #[test]
    fn probe_count() {
        assert!(validate_probe_count(4096, 1).is_ok());
        assert!(validate_probe_count(2048, 2).is_ok());
        for (targets, probes) in [(4097, 1), (2049, 2), (100_000, 2), (usize::MAX, 5)] {
            assert!(validate_probe_count(targets, probes).is_err(), "{targets} × {probes}");
        }
    }

    #[test]
    fn attempts() {
        let icmp = &[ProbeSpec::Icmp][..];
        let stream = &[ProbeSpec::Stream { port: 1 }][..];
        for (targets, probes, duration, interval, accepted) in [
            (1, icmp, 60 * SECOND, 10 * MILLISECOND, true),
            (1, icmp, 50_000_000, 1, true),
            (1, icmp, 50_000_001, 1, false),
            (2, icmp, 50_000_000, 1, false),
            (1, stream, 10 * 3600 * SECOND, 1, true),
            (2, stream, 10 * 3600 * SECOND, 1, false),
            (4096, icmp, u64::MAX, 1, false),
        ] {
            let result = validate_attempts(targets, probes, duration, interval);
            assert_eq!(result.is_ok(), accepted, "{targets} {duration} {interval}: {result:?}");
        }
    }

    #[test]
    fn outstanding() {
        assert!(validate_outstanding(MILLISECOND / 10, SECOND).is_ok());
        assert!(validate_outstanding(MILLISECOND, 28 * SECOND).is_ok());
        assert!(validate_outstanding(MILLISECOND, 29 * SECOND).is_err());
    }

    #[test]
    fn sizes_and_flows() {
        assert_eq!(validate_size("40"), Ok(40));
        assert_eq!(validate_size("65000"), Ok(65_000));
        for typed in ["0", "39", "65001", "-1", "1k", ""] {
            assert!(validate_size(typed).is_err(), "{typed}");
        }
        assert_eq!(validate_flows("1"), Ok(1));
        for typed in ["0", "4194305", "many"] {
            assert!(validate_flows(typed).is_err(), "{typed}");
        }
    }
}
