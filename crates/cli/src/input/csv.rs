//! Reads CSV as RFC 4180 defines it.
//!
//! Not the csv crate: that reads on silently when a quote is never closed or text follows a closing quote, and does not
//! tell the line on which a row starts when blank lines precede it. A test compares the two where they agree.
//!
//! Rules:
//! 1. A row is a line; a quoted cell may hold line ends, so that a row takes several lines.
//! 2. A cell that starts with `"` is quoted and ends at the next single `"`; `""` inside stands for `"`.
//! 3. After a closing quote comes a delimiter or the end of the row.
//! 4. A `"` inside a cell that does not start with one is an ordinary character.
//! 5. A line without any character is no row.

use super::line::{LineReader, text};
use super::reader::RecordError;
use super::row::Row;

/// Says how cells are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
}

/// Reads rows.
pub(crate) struct CsvReader {
    lines: LineReader,
    dialect: Dialect,
    row: Row,
    line: u64,
    /// The physical lines of a row that takes several.
    block: Vec<u8>,
}

impl CsvReader {
    pub(crate) fn new(lines: LineReader, dialect: Dialect) -> Self {
        Self { lines, dialect, row: Row::default(), line: 0, block: Vec::new() }
    }

    /// Reads the next row; `false` is the end of the input.
    pub(crate) fn advance(&mut self) -> Result<bool, RecordError> {
        loop {
            if !self.lines.advance()? {
                return Ok(false);
            }
            if !self.lines.bytes().is_empty() {
                break;
            }
        }
        self.line = self.lines.number();
        if self.lines.bytes().contains(&b'"') {
            self.read_quoted()?;
        } else {
            let text = self.lines.text().map_err(RecordError::Bad)?;
            self.row.split(text, self.dialect.delimiter);
        }
        Ok(true)
    }

    /// Returns the current row.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// Returns the line on which the current row starts.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Returns how many bytes have been read.
    pub(crate) fn end(&self) -> u64 {
        self.lines.end()
    }

    fn read_quoted(&mut self) -> Result<(), RecordError> {
        let start = self.lines.start();
        self.block.clear();
        let mut open = opens(false, self.lines.bytes(), self.dialect);
        while open {
            self.block.extend_from_slice(self.lines.raw());
            if !self.lines.advance()? {
                return Err(RecordError::Bad("a quoted cell is never closed".to_owned()));
            }
            open = opens(true, self.lines.bytes(), self.dialect);
        }
        self.block.extend_from_slice(self.lines.bytes());
        let text = text(&self.block, start).map_err(RecordError::Bad)?;
        parse(text, self.dialect, &mut self.row).map_err(RecordError::Bad)
    }
}

/// Tells whether a quoted cell is open after `line`, when `quoted` says whether one was before.
fn opens(mut quoted: bool, line: &[u8], dialect: Dialect) -> bool {
    let mut at_start = !quoted;
    for &byte in line {
        match (quoted, byte) {
            // A doubled quote closes and opens again, which leaves the cell open.
            (true, b'"') => (quoted, at_start) = (false, true),
            (true, _) => {}
            (false, b'"') if at_start => quoted = true,
            (false, byte) => at_start = byte == dialect.delimiter,
        }
    }
    quoted
}

/// Splits a complete row.
fn parse(mut rest: &str, dialect: Dialect, row: &mut Row) -> Result<(), String> {
    let delimiter = char::from(dialect.delimiter);
    row.clear();
    loop {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (cell, after) = unquote(quoted).ok_or("a quoted cell is never closed")?;
                row.push(&cell);
                after
            }
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                row.push(&rest[..end]);
                &rest[end..]
            }
        };
        if after.is_empty() {
            return Ok(());
        }
        rest = after.strip_prefix(delimiter).ok_or_else(|| {
            let next = after.chars().next().unwrap_or_default();
            format!("cell {}: after its closing quote comes {next:?} instead of {delimiter:?}", row.len())
        })?;
    }
}

/// Splits what follows an opening quote into the cell and what follows the closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (inside, after) = rest.split_once('"')?;
        cell.push_str(inside);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None => return Some((cell, after)),
        }
    }
}

/// Splits a flag's list of names, which is written as a CSV row.
pub(crate) fn split_list(text: &str) -> Result<Vec<String>, String> {
    let mut row = Row::default();
    parse(text, Dialect { delimiter: b',' }, &mut row)?;
    Ok(row.iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',' };

    fn read(input: &str, dialect: Dialect) -> Result<Vec<(u64, Vec<String>)>, String> {
        let lines = LineReader::new(Box::new(std::io::Cursor::new(input.to_owned())), b'\n');
        let mut reader = CsvReader::new(lines, dialect);
        let mut rows = Vec::new();
        loop {
            match reader.advance() {
                Ok(true) => rows.push((reader.line(), reader.row().iter().map(str::to_owned).collect())),
                Ok(false) => return Ok(rows),
                Err(error) => return Err(format!("{}: {error:?}", reader.line())),
            }
        }
    }

    #[test]
    fn rows_and_the_lines_they_start_on() {
        for (input, expected) in [
            ("a,b\n1,2\n", vec![(1, vec!["a", "b"]), (2, vec!["1", "2"])]),
            ("a,b\r\n1,2", vec![(1, vec!["a", "b"]), (2, vec!["1", "2"])]),
            ("\n\na\n\nb\n", vec![(3, vec!["a"]), (5, vec!["b"])]),
            (",\n", vec![(1, vec!["", ""])]),
            ("\"\"\n", vec![(1, vec![""])]),
            ("\"a\nb\",c\nd,e\n", vec![(1, vec!["a\nb", "c"]), (3, vec!["d", "e"])]),
            ("\"a\r\nb\"\r\nd\n", vec![(1, vec!["a\r\nb"]), (3, vec!["d"])]),
            ("\"a\"\"b\",\"\"\"\"\n", vec![(1, vec!["a\"b", "\""])]),
            ("\"a\"\"\nb\"\n", vec![(1, vec!["a\"\nb"])]),
            ("a\"b,c\"\n", vec![(1, vec!["a\"b", "c\""])]),
            (" \"a\"\n", vec![(1, vec![" \"a\""])]),
            ("\"a,b\",\"ä\n\n\"\n", vec![(1, vec!["a,b", "ä\n\n"])]),
        ] {
            let expected: Vec<(u64, Vec<String>)> =
                expected.into_iter().map(|(line, row)| (line, row.into_iter().map(str::to_owned).collect())).collect();
            assert_eq!(read(input, COMMA), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn broken_quotes_are_errors_where_the_row_starts() {
        for (input, problem) in [
            ("a\n\"b\nc\n", "2: Bad(\"a quoted cell is never closed\")"),
            ("x,\"b\" c\n", "1: Bad(\"cell 2: after its closing quote comes ' ' instead of ','\")"),
        ] {
            assert_eq!(read(input, COMMA), Err(problem.to_owned()), "{input:?}");
        }
    }

    #[test]
    fn other_delimiters() {
        assert_eq!(read("a;b\n", Dialect { delimiter: b';' }), Ok(vec![(1, vec!["a".to_owned(), "b".to_owned()])]));
        assert_eq!(
            read("a\tb,c\n", Dialect { delimiter: b'\t' }),
            Ok(vec![(1, vec!["a".to_owned(), "b,c".to_owned()])])
        );
    }

    #[test]
    fn the_csv_crate_reads_the_same() {
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..2_000 {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for _ in 0..random(4) + 1 {
                let cells: Vec<String> = (0..random(4) + 1)
                    .map(|_| (0..random(5)).map(|_| ['a', '"', ',', '\n', ' ', 'ä'][random(6)]).collect())
                    .collect();
                writer.write_record(&cells).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let mut theirs = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                theirs.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<Vec<String>> = read(&text, COMMA).unwrap().into_iter().map(|(_, row)| row).collect();
            assert_eq!(ours, theirs, "{text:?}");
        }
    }

    #[test]
    fn lists_of_names() {
        assert_eq!(split_list("a,\"b,c\",d").unwrap(), ["a", "b,c", "d"]);
        assert!(split_list("a,\"b").is_err());
    }
}
