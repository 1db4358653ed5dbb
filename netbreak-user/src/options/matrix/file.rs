//! The file of a matrix as it is written: text and numbers, each with the place where it stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::words::{Lines, did_you_mean};
use crate::{options::Refused, shapes::in_words};

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub duration: Option<Spanned<String>>,
    pub interval: Option<Spanned<String>>,
    pub timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub source: BTreeMap<String, Spanned<Source>>,
    #[serde(default)]
    pub target: BTreeMap<String, Spanned<Target>>,
    #[serde(default)]
    pub probe: BTreeMap<String, Spanned<Probe>>,
    #[serde(default)]
    pub row: Vec<Row>,
}

/// `[source.NAME]`: exactly one of the first three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub here: Option<bool>,
    pub netns: Option<String>,
    pub pod: Option<String>,
    pub address: Option<String>,
    pub interface: Option<String>,
}

/// `[target.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub address: String,
}

/// `[probe.NAME]`: exactly one of icmp, tcp, http, https, udp and stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    pub icmp: Option<bool>,
    pub tcp: Option<i64>,
    pub http: Option<String>,
    pub https: Option<String>,
    pub insecure: Option<bool>,
    pub udp: Option<i64>,
    pub stream: Option<i64>,
    pub interval: Option<String>,
    pub size: Option<i64>,
}

/// `[[row]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub name: Spanned<String>,
    pub from: Spanned<String>,
    pub to: Spanned<String>,
    pub probes: Spanned<Vec<Spanned<String>>>,
}

/// Reads a file. `lines` knows its name and text.
pub(super) fn parse(lines: &Lines) -> Result<File, Refused> {
    toml::from_str(lines.text()).map_err(|error| {
        // `unknown field `x`, expected one of `a`, `b``: what was meant is the one among them that looks like it.
        let message = in_words(error.message().trim_end(), "a table");
        let mut quoted = message.split('`').skip(1).step_by(2);
        let meant = match message.starts_with("unknown field") {
            true => quoted.next().and_then(|typed| did_you_mean(typed, quoted)),
            false => None,
        };
        let meant = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
        match error.span() {
            Some(span) => lines.refuse(&span, format!("{}{meant}", message.replace('\n', ", "))),
            None => Refused::new(format!("{}: {message}{meant}", lines.name())),
        }
    })
}
