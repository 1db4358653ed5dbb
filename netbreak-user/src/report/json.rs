//! The report as JSON, and back.

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use super::{Report, SCHEMA};

/// Pretty-printed, with a newline at the end.
///
/// # Errors
/// Only if the model cannot be JSON, which no value of it makes happen.
pub fn render(report: &Report) -> serde_json::Result<String> {
    serde_json::to_string_pretty(report).map(|json| json + "\n")
}

/// For long lists of numbers: in an indented report each of them would have a line of its own.
pub(super) fn on_one_line<T: Serialize, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(list).map_err(S::Error::custom)?;
    RawValue::from_string(text).map_err(S::Error::custom)?.serialize(to)
}

/// Why a text is not a report.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or JSON without a schema.
    #[error("not a report of netbreak (it has no schema): {0}")]
    NotAReport(#[source] serde_json::Error),
    /// Another schema.
    #[error("the report has schema {0:?} and this netbreak reads {SCHEMA:?}: use the netbreak that wrote it")]
    UnknownSchema(String),
    /// Our schema, but not its shape.
    #[error("the report says {SCHEMA:?} and does not have its shape: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// Reads what [`render`] wrote.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(json: &str) -> Result<Report, ParseError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_str(json).map_err(ParseError::NotAReport)?;
    if head.schema != SCHEMA {
        return Err(ParseError::UnknownSchema(head.schema));
    }
    serde_json::from_str(json).map_err(ParseError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parse_undoes_render() {
        for (name, report) in fixtures::all() {
            assert_eq!(parse(&render(&report).unwrap()).unwrap(), report, "{name}");
        }
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let json = render(&fixtures::without_kernel()).unwrap();
        assert!(!json.contains("null"), "{json}");
        assert!(!json.contains("retransmits"), "{json}");
        insta::assert_snapshot!(json);
    }

    #[test]
    fn a_timeline_takes_few_lines() {
        let json = render(&fixtures::broken()).unwrap();
        let sent = json.lines().filter(|line| line.trim_start().starts_with("\"sent\": [")).count();
        assert_eq!(sent, 5, "{json}");
        assert!(json.lines().count() < 700, "{}", json.lines().count());
    }

    /// Every field that a report can have stands in docs/output.md.
    #[test]
    fn fields_are_documented() {
        fn fields(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
            match value {
                serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                    found.insert(key.clone());
                    fields(value, found);
                }),
                serde_json::Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
                _ => {}
            }
        }
        let mut found = std::collections::BTreeSet::new();
        for (_, report) in fixtures::all() {
            fields(&serde_json::to_value(&report).unwrap(), &mut found);
        }
        assert!(found.len() > 60, "{found:?}");
        let text = include_str!("../../../docs/output.md");
        let missing: Vec<_> = found.iter().filter(|field| !text.contains(&format!("`{field}`"))).collect();
        assert!(missing.is_empty(), "docs/output.md lacks {missing:?}");
    }

    #[test]
    fn what_is_not_a_report_says_so() {
        let json = render(&fixtures::clean()).unwrap();
        for (text, words) in [
            ("", "no schema"),
            ("[]", "no schema"),
            ("{}", "no schema"),
            (&json.replace("report/1", "report/2"), "\"netbreak.report/2\""),
            (&json.replace("\"losses\"", "\"loss\""), "`loss`"),
        ] {
            let message = parse(text).expect_err(words).to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    proptest! {
        #[test]
        fn times_come_back_to_the_last_bit(at in 0.0..1e9f64) {
            let mut report = fixtures::clean();
            report.run.duration_s = at;
            let back = parse(&render(&report).unwrap()).unwrap();
            prop_assert_eq!(back.run.duration_s.to_bits(), at.to_bits());
        }
    }
}
