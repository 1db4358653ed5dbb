//! What tells the packets of one run from those of any other, as people read and type it. 0 is no run's.

/// As reports have it: 16 hexadecimal digits.
pub fn name(run_id: u64) -> String {
    format!("{run_id:016x}")
}

/// From up to 16 hexadecimal digits; `None` for anything else, and for zero.
pub fn parse(typed: &str) -> Option<u64> {
    let is_hex = (1..=16).contains(&typed.len()) && typed.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(typed, 16).ok().filter(|run_id| is_hex && *run_id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_parsed() {
        for run_id in [1, 0x5eed, u64::MAX] {
            assert_eq!(parse(&name(run_id)), Some(run_id));
        }
        assert_eq!(parse("5EED"), Some(0x5eed));
        for typed in ["", "0", "0000", "0x5eed", "+5", "12345678901234567", "node"] {
            assert_eq!(parse(typed), None, "{typed}");
        }
    }
}
