//! docs/report.schema.json and docs/sightings.schema.json are what the models say, and what reports and sightings are.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Value, json};

use super::{Report, Sightings, fixtures};

const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// The schema of what netbreak writes, draft 2020-12.
fn generate<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(without_null);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

/// What was not measured is absent: nothing is ever null.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({"type": "null"}));
        if let [Value::Object(one)] = &choices[..] {
            let one = one.clone();
            schema.remove("anyOf");
            one.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
        }
    }
    transform_subschemas(&mut without_null, schema);
}

/// Asserts that it is a schema, and that a report has its shape.
fn errors(report: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&generate::<Report>()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_files_are_current() {
    for (name, generated) in [("report", generate::<Report>()), ("sightings", generate::<Sightings>())] {
        let file = format!("{DOCUMENTS}/{name}.schema.json");
        if std::env::var_os("NETBREAK_UPDATE").is_some() {
            std::fs::write(&file, &generated).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == generated,
            "{file} is not what the model says: run `NETBREAK_UPDATE=1 cargo test -p netbreak-user --lib schema`"
        );
    }
}

#[test]
fn reports_have_its_shape() {
    for (name, report) in fixtures::all() {
        let errors = errors(&serde_json::to_value(&report).unwrap());
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn what_is_no_report_does_not() {
    let report = serde_json::to_value(fixtures::broken()).unwrap();
    for (place, value) in [
        ("/schema", json!("netbreak.report/2")),
        ("/verdict", json!("fine")),
        ("/targets/0/probes/0/sent", json!(-1)),
        ("/targets/0/probes/0/kind", json!("sctp")),
        ("/targets/0/probes/0/rtt_us", Value::Null),
        ("/losses", json!({})),
        ("/books/0", json!({"surprise": 1})),
    ] {
        let mut broken = report.clone();
        *broken.pointer_mut(place).unwrap() = value;
        assert!(!errors(&broken).is_empty(), "{place}");
    }
}
