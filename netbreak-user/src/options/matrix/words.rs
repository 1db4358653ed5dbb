//! Where something stands in a file, and what a wrong word may have meant.

use std::ops::Range;

use crate::options::Refused;

/// A file's name and text.
pub(super) struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Lines<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Lines { name, text }
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn text(&self) -> &str {
        self.text
    }

    /// Refuses what stands at these bytes.
    pub(super) fn refuse(&self, span: &Range<usize>, why: impl std::fmt::Display) -> Refused {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let shown = self.text.lines().nth(line - 1).unwrap_or_default().trim();
        Refused::new(format!("{} line {line}, `{shown}`: {why}", self.name))
    }
}

/// The one of `known` that looks most like `typed`, if one does.
pub(super) fn did_you_mean<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What clap takes for its own suggestions, too.
    const ALIKE: f64 = 0.7;
    // In a short word two letters that changed places are much.
    let slip = |word: &str| word.len() > 2 && strsim::osa_distance(typed, word) == 1;
    let likeness = |word| if slip(word) { 1.0 } else { strsim::jaro(typed, word) };
    let alike = known.map(|word| (likeness(word), word)).filter(|(alike, _)| *alike > ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, word)| word)
}

/// The words for a name that is not among `known`.
pub(super) fn unknown<'a>(what: &str, typed: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let meant = did_you_mean(typed, known.clone());
    let meant = meant.map(|meant| format!(": did you mean {meant:?}?")).unwrap_or_default();
    let all = known.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match all.is_empty() {
        true => format!("there is no {what} {typed:?}: the file has none"),
        false => format!("there is no {what} {typed:?}, but {all}{meant}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_with_its_line() {
        let lines = Lines::new("a.toml", "one\n  two = 3\n");
        assert_eq!(lines.refuse(&(8..9), "no").to_string(), "a.toml line 2, `two = 3`: no");
        assert_eq!(lines.refuse(&(99..100), "no").to_string(), "a.toml line 3, ``: no");
    }

    #[test]
    fn only_what_looks_alike_is_suggested() {
        let known = ["interval", "timeout"];
        assert_eq!(did_you_mean("intervall", known.into_iter()), Some("interval"));
        assert_eq!(did_you_mean("x", known.into_iter()), None);
        assert_eq!(did_you_mean("svr", ["web", "srv"].into_iter()), Some("srv"));
        assert_eq!(did_you_mean("b", ["a", "ab"].into_iter()), None);
        assert_eq!(
            unknown("source", "pod-b", ["pod-a", "outside"].into_iter()),
            "there is no source \"pod-b\", but \"pod-a\", \"outside\": did you mean \"pod-a\"?"
        );
        assert_eq!(unknown("source", "x", [].into_iter()), "there is no source \"x\": the file has none");
    }
}
