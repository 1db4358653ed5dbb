//! Values of the report in the page, each marked with its place in the JSON, so that a program can compare both.

use std::fmt::Display;

use maud::{Markup, Render, html};

use crate::report::text::format::NOT_MEASURED;

/// A number: `at` is its JSON pointer (RFC 6901), `text` what a person reads.
pub(super) fn number(at: &str, value: impl Display, text: impl Render) -> Markup {
    html! { data value=(value) data-at=(at) { (text) } }
}

/// A number as it is.
pub(super) fn count(at: &str, value: u64) -> Markup {
    number(at, value, value)
}

/// A number that may not have been measured.
pub(super) fn measured(at: &str, value: Option<u64>) -> Markup {
    match value {
        Some(value) => count(at, value),
        None => html! { (NOT_MEASURED) },
    }
}

/// A word.
pub(super) fn word(at: &str, text: &str) -> Markup {
    html! { span data-at=(at) { (text) } }
}

/// A word that may not be known.
pub(super) fn known(at: &str, text: Option<&str>) -> Markup {
    match text {
        Some(text) => word(at, text),
        None => html! { (NOT_MEASURED) },
    }
}

/// The same sentence, with what stands in backticks as code.
pub(super) fn sentence(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A number in a path of SVG: two digits after the point at most, and no zeros at its end.
pub(super) fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        let texts = [3.0, 0.5, -0.001, 1.239, 120.0].map(coordinate);
        assert_eq!(texts, ["3", "0.5", "0", "1.24", "120"]);
    }

    #[test]
    fn commands_are_code() {
        assert_eq!(sentence("look at `nft <x>`").into_string(), "look at <code>nft &lt;x&gt;</code>");
    }
}
