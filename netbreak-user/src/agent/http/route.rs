//! What a request asks for.

use clap::ValueEnum;
use hyper::{Method, StatusCode};

use crate::{cli::Format, clock::Nanos, options::validate_sightings, run_id};

/// What there is.
#[derive(Debug, PartialEq)]
pub(super) enum Route {
    /// All metrics.
    Metrics,
    /// Whether windows end as they should.
    Health,
    /// The list of kept reports.
    Reports,
    /// One of them.
    Report(u64, Format),
    /// The packets of a run, and how long they are followed.
    Sightings(u64, Nanos),
}

/// Why there is nothing, in a sentence.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

const PATHS: &str = "there are /metrics, /healthz, /reports, /reports/ID?format=json|html|markdown|text and /sightings/RUN?duration=60s";

/// Reads a request's first line.
///
/// # Errors
/// With the status and the sentence of the answer.
pub(super) fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, Refusal> {
    if method != Method::GET {
        return Err(Refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not for this: only GET is"),
        ));
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["metrics"] => parameter(query, None).map(|_| Route::Metrics),
        ["healthz"] => parameter(query, None).map(|_| Route::Health),
        ["reports"] => parameter(query, None).map(|_| Route::Reports),
        ["reports", id] => {
            let format = parameter(query, Some("format"))?.map_or(Ok(Format::Json), format_of)?;
            let id = run_id::parse(id).ok_or_else(|| {
                bad(format!("/reports/{id}: expected the id of a report, 1 to 16 hexadecimal digits; /reports has them"))
            })?;
            Ok(Route::Report(id, format))
        }
        ["sightings", run] => {
            let duration = parameter(query, Some("duration"))?;
            let (run_id, duration) = validate_sightings(run, duration).map_err(|why| bad(why.to_string()))?;
            Ok(Route::Sightings(run_id, duration))
        }
        _ => Err(Refusal(StatusCode::NOT_FOUND, format!("{path} is not here: {PATHS}"))),
    }
}

fn bad(why: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

/// The value of the only parameter that there may be.
fn parameter<'a>(query: Option<&'a str>, name: Option<&str>) -> Result<Option<&'a str>, Refusal> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    match query.split_once('=') {
        Some((key, value)) if Some(key) == name && !value.contains('&') => Ok(Some(value)),
        _ => Err(bad(match name {
            Some(name) => format!("?{query}: the only parameter here is {name}, given once"),
            None => format!("?{query}: there are no parameters here"),
        })),
    }
}

fn format_of(typed: &str) -> Result<Format, Refusal> {
    match Format::from_str(typed, false) {
        Ok(format @ (Format::Json | Format::Html | Format::Markdown | Format::Text)) => Ok(format),
        _ => Err(bad(format!("format={typed}: expected json, html, markdown or text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn get(line: &str) -> Result<Route, Refusal> {
        let (path, query) = line.split_once('?').map_or((line, None), |(path, query)| (path, Some(query)));
        route(&Method::GET, path, query)
    }

    #[test]
    fn accepted() {
        for (line, expected) in [
            ("/metrics", Route::Metrics),
            ("/healthz?", Route::Health),
            ("/reports", Route::Reports),
            ("/reports/5eed", Route::Report(0x5eed, Format::Json)),
            ("/reports/00000000005eed01?format=html", Route::Report(0x5eed01, Format::Html)),
            ("/reports/1?format=text", Route::Report(1, Format::Text)),
            ("/reports/1?format=markdown", Route::Report(1, Format::Markdown)),
            ("/sightings/5eed", Route::Sightings(0x5eed, 60 * SECOND)),
            ("/sightings/5eed?duration=10m", Route::Sightings(0x5eed, 600 * SECOND)),
        ] {
            assert_eq!(get(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn refused() {
        for (line, status, words) in [
            ("/", 404, "there are /metrics"),
            ("/metrics/", 404, "/metrics/ is not here"),
            ("/metric", 404, "/metric is"),
            ("/reports/1/2", 404, "is not here"),
            ("/reports/", 400, "expected the id of a report"),
            ("/reports/../etc", 404, "is not here"),
            ("/reports/seed", 400, "/reports/seed: expected the id"),
            ("/reports/1?format=pdf", 400, "format=pdf: expected json"),
            ("/reports/1?format=test-server", 400, "format=test-server"),
            ("/reports/1?form=html", 400, "the only parameter here is format"),
            ("/reports/1?format=html&format=text", 400, "given once"),
            ("/metrics?x=1", 400, "no parameters"),
            ("/sightings/0", 400, "/sightings/ 0: expected 1 to 16 hexadecimal digits"),
            ("/sightings/seed", 400, "seed: expected"),
            ("/sightings/5eed?duration=11m", 400, "at most 10m"),
            ("/sightings/5eed?duration=60", 400, "with its unit"),
            ("/sightings/5eed?duration", 400, "the only parameter here is duration"),
        ] {
            let Refusal(found, said) = get(line).unwrap_err();
            assert!(found.as_u16() == status && said.contains(words), "{line}: {found} {said}");
        }
        for method in [Method::POST, Method::HEAD, Method::DELETE] {
            let Refusal(found, said) = route(&method, "/metrics", None).unwrap_err();
            assert!(found == StatusCode::METHOD_NOT_ALLOWED && said.contains(method.as_str()), "{said}");
        }
    }
}
