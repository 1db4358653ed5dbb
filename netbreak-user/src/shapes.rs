//! What serde expected, in the words of whoever wrote the file, who knows no types of Rust.

/// The same message. `record` is what the format calls something with named fields.
pub(crate) fn in_words(message: &str, record: &str) -> String {
    let mut told = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("expected ") {
        told.push_str(before);
        told.push_str("expected ");
        rest = after;
        for (name, words) in SHAPES {
            if let Some(after) = after.strip_prefix(name) {
                told.push_str(words);
                rest = after;
            }
        }
        if let Some(after) = after.strip_prefix("struct ") {
            told.push_str(record);
            rest = after.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        }
    }
    told + rest
}

/// Types, and what is written for them.
const SHAPES: [(&str, &str); 10] = [
    ("i64", "a whole number"),
    ("u64", "a whole number that is not negative"),
    ("u32", "a whole number up to 4294967295"),
    ("u16", "a whole number up to 65535"),
    ("u8", "a whole number up to 255"),
    ("f64", "a number"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "a record of named values"),
    ("unit", "null"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_of_rust_is_named() {
        for (message, words) in [
            (
                "invalid type: string \"x\", expected i64",
                "invalid type: string \"x\", expected a whole number",
            ),
            ("invalid type: sequence, expected struct Head", "invalid type: sequence, expected an object"),
            (
                "invalid type: null, expected u16 at line 1 column 5",
                "invalid type: null, expected a whole number up to 65535 at line 1 column 5",
            ),
            ("unknown field `a`, expected one of `b`, `c`", "unknown field `a`, expected one of `b`, `c`"),
            ("expected value at line 1 column 1", "expected value at line 1 column 1"),
            ("expected `,` or `}` at line 3", "expected `,` or `}` at line 3"),
        ] {
            assert_eq!(in_words(message, "an object"), words);
        }
    }
}
