//! Chooses how each result is written, and writes it.

use super::cells::{Table, raw_line};
use super::json::{record_line, value_line};
use super::stdout::Stdout;
use super::writer::Writer;
use crate::config::{OutputFormat, OutputOptions};
use crate::exit::Abort;
use crate::run::{Context, TaskFailure};
use std::fs::File;
use std::io;

/// Writes results in one format to one place.
pub(crate) struct Stream {
    /// The place's name in messages.
    name: String,
    writer: Writer,
    format: OutputFormat,
    /// The header is still to be written.
    headless: bool,
    line: Vec<u8>,
}

impl Stream {
    /// Opens the output; a file is emptied.
    pub(super) fn open(options: &OutputOptions, stdout: Stdout) -> Result<Self, Abort> {
        let (name, file) = match &options.file {
            None => ("standard output".to_owned(), Ok(stdout.into_file())),
            Some(path) => (path.clone(), File::create(path)),
        };
        let writer = file.and_then(Writer::new).map_err(|error| Abort::writing(&name, &error))?;
        let headless = matches!(options.format, OutputFormat::Csv | OutputFormat::Tsv);
        Ok(Self { name, writer, format: options.format, headless, line: Vec::new() })
    }

    /// Writes the result of record `index`.
    pub(super) fn value(&mut self, index: u64, context: &Context, json: &[u8]) -> Result<(), Abort> {
        self.write(index, context, Ok(json))
    }

    /// Writes what stands in the place of a result.
    pub(super) fn failure(&mut self, index: u64, context: &Context, failure: &TaskFailure) -> Result<(), Abort> {
        self.write(index, context, Err(failure))
    }

    /// Fails when an earlier result could not be written, or the next could not be because its reader has gone.
    pub(super) fn check(&self) -> Result<(), Abort> {
        self.writer.check().map_err(|error| self.failed(&error))
    }

    /// Writes what is left; `names` are the kept columns, for the header of an output without records.
    pub(super) fn finish(&mut self, names: &[String]) -> Result<(), Abort> {
        self.line.clear();
        self.header(names);
        let written = if self.line.is_empty() { Ok(()) } else { self.writer.write(&self.line) };
        let closed = self.writer.close();
        written.and(closed).map_err(|error| self.failed(&error))
    }

    fn write(&mut self, index: u64, context: &Context, value: Result<&[u8], &TaskFailure>) -> Result<(), Abort> {
        self.line.clear();
        self.header(&context.kept.names);
        let line = &mut self.line;
        match self.format {
            OutputFormat::Jsonl => value_line(&context.kept, value.ok(), line),
            OutputFormat::Csv => Table::Csv.result(&context.kept, value.ok(), line),
            OutputFormat::Tsv => Table::Tsv.result(&context.kept, value.ok(), line),
            OutputFormat::Raw => raw_line(value.ok(), line),
            OutputFormat::Records => record_line(index, context, value, line),
        }
        self.writer.write(&self.line).map_err(|error| self.failed(&error))
    }

    fn header(&mut self, names: &[String]) {
        let table = match self.format {
            OutputFormat::Csv => Table::Csv,
            OutputFormat::Tsv => Table::Tsv,
            OutputFormat::Jsonl | OutputFormat::Raw | OutputFormat::Records => return,
        };
        if std::mem::take(&mut self.headless) {
            table.header(names, &mut self.line);
        }
    }

    fn failed(&self, error: &io::Error) -> Abort {
        Abort::writing(&self.name, error)
    }
}
