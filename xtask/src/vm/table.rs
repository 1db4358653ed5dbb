//! The table of kernels × scenarios at the end.

use std::fmt::Write as _;

/// Renders rows of cells with aligned columns, the first row being the heads.
pub fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["scenario", "5.10", "newest"]),
            row(["boot", "FAILED", ""]),
            row(["ovs::flow", "", "9.1 s"]),
        ];
        assert_eq!(render(&rows), "scenario   5.10    newest\nboot       FAILED\novs::flow          9.1 s\n");
    }
}
