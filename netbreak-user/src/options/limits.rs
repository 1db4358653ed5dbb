//! Bounds of a plan: what would need more memory, ports or sequence numbers than there are is refused before it starts.

use super::{ProbeSpec, Refused};
use crate::clock::{MICROSECOND, Nanos, SECOND};
use crate::probe::{Kind, stream_rate};

/// Most probes (targets × ways of visiting) of one run: each has sockets of its own.
pub const MAX_PROBES: usize = 4096;

/// Most attempts of one run: each is remembered until the verdict.
pub const MAX_ATTEMPTS: u128 = 50_000_000;

/// Smallest payload: the header that tells our packets apart.
pub const MIN_SIZE: usize = 40;

/// Largest payload: what one IPv4 datagram carries, rounded.
pub const MAX_SIZE: usize = 65_000;

/// Most connects of one probe in flight: what the kernel side can tell apart (`MAX_PROBE_FLOWS`).
const MAX_CONNECTIONS: usize = 65_536;

/// Fewest and most attempts a second.
const MIN_RATE: f64 = 0.01;
const MAX_RATE: f64 = 1_000_000.0;

/// What one remembered attempt needs, in bytes (estimate for the message).
const BYTES_PER_ATTEMPT: u128 = 64;

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

/// Connections of each stream.
pub(super) fn validate_streams(typed: &str) -> Result<usize, Refused> {
    match typed.parse() {
        Ok(streams @ 1..=MAX_PROBES) => Ok(streams),
        _ => Err(Refused::new(format!("--streams {typed}: from 1 to {MAX_PROBES} connections can be kept"))),
    }
}

/// Writes of so many streams, rounded up.
pub(super) fn stream_attempts(streams: usize, duration: Nanos) -> u128 {
    let a_second = stream_rate(streams) / (8 * 1024) + 1;
    streams as u128 * (u128::from(duration) * u128::from(a_second) / u128::from(SECOND))
}

/// Attempts of one probe, which is no stream among many.
pub(super) fn attempts_of(kind: Kind, duration: Nanos, interval: Nanos) -> u128 {
    match kind {
        Kind::Stream => stream_attempts(1, duration),
        _ => u128::from(duration / interval),
    }
}

/// Attempts of the whole plan, counted.
pub(super) fn validate_total(attempts: u128) -> Result<(), Refused> {
    if attempts <= MAX_ATTEMPTS {
        return Ok(());
    }
    let gib = attempts.saturating_mul(BYTES_PER_ATTEMPT) / (1 << 30);
    Err(Refused::new(format!(
        "the plan has {attempts} attempts (about {gib} GiB of memory), and one run takes {MAX_ATTEMPTS}: \
         use a longer --interval, a shorter --duration, fewer targets or fewer --streams"
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

/// Attempts a second, as the time between two.
pub(super) fn validate_rate(typed: &str) -> Result<Nanos, Refused> {
    match typed.parse::<f64>() {
        Ok(rate @ MIN_RATE..=MAX_RATE) => Ok((SECOND as f64 / rate).round() as Nanos),
        _ => Err(Refused::new(format!(
            "--rate {typed}: expected attempts a second, from {MIN_RATE} to {MAX_RATE}, such as 5000"
        ))),
    }
}

/// Connects in flight, of probes of which each attempt is one.
pub(super) fn validate_connections(typed: &str, probes: &[ProbeSpec]) -> Result<usize, Refused> {
    if !probes.iter().any(ProbeSpec::connects) {
        return Err(Refused::new(format!(
            "--connections {typed} is for --tcp, --http or --https, and none of them is given"
        )));
    }
    match typed.parse() {
        Ok(connections @ 1..=MAX_CONNECTIONS) => Ok(connections),
        _ => Err(Refused::new(format!(
            "--connections {typed}: from 1 to {MAX_CONNECTIONS} connects can be in flight"
        ))),
    }
}

/// The least time between two attempts of each of so many probes in closed loops: more than a thread can make, and for a
/// long run so few that all of them are no more than half of what one run remembers.
pub(super) fn closed_loop_interval(probes: usize, duration: Nanos) -> Nanos {
    const FASTEST: Nanos = 10 * MICROSECOND;
    let all = u128::from(duration) * probes as u128;
    u64::try_from(all.div_ceil(MAX_ATTEMPTS / 2)).unwrap_or(Nanos::MAX).max(FASTEST)
}

/// Only echoes and datagrams have a payload of our choice.
pub(super) fn validate_sized(typed: &str, probes: &[ProbeSpec]) -> Result<usize, Refused> {
    if !probes.iter().any(|probe| matches!(probe, ProbeSpec::Icmp | ProbeSpec::Udp { .. })) {
        return Err(Refused::new(format!("--size {typed} is for --icmp and --udp, and neither is given")));
    }
    validate_size(typed)
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
        assert!(validate_total(MAX_ATTEMPTS).is_ok());
        for attempts in [MAX_ATTEMPTS + 1, u128::MAX] {
            assert!(validate_total(attempts).is_err(), "{attempts}");
        }
        assert_eq!(stream_attempts(1, SECOND), 1221);
        assert_eq!(stream_attempts(1000, 60 * SECOND), 1000 * 60 * 11);
    }

    #[test]
    fn streams() {
        assert_eq!(validate_streams("1000"), Ok(1000));
        for typed in ["0", "4097", "-1", "many", ""] {
            assert!(validate_streams(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn outstanding() {
        assert!(validate_outstanding(MILLISECOND / 10, SECOND).is_ok());
        assert!(validate_outstanding(MILLISECOND, 28 * SECOND).is_ok());
        assert!(validate_outstanding(MILLISECOND, 29 * SECOND).is_err());
    }

    #[test]
    fn rates() {
        for (typed, interval) in [("5000", 200_000), ("0.5", 2 * SECOND), ("3", 333_333_333), ("1e6", 1_000)]
        {
            assert_eq!(validate_rate(typed), Ok(interval), "{typed}");
        }
        for typed in ["0", "-1", "nan", "inf", "1000001", "5000/s", ""] {
            assert!(validate_rate(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn connections() {
        let tcp = [ProbeSpec::Icmp, ProbeSpec::Tcp { port: 1 }];
        assert_eq!(validate_connections("1", &tcp), Ok(1));
        assert_eq!(validate_connections("65536", &tcp), Ok(65_536));
        for typed in ["0", "65537", "-1", "many", ""] {
            assert!(validate_connections(typed, &tcp).is_err(), "{typed}");
        }
        assert!(validate_connections("1", &tcp[..1]).is_err());
        assert_eq!(closed_loop_interval(1, 60 * SECOND), 10 * MICROSECOND);
        assert_eq!(closed_loop_interval(2, 3600 * SECOND), 288 * MICROSECOND);
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
