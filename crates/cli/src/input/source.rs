//! The inputs of a run: what they are, and that they can be opened.

use super::csv::Dialect;
use super::reader::Reader;
use crate::config::{FormatChoice, InputOptions, RowsOf};
use crate::exit::Abort;
use crate::halt::{Halt, Haltable};
use std::fs::{File, Metadata};
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Says how the records of one input are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Lines,
    Null,
    Csv(Dialect),
    Json,
    /// The rows of a query or a work list, which has no file.
    Sql,
}

/// Names one input that was found to be there.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The name in messages: the path as given, or `stdin`.
    pub(crate) name: Arc<str>,
    /// The path, unless it is standard input.
    pub(crate) path: Option<String>,
    pub(crate) format: Format,
    /// The file, unless it can be read only once.
    pub(crate) regular: Option<FileId>,
}

/// Identifies a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
}

impl FileId {
    /// Returns the identity of a regular file, `None` for everything else.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let id = Self { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.len() };
        metadata.is_file().then_some(id)
    }
}

/// Finds all inputs, before any of them is read.
pub(crate) fn sources(options: &InputOptions) -> Result<Vec<Source>, Abort> {
    let standard = options.files.iter().filter(|file| *file == "-").count();
    if standard > 1 {
        return Err(Abort::usage("--input: standard input can be read only once"));
    }
    let sources = options.files.iter().map(|file| source(file, options)).collect::<Result<Vec<_>, _>>()?;
    refuse_idle_flags(&sources, options)?;
    Ok(sources)
}

fn source(file: &str, options: &InputOptions) -> Result<Source, Abort> {
    let format = format(file, options);
    if file == "-" {
        return Ok(Source { name: "stdin".into(), path: None, format, regular: None });
    }
    let metadata = inspect(file).map_err(|error| Abort::reading(file, &error))?;
    Ok(Source { name: file.into(), path: Some(file.to_owned()), format, regular: FileId::of(&metadata) })
}

fn inspect(file: &str) -> io::Result<Metadata> {
    let metadata = std::fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A pipe is not opened to try it: its writer would see a reader come and go.
    if metadata.is_file() {
        File::open(file)?;
    }
    Ok(metadata)
}

fn format(file: &str, options: &InputOptions) -> Format {
    let csv = |default| Format::Csv(Dialect { delimiter: options.delimiter.unwrap_or(default) });
    match options.format {
        FormatChoice::Lines if options.null => Format::Null,
        FormatChoice::Auto if options.null => Format::Null,
        FormatChoice::Lines => Format::Lines,
        FormatChoice::Csv => csv(b','),
        FormatChoice::Tsv => csv(b'\t'),
        FormatChoice::Jsonl => Format::Json,
        FormatChoice::Auto => match Path::new(file).extension().and_then(|extension| extension.to_str()) {
            Some("csv") => csv(b','),
            Some("tsv") => csv(b'\t'),
            Some("jsonl" | "ndjson") => Format::Json,
            Some(_) | None => Format::Lines,
        },
    }
}

/// A flag without effect is a misunderstanding, which is better cleared up before the run. A variable is not: it may be set
/// for other runs.
fn refuse_idle_flags(sources: &[Source], options: &InputOptions) -> Result<(), Abort> {
    let any_csv = sources.iter().any(|source| matches!(source.format, Format::Csv(_)));
    match options.csv_only.first() {
        Some(flag) if !any_csv => {
            Err(Abort::usage(format!("--{flag} is for CSV and TSV, and no input is: use --format")))
        }
        _ => Ok(()),
    }
}

impl Source {
    /// Names the rows of a query, or of a table.
    pub(crate) fn of_rows(rows: &RowsOf) -> Self {
        let name = match rows {
            RowsOf::Query(_) => "--input-sql".into(),
            RowsOf::List(list) => list.table.as_str().into(),
        };
        Self { name, path: None, format: Format::Sql, regular: None }
    }

    /// Opens the input; it ends early when `halt` is raised.
    pub(crate) fn open(&self, halt: &Arc<Halt>) -> Result<Reader, Abort> {
        const BUFFER: usize = 128 * 1024;
        let file = match &self.path {
            None => io::stdin().as_fd().try_clone_to_owned().map(File::from),
            Some(path) => File::open(path),
        };
        let file = file.map_err(|error| Abort::reading(&self.name, &error))?;
        let input = Box::new(BufReader::with_capacity(BUFFER, Haltable::new(file, halt.clone())));
        Ok(Reader::new(input, self.format))
    }
}
