//! The tables of a matrix.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Page, Style, format::NO_BREAK};
use crate::report::matrix;

pub(super) fn table(page: &mut Page, table: &matrix::Table) {
    page.line("");
    page.line(page.paint.paint(Style::Strong, table.title));
    let mut shown = Table::new();
    shown
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(page.width).unwrap_or(u16::MAX))
        .set_header(table.columns.iter().map(|column| column.name))
        .add_rows(&table.rows);
    for (column, shown) in table.columns.iter().zip(shown.column_iter_mut()) {
        if column.is_number {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in shown.lines() {
        page.line(line.replace(NO_BREAK, " "));
    }
}
