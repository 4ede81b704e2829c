//! Writes results as CSV, TSV or bare text.

use crate::bind::{Cell, Kept};
use std::borrow::Cow;

/// Says how cells are separated and protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// RFC 4180: commas, and quotes where they are needed.
    Csv,
    /// Tabs; tab, line feed, carriage return and backslash in a cell are written `\t`, `\n`, `\r` and `\\`.
    Tsv,
}

impl Table {
    /// Appends the row of column names.
    pub(super) fn header(self, names: &[String], out: &mut Vec<u8>) {
        let value = free_name(names);
        self.row(names.iter().map(String::as_str).chain([value.as_ref()]), out);
    }

    /// Appends the row of a result; `None` is an empty cell.
    pub(super) fn result(self, kept: &Kept, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let cell = |position| kept.cells.get(position).map_or("", kept_text);
        let value = value.filter(|json| *json != b"null").map_or(Cow::Borrowed(""), bare);
        self.row((0..kept.names.len()).map(cell).chain([value.as_ref()]), out);
    }

    fn row<'a>(self, cells: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
        let start = out.len();
        for (position, cell) in cells.enumerate() {
            match (self, position) {
                (_, 0) => {}
                (Self::Csv, _) => out.push(b','),
                (Self::Tsv, _) => out.push(b'\t'),
            }
            self.cell(cell, out);
        }
        if out.len() == start && self == Self::Csv {
            // An empty line is no row to most readers, ours included.
            out.extend_from_slice(b"\"\"");
        }
        out.push(b'\n');
    }

    fn cell(self, cell: &str, out: &mut Vec<u8>) {
        match self {
            Self::Csv if cell.contains([',', '"', '\n', '\r']) => {
                out.push(b'"');
                out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                out.push(b'"');
            }
            Self::Csv => out.extend_from_slice(cell.as_bytes()),
            Self::Tsv => cell.bytes().for_each(|byte| match byte {
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\\' => out.extend_from_slice(b"\\\\"),
                byte => out.push(byte),
            }),
        }
    }
}

/// Appends the line of `raw` output.
pub(super) fn raw_line(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(value.map_or(Cow::Borrowed("null"), bare).as_bytes());
    out.push(b'\n');
}

/// Returns a JSON string's text; other values keep their JSON text.
fn bare(json: &[u8]) -> Cow<'_, str> {
    if json.first() == Some(&b'"')
        && let Ok(text) = serde_json::from_slice::<String>(json)
    {
        return Cow::Owned(text);
    }
    String::from_utf8_lossy(json)
}

fn kept_text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) | Cell::Missing { text } => text,
        Cell::Json(json) if json == "null" => "",
        Cell::Json(json) => json,
    }
}

/// Names the result's column: `value`, unless an input column is called so.
pub(super) fn free_name(names: &[String]) -> Cow<'static, str> {
    let taken = |name: &str| names.iter().any(|other| other == name);
    if !taken("value") {
        return Cow::Borrowed("value");
    }
    let mut numbered = (2_u64..).map(|number| format!("value_{number}"));
    numbered.find(|name| !taken(name)).map_or(Cow::Borrowed("value"), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: Table, cells: &[&str]) -> String {
        let mut out = Vec::new();
        table.row(cells.iter().copied(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_protected() {
        for (cells, csv, tsv) in [
            (&["a", "1"][..], "a,1\n", "a\t1\n"),
            (&["a,b", "say \"x\""], "\"a,b\",\"say \"\"x\"\"\"\n", "a,b\tsay \"x\"\n"),
            (&["a\nb\r", "\t\\"], "\"a\nb\r\",\t\\\n", "a\\nb\\r\t\\t\\\\\n"),
            (&[""], "\"\"\n", "\n"),
            (&["", ""], ",\n", "\t\n"),
            (&["=1+1", " x "], "=1+1, x \n", "=1+1\t x \n"),
        ] {
            assert_eq!(row(Table::Csv, cells), csv);
            assert_eq!(row(Table::Tsv, cells), tsv);
        }
    }

    #[test]
    fn values_in_a_cell() {
        for (json, cell) in [
            ("1.5", "1.5"),
            (r#""a\nb""#, "a\nb"),
            ("[1,2]", "[1,2]"),
            ("true", "true"),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
        ] {
            assert_eq!(bare(json.as_bytes()), cell);
        }
    }

    #[test]
    fn the_result_finds_a_free_name() {
        for (names, free) in [(&["a"][..], "value"), (&["value"], "value_2"), (&["value_2", "value"], "value_3")] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(free_name(&names), free);
        }
    }
}
