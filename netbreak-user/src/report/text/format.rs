//! Numbers and lines.

/// What stands where nothing was measured.
pub(in crate::report) const NOT_MEASURED: &str = "–";

/// A count, or what stands where nothing was measured.
pub(in crate::report) fn measured(count: Option<u64>) -> String {
    count.map_or_else(|| NOT_MEASURED.to_owned(), |count| count.to_string())
}

/// Microseconds as milliseconds, with as many digits as tell something.
pub(in crate::report) fn milliseconds(us: f64) -> String {
    let ms = us / 1000.0;
    match ms {
        ..10.0 => format!("{ms:.3} ms"),
        10.0..1000.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

/// `3.02 s – 5.01 s`, not to be broken.
pub(in crate::report) fn span(start_s: f64, end_s: f64) -> String {
    format!("{} – {}", seconds(start_s), seconds(end_s)).replace(' ', &NO_BREAK.to_string())
}

/// Seconds with two digits. What happened right before the start is 0.00 s, without a sign.
pub(in crate::report) fn seconds(seconds: f64) -> String {
    // Adding zero takes the sign of a negative zero (IEEE 754, 6.3).
    format!("{:.2} s", (seconds * 100.0).round() / 100.0 + 0.0)
}

/// A short time in milliseconds, a long one in seconds; not to be broken.
pub(in crate::report) fn time(time_s: f64) -> String {
    let text = if time_s < 1.0 { milliseconds(time_s * 1e6) } else { seconds(time_s) };
    text.replace(' ', &NO_BREAK.to_string())
}

/// `1 attempt`, `2 attempts`.
pub(in crate::report) fn count(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// `name (netns 4026532286)`, or what is known of it.
pub(in crate::report) fn namespace(name: Option<&str>, inode: Option<u32>) -> Option<String> {
    match (name, inode) {
        (Some(name), Some(inode)) => Some(format!("{name} (netns {inode})")),
        (Some(name), None) => Some(name.to_owned()),
        (None, inode) => inode.map(|inode| format!("netns {inode}")),
    }
}

/// A space at which no line may end; [`wrap`] prints it as a space.
pub(super) const NO_BREAK: char = '\u{a0}';

/// Breaks `text` at spaces into lines of at most `width` characters; a longer word is cut. A command in backticks
/// stays on one line, so that it can be copied. Never empty.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut in_command = false;
    let text: String = text
        .chars()
        .map(|letter| {
            in_command ^= letter == '`';
            if in_command && letter == ' ' { NO_BREAK } else { letter }
        })
        .collect();
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        if used > 0 && used + 1 + word.chars().count() <= width {
            line.push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for letter in word.chars() {
            if used == width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(if letter == NO_BREAK { ' ' } else { letter });
            used += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_that_tell_something() {
        for (us, text) in [(52.0, "0.052 ms"), (9_999.0, "9.999 ms"), (12_345.0, "12.3 ms"), (1e6, "1000 ms")]
        {
            assert_eq!(milliseconds(us), text);
        }
    }

    #[test]
    fn no_time_is_minus_zero() {
        let texts = [-0.0, -0.0049, 0.004, -0.02, 3.0].map(seconds);
        assert_eq!(texts, ["0.00 s", "0.00 s", "0.00 s", "-0.02 s", "3.00 s"]);
    }

    #[test]
    fn a_command_stays_whole() {
        assert_eq!(wrap("look at `nft list ruleset` there", 20), ["look at", "`nft list ruleset`", "there"]);
        assert_eq!(wrap("`a b`", 3), ["`a ", "b`"]);
        assert_eq!(wrap("", 3), [""]);
    }

    proptest! {
        #[test]
        fn wrapping_keeps_letters_and_width(text in "[a-zé` ]{0,80}", width in 1usize..30) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
