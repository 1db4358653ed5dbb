//! The report as a page: one file that needs no network, with a picture of the run. The pictures are drawn here; the
//! script only zooms and points.

mod axis;
mod bars;
mod books;
mod changes;
mod data;
mod deaths;
mod drops;
mod fate;
mod figure;
mod gaps;
mod head;
mod labels;
mod path;
mod probes;
mod row;
mod rtt;
#[cfg(test)]
mod tests;
mod value;

use maud::{DOCTYPE, PreEscaped, html};

use super::{Report, text::places::Places, text::rest::sentence, text::word_of};
use fate::Fates;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing from anywhere, whatever the report says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// What every part of the page is made of.
struct Page<'a> {
    report: &'a Report,
    places: Places<'a>,
    fates: Fates,
}

/// The whole page.
pub fn render(report: &Report) -> String {
    let places = Places::of(report);
    let fates = Fates::of(report, &places);
    let page = Page { report, places, fates };
    let title =
        format!("netbreak: {} · {} · {}", word_of(report.verdict), report.run.host, report.run.started);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="description" content=(sentence(report));
                // Browsers ask for /favicon.ico otherwise.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head::head(&page))
                    (figure::figure(&page))
                    (deaths::deaths(&page))
                    (probes::probes(&page))
                    (path::paths(&page))
                    (books::books(&page))
                    (drops::drops(&page))
                    (changes::changes(&page))
                    (gaps::gaps(&page))
                }
                footer {
                    "netbreak · schema " (value::word("/schema", &report.schema))
                    " · the JSON of the same run (" code { "--json" } ") has every value"
                }
                (data::embedded(&page))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}
