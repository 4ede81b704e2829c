//! Reads bytes up to a terminator, and counts lines and bytes.

use std::io::{self, BufRead};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads lines and remembers where the current one is.
pub(crate) struct LineReader {
    input: Box<dyn BufRead + Send>,
    terminator: u8,
    line: Vec<u8>,
    /// How much of `line` comes before the terminator.
    content: usize,
    number: u64,
    start: u64,
    end: u64,
}

impl LineReader {
    /// Reads lines that end with `terminator`: a line feed or NUL.
    pub(crate) fn new(input: Box<dyn BufRead + Send>, terminator: u8) -> Self {
        Self { input, terminator, line: Vec::new(), content: 0, number: 0, start: 0, end: 0 }
    }

    /// Reads the next line; `false` is the end of the input. The last line needs no terminator.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = self.input.read_until(self.terminator, &mut self.line)?;
        self.start = self.end;
        self.end += read as u64;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.number == 1 && self.line.starts_with(BOM) {
            self.line.drain(..BOM.len());
            self.start += BOM.len() as u64;
        }
        self.content = self.without_terminator();
        // A byte-order mark alone is an empty file, not an empty line.
        Ok(self.end > self.start)
    }

    /// Leaves out the terminator, and the carriage return before a line feed.
    fn without_terminator(&self) -> usize {
        match self.line.as_slice() {
            [content @ .., b'\r', b'\n'] if self.terminator == b'\n' => content.len(),
            [content @ .., last] if *last == self.terminator => content.len(),
            content => content.len(),
        }
    }

    /// Returns the current line without its terminator.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.line[..self.content]
    }

    /// Returns the current line with its terminator.
    pub(super) fn raw(&self) -> &[u8] {
        &self.line
    }

    /// Returns the current line as text, or the place of the first byte that is none.
    pub(crate) fn text(&self) -> Result<&str, String> {
        text(self.bytes(), self.start)
    }

    /// Returns the number of the current line, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the position of the current line's first byte in the input.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Returns how many bytes have been read.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
}

/// Checks that bytes, which begin at `start` of the input, are UTF-8.
pub(super) fn text(bytes: &[u8], start: u64) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let position = start + error.valid_up_to() as u64;
        let byte = bytes[error.valid_up_to()];
        format!("not UTF-8: byte 0x{byte:02x} at position {position} of the input")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &'static [u8], terminator: u8) -> Vec<(u64, u64, Vec<u8>)> {
        let mut reader = LineReader::new(Box::new(input), terminator);
        let mut lines = Vec::new();
        while reader.advance().unwrap() {
            lines.push((reader.number(), reader.start(), reader.bytes().to_vec()));
        }
        assert_eq!(reader.end(), input.len() as u64);
        lines
    }

    #[test]
    fn ends_marks_and_numbers() {
        let line = |number, start, text: &str| (number, start, text.as_bytes().to_vec());
        for (input, expected) in [
            (&b""[..], vec![]),
            (b"\xef\xbb\xbf", vec![]),
            (b"\n", vec![line(1, 0, "")]),
            (b"\xef\xbb\xbf\n", vec![line(1, 3, "")]),
            (b"a\nb\n", vec![line(1, 0, "a"), line(2, 2, "b")]),
            (b"a\r\n\r\nb", vec![line(1, 0, "a"), line(2, 3, ""), line(3, 5, "b")]),
            (b"\xef\xbb\xbfa\nb", vec![line(1, 3, "a"), line(2, 5, "b")]),
            (b"a\r", vec![line(1, 0, "a\r")]),
        ] {
            assert_eq!(lines(input, b'\n'), expected, "{input:?}");
        }
        assert_eq!(lines(b"a\nb\r\0c", 0), [line(1, 0, "a\nb\r"), line(2, 5, "c")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_placed() {
        let mut reader = LineReader::new(Box::new(&b"ab\nc\xffd\n"[..]), b'\n');
        reader.advance().unwrap();
        assert_eq!(reader.text(), Ok("ab"));
        reader.advance().unwrap();
        assert_eq!(reader.text(), Err("not UTF-8: byte 0xff at position 4 of the input".to_owned()));
    }
}
