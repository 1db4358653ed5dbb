//! The report as JSON, and back.

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::{error::Category, value::RawValue};

use super::{Report, SCHEMA, SIGHTINGS, Sightings};
use crate::shapes::in_words;

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
    /// Nothing at all, as of a run that did not get to its end.
    #[error("it is empty: the run that was to write it did not get to its end")]
    Empty,
    /// JSON that stops in the middle.
    #[error("it ends too early ({0}): it was not written or copied to its end")]
    CutOff(#[source] serde_json::Error),
    /// Not JSON.
    #[error("it is not JSON ({0}): name a file that `netbreak run --json FILE` wrote")]
    NotJson(#[source] serde_json::Error),
    /// JSON without a schema.
    #[error(
        "it is JSON and no report of netbreak (its `schema` cannot be read: {}): name a file that `netbreak run --json FILE` wrote",
        told(.0)
    )]
    NotAReport(#[source] serde_json::Error),
    /// The schema of something else.
    #[error("it is no report of netbreak: its schema is {0:?}, and a report's is {SCHEMA:?}")]
    OtherSchema(String),
    /// A report's schema that this netbreak does not read any more.
    #[error(
        "its schema {0:?} is older than {1:?}, which this netbreak reads: use the netbreak that wrote it"
    )]
    OlderSchema(String, &'static str),
    /// A report's schema that this netbreak does not read yet.
    #[error(
        "its schema {0:?} is newer than {1:?}, which this netbreak reads: use the netbreak that wrote it, or a newer one"
    )]
    NewerSchema(String, &'static str),
    /// Our schema, but not its shape.
    #[error(
        "its schema is {SCHEMA:?}, and it does not have that shape: {}; it was changed, or another version wrote it: use that netbreak",
        told(.0)
    )]
    Malformed(#[source] serde_json::Error),
    /// The schema of sightings, but not its shape.
    #[error(
        "its schema is {SIGHTINGS:?}, and it does not have that shape: {}; it was changed, or another version wrote it: use that netbreak",
        told(.0)
    )]
    MalformedSightings(#[source] serde_json::Error),
    /// Our shape, and numbers that contradict each other: see [`Report::check`].
    #[error(
        "its numbers contradict each other ({0}): it was changed after it was written, or the netbreak that wrote it was wrong"
    )]
    Contradicts(String),
}

/// What serde said, without its types.
fn told(error: &serde_json::Error) -> String {
    in_words(&error.to_string(), "an object")
}

/// What a file may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Saved {
    /// Of a run.
    Report(Box<Report>),
    /// Of a node that watched a run.
    Sightings(Box<Sightings>),
}

/// Sightings as JSON, with a newline at the end.
///
/// # Errors
/// Only if the model cannot be JSON, which no value of it makes happen.
pub fn render_sightings(sightings: &Sightings) -> serde_json::Result<String> {
    serde_json::to_string_pretty(sightings).map(|json| json + "\n")
}

/// Reads what [`render`] or [`render_sightings`] wrote, as [`parse`] does.
///
/// # Errors
/// See [`ParseError`]; its messages go on where `FILE: ` leaves off.
pub fn parse_saved(json: &str) -> Result<Saved, ParseError> {
    match parse(json) {
        Ok(report) => Ok(Saved::Report(Box::new(report))),
        Err(ParseError::OtherSchema(schema)) if schema == SIGHTINGS => {
            let sightings: Sightings = serde_json::from_str(json).map_err(ParseError::MalformedSightings)?;
            sightings.check().map_err(ParseError::Contradicts)?;
            Ok(Saved::Sightings(Box::new(sightings)))
        }
        Err(error) => Err(error),
    }
}

/// Reads what [`render`] wrote. What it returns keeps every identity of [`Report::check`]: renderers rely on them.
///
/// # Errors
/// See [`ParseError`]; its messages go on where `FILE: ` leaves off.
pub fn parse(json: &str) -> Result<Report, ParseError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    if json.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let head: Head = serde_json::from_str(json).map_err(|error| match error.classify() {
        Category::Eof => ParseError::CutOff(error),
        // In the middle of a number.
        Category::Syntax if is_at_end(json, &error) => ParseError::CutOff(error),
        Category::Data => ParseError::NotAReport(error),
        Category::Io | Category::Syntax => ParseError::NotJson(error),
    })?;
    if head.schema != SCHEMA {
        return Err(other_schema(head.schema));
    }
    let report: Report = serde_json::from_str(json).map_err(ParseError::Malformed)?;
    report.check().map_err(ParseError::Contradicts)?;
    Ok(report)
}

/// Does nothing follow where `error` was found?
fn is_at_end(json: &str, error: &serde_json::Error) -> bool {
    let last = json.lines().enumerate().last();
    last.is_some_and(|(before, line)| error.line() == before + 1 && error.column() >= line.len())
}

/// Why a schema that is not [`SCHEMA`] is not read.
fn other_schema(schema: String) -> ParseError {
    fn parts(schema: &str) -> Option<(&str, u32)> {
        let (name, version) = schema.split_once('/')?;
        Some((name, version.parse().ok()?))
    }
    for known in [SCHEMA, SIGHTINGS] {
        match (parts(&schema), parts(known)) {
            (Some(its), Some(ours)) if its.0 == ours.0 && its.1 < ours.1 => {
                return ParseError::OlderSchema(schema, known);
            }
            (Some(its), Some(ours)) if its.0 == ours.0 && its.1 > ours.1 => {
                return ParseError::NewerSchema(schema, known);
            }
            _ => {}
        }
    }
    ParseError::OtherSchema(schema)
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
            ("", "empty"),
            (" \n", "empty"),
            ("<!DOCTYPE html>", "not JSON (expected value at line 1 column 1)"),
            (&json[..json.find('.').unwrap() + 1], "ends too early"),
            (&json[..json.len() / 2], "ends too early"),
            ("[]", "no report"),
            ("5", "expected an object"),
            ("{}", "missing field `schema`"),
            ("{\"schema\": 1}", "no report"),
            (&json.replace("report/1", "report/2"), "\"netbreak.report/2\" is newer"),
            (&json.replace("report/1", "report/0"), "\"netbreak.report/0\" is older"),
            (
                &json.replace("report/1", "sightings/0"),
                "\"netbreak.sightings/0\" is older than \"netbreak.sightings/1\"",
            ),
            (&json.replace("report/1", "sightings/2"), "\"netbreak.sightings/2\" is newer"),
            (&json.replace("report/1", "matrix/1"), "is no report of netbreak"),
            (&json.replace("\"losses\"", "\"loss\""), "unknown field `loss`"),
            (&json.replace("\"answered\": ", "\"answered\": 1"), "sent = "),
        ] {
            let message = parse(text).expect_err(words).to_string();
            assert!(message.contains(words), "{message}");
        }
        let message =
            parse(&json.replace("\"ring_full\": 0", "\"ring_full\": \"0\"")).unwrap_err().to_string();
        assert!(message.contains("expected a whole number that is not negative at line "), "{message}");
    }

    /// Whatever numbers a saved report has, it is refused or rendered.
    #[test]
    fn no_number_brings_a_renderer_down() {
        fn numbers(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(map) => {
                    map.iter().for_each(|(key, value)| numbers(value, &format!("{at}/{key}"), found));
                }
                serde_json::Value::Array(values) => values
                    .iter()
                    .take(1)
                    .enumerate()
                    .for_each(|(index, value)| numbers(value, &format!("{at}/{index}"), found)),
                serde_json::Value::Number(_) => found.push(at.to_owned()),
                _ => {}
            }
        }
        let whole = serde_json::to_value(fixtures::broken()).unwrap();
        let mut found = Vec::new();
        numbers(&whole, "", &mut found);
        let mut rendered = 0;
        for at in &found {
            for other in [serde_json::json!(0), serde_json::json!(-1e300), serde_json::json!(1u64 << 60)] {
                let mut value = whole.clone();
                *value.pointer_mut(at).unwrap() = other.clone();
                let Ok(report) = parse(&value.to_string()) else { continue };
                let options = super::super::text::Options { color: false, width: 80 };
                let texts = [
                    super::super::text::render(&report, options),
                    super::super::markdown::render(&report),
                    super::super::html::render(&report),
                ];
                assert!(texts.iter().all(|text| text.len() < 1 << 20), "{at} = {other}");
                rendered += 1;
            }
        }
        assert!(rendered > 60, "{rendered} of {}", found.len());
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
