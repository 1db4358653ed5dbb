//! Times such as `10ms` or `1m30s`.

use super::Refused;
use crate::clock::Nanos;

/// More than nothing, with a unit, up to a year.
pub(super) fn validate_time(flag: &str, typed: &str) -> Result<Nanos, Refused> {
    const YEAR: u128 = 365 * 24 * 3600 * 1_000_000_000;
    let refuse = |why: &str| Err(Refused::new(format!("{flag} {typed}: {why}")));
    if typed == "0" {
        return refuse("must be more than nothing");
    }
    let Ok(time) = typed.parse::<jiff::SignedDuration>() else {
        return refuse("expected a time with its unit, such as 500us, 10ms, 2s or 1m30s");
    };
    match u128::try_from(time.as_nanos()) {
        Ok(1..=YEAR) => Ok(time.as_nanos() as Nanos),
        Ok(0) | Err(_) => refuse("must be more than nothing"),
        Ok(_) => refuse("is more than a year"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for (typed, nanos) in [
            ("1ns", 1),
            ("500us", 500_000),
            ("10ms", 10_000_000),
            ("0.5s", 500_000_000),
            ("60s", 60_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
        ] {
            assert_eq!(validate_time("--interval", typed), Ok(nanos), "{typed}");
        }
    }

    #[test]
    fn refused() {
        for (typed, words) in [
            ("0s", "more than nothing"),
            ("-1s", "more than nothing"),
            ("0", "more than nothing"),
            ("60", "with its unit"),
            ("10 parsecs", "with its unit"),
            ("", "with its unit"),
            ("99999999999999h", "more than a year"),
            ("9999999999999999999999h", "with its unit"),
            ("9000h", "more than a year"),
        ] {
            let message = validate_time("--interval", typed).expect_err(typed).to_string();
            assert!(message.contains(words) && message.starts_with("--interval"), "{typed}: {message}");
        }
    }
}
