//! What the verdict is known to get wrong: not yet a reason to fail, unless the score itself is asked for.

use super::case::{Case, When};

/// Why this case may fail; `None` if it may not.
pub fn why(case: &Case) -> Option<&'static str> {
    (case.when == When::ToTheEnd).then_some("a stream's writes are not tied to their segments")
}
