//! What was traced against what the kernel counted.

use maud::{Markup, html};

use super::Page;
use super::value::{known, measured, word};
use crate::report::{Book, text::format::namespace};

pub(super) fn books(page: &Page) -> Markup {
    let books = || page.report.books.iter().enumerate();
    let of =
        |balanced: Option<bool>| books().filter(|(_, book)| book.balanced == balanced).collect::<Vec<_>>();
    let (unbalanced, balanced, impossible) = (of(Some(false)), of(Some(true)), of(None));
    html! {
        section id="books" {
            h2 { "Books" }
            p {
                @if unbalanced.is_empty() && balanced.is_empty() { "There was nothing to compare." }
                @else {
                    (balanced.len()) " of " (balanced.len() + unbalanced.len())
                    " equalities between what was traced and what the kernel counted hold."
                }
            }
            @if !unbalanced.is_empty() { (table(&unbalanced)) }
            @if !balanced.is_empty() {
                details { summary { "those that balance: " (balanced.len()) } (table(&balanced)) }
            }
            @if !impossible.is_empty() {
                details { summary { "those that cannot be checked here: " (impossible.len()) } (table(&impossible)) }
            }
        }
    }
}

fn table(books: &[(usize, &Book)]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "" } th { "book" } th { "namespace" } th.number { "traced" } th.number { "counted" } th { "counter" } th { "why" }
            } }
            tbody { @for (index, book) in books { (row(&format!("/books/{index}"), book)) } }
        } }
    }
}

fn row(at: &str, book: &Book) -> Markup {
    let field = |name: &str| format!("{at}/{name}");
    let (class, mark) = match book.balanced {
        Some(true) => ("good", "="),
        Some(false) => ("bad", "≠"),
        None => ("quiet", "–"),
    };
    html! {
        tr {
            td { strong.(class) { (mark) } }
            td.name { (word(&field("name"), &book.name)) }
            td.name { (namespace(book.netns_name.as_deref(), Some(book.netns)).unwrap_or_default()) }
            td.number { (measured(&field("traced"), book.traced)) }
            td.number { (measured(&field("counted"), book.counted)) }
            td.name { code { (word(&field("counter"), &book.counter)) } }
            td { @if book.why.is_some() { (known(&field("why"), book.why.as_deref())) } }
        }
    }
}
