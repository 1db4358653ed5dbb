//! The page as text; tests/html.rs opens it in a browser.

use super::super::fixtures;
use super::*;
use crate::report::Report;

/// The value of each marked number, by its place in the JSON.
fn marked(page: &str) -> Vec<(String, String)> {
    let numbers = page.split("<data value=\"").skip(1);
    numbers
        .map(|rest| {
            let (value, rest) = rest.split_once("\" data-at=\"").unwrap();
            (rest.split_once('"').unwrap().0.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn every_number_is_that_of_the_report() {
    for (name, report) in fixtures::all() {
        let json = serde_json::to_value(&report).unwrap();
        let marked = marked(&render(&report));
        for (at, value) in &marked {
            let expected = json.pointer(at).unwrap_or_else(|| panic!("{name}: {at} is not in the report"));
            assert_eq!(expected.as_f64(), value.parse().ok(), "{name}: {at}");
        }
        assert!(marked.len() >= 3, "{name}: {marked:?}");
    }
}

#[test]
fn what_matters_is_there() {
    let report = fixtures::broken();
    let page = render(&report);
    let marked: Vec<String> = marked(&page).into_iter().map(|(at, _)| at).collect();
    for probe in 0..report.targets[0].probes.len() {
        for field in ["sent", "answered", "rtt_us/p50", "rtt_us/max"] {
            let at = format!("/targets/0/probes/{probe}/{field}");
            assert!(marked.contains(&at), "{at}");
        }
    }
    for at in [
        "/targets/0/probes/0/deaths/0/attempts",
        "/targets/0/probes/0/deaths/1/attempts",
        "/targets/0/probes/1/deaths/0/attempts",
        "/targets/0/probes/0/path/stages/2/stopped",
        "/books/1/traced",
        "/drops/0/packets",
        "/drop_totals/0/packets",
        "/changes/1/at_s",
        "/losses/ring_full",
    ] {
        assert!(marked.iter().any(|marked| marked == at), "{at}");
    }
    for text in report.probes().flat_map(|probe| &probe.deaths).map(|death| &death.explain) {
        let words = text.split('`').next().unwrap();
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("kernel.kptr_restrict is 2"), "what could not be seen");
}

#[test]
fn strings_of_the_report_are_only_text() {
    const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
    fn poison(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => text.push_str(HOSTILE),
            serde_json::Value::Array(values) => values.iter_mut().for_each(poison),
            // What is one of a few words stays it.
            serde_json::Value::Object(map) => map
                .iter_mut()
                .filter(|(key, _)| !["kind", "leg", "cause", "state", "verdict"].contains(&key.as_str()))
                .for_each(|(_, value)| poison(value)),
            _ => {}
        }
    }
    let mut json = serde_json::to_value(fixtures::broken()).unwrap();
    poison(&mut json);
    let report: Report = serde_json::from_value(json).unwrap();
    let page = render(&report);
    assert!(page.contains("&lt;img src=x"));
    assert!(!page.contains("<img"), "an element out of a string");
    // The data and our own script, each with its end.
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(!page.contains("x onerror=alert(1)>\"'"), "a quote is not escaped");
}

#[test]
fn nothing_comes_from_elsewhere() {
    let page = render(&fixtures::broken());
    for word in ["src=", "@import", "<iframe", "<object", "fetch(", "XMLHttp"] {
        assert!(!page.contains(word), "{word}");
    }
    // A name of a namespace of XML, never asked for.
    let addresses = page.matches("http://").count() + page.matches("https://").count();
    assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn pictures_need_no_script() {
    let page = render(&fixtures::broken());
    let (pictures, _) = page.split_once("<script").unwrap();
    assert_eq!(
        pictures.matches("<path class=\"median\"").count(),
        5,
        "one line of round-trip times for each probe"
    );
    for (what, least) in
        [("class=\"bar ", 5), ("class=\"outage\"", 2), ("<g class=\"label\"", 2), ("2.00\u{a0}s", 2)]
    {
        assert!(pictures.matches(what).count() >= least, "{what}");
    }
    assert!(pictures.contains("netfilter [1]"), "the cause is said, not only coloured");
}

#[test]
fn a_report_without_a_timeline_shows_its_outages() {
    let mut report = fixtures::broken();
    report.targets[0].probes.iter_mut().for_each(|probe| probe.timeline = None);
    let page = render(&report);
    assert!(page.contains("no times in this report"));
    assert!(page.contains("class=\"bar ") && page.contains("class=\"outage\""), "{page}");
}

#[test]
fn many_streams_are_one_row_and_the_worst_of_them() {
    let mut report = fixtures::broken();
    let probes = &mut report.targets[0].probes;
    let quiet = probes.pop().unwrap();
    let mut troubled = quiet.clone();
    troubled.stream.iter_mut().for_each(|stream| stream.resets = 3);
    let alone = render(&report).len();
    let probes = &mut report.targets[0].probes;
    probes.extend(std::iter::repeat_n(quiet, 1000));
    probes[4 + 416] = troubled;
    let page = render(&report);
    for words in ["stream 5000 ×1000", "1 of 1000 had trouble", "stream 5000 #417"] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("data-probe=").count(), 4 + 10);
    let rows = marked(&page).into_iter().filter(|(at, _)| at.ends_with("/stream/resets"));
    assert_eq!(rows.map(|(at, _)| at).collect::<Vec<_>>(), ["/targets/0/probes/420/stream/resets"]);
    assert!(page.len() < alone + 400_000, "{} {alone}", page.len());
}

#[test]
fn a_matrix_has_many_sources() {
    let page = render(&fixtures::matrix());
    assert!(page.contains("from 2 sources") && !page.contains("from client"), "{page}");
}

#[test]
fn an_address_as_it_was_typed_is_there_once() {
    let page = render(&fixtures::broken());
    assert!(page.contains("/targets/0/target") && !page.contains("/targets/0/address"));
    assert!(render(&fixtures::many_flows()).contains("/targets/0/address"));
}

#[test]
fn names_keep_together() {
    let page = render(&fixtures::broken());
    for cell in
        ["/run/sensors/0/state", "/drops/0/reason", "/drops/0/symbol", "/drops/0/device", "/books/0/name"]
    {
        let (before, _) = page.split_once(&format!("data-at=\"{cell}\"")).unwrap();
        let (_, cell) = before.rsplit_once("<td").unwrap();
        assert!(cell.starts_with(" class=\"name\""), "{cell}");
    }
}

/// WCAG 2.2: 4.5 for text (1.4.3), 3 for what has a meaning in a picture (1.4.11).
#[test]
fn contrasts_are_enough_in_both_schemes() {
    let (light, dark) = STYLE.split_once("@media screen and (prefers-color-scheme: dark)").unwrap();
    for (scheme, css) in [("light", light), ("dark", dark)] {
        let luminance = |name: &str| {
            let (_, rest) =
                css.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("{scheme} lacks {name}"));
            let channel = |index: usize| {
                let value =
                    f64::from(u8::from_str_radix(&rest[index * 2..index * 2 + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
        };
        let contrast = |a: &str, b: &str| {
            let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
            a.max(b) / a.min(b)
        };
        for name in ["ink", "quiet", "good", "bad", "warn"] {
            for ground in ["page", "panel", "lane"] {
                assert!(
                    contrast(name, ground) >= 4.5,
                    "{scheme}: {name} on {ground}: {}",
                    contrast(name, ground)
                );
            }
        }
        for name in ["accent", "red", "blue", "purple", "ochre", "green", "grey"] {
            assert!(contrast(name, "page") >= 3.0, "{scheme}: {name}: {}", contrast(name, "page"));
        }
    }
}
