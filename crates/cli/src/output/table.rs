//! Writes results as rows of a table.

use crate::exit::{self, Abort};
use crate::input::entries;
use crate::run::Context;
use ganger_db::{Destination, ErrorKind, Table, Url, Value};

/// Writes rows.
pub(crate) struct Rows {
    table: Table,
    destination: Destination,
    /// Nothing more can be written, and why has been said.
    broken: bool,
}

impl Rows {
    pub(super) fn open(url: &Url, destination: &Destination) -> Result<Self, Abort> {
        let table = Table::open(url, destination).map_err(|error| match error.kind() {
            ErrorKind::Refused => Abort::usage(format!("--output-sql: {error}")),
            _ => Abort::new(exit::CANNOT_WRITE, format!("--output-sql: {error}")),
        })?;
        Ok(Self { table, destination: destination.clone(), broken: false })
    }

    /// Adds the row of a result.
    pub(super) fn value(&mut self, context: Context, json: &[u8]) -> Result<(), Abort> {
        let key = context.key.expect("a query whose results become rows has keys");
        let json = std::str::from_utf8(json).expect("JSON text is UTF-8");
        self.add(key, json)
            .map_err(|problem| Abort::new(exit::CANNOT_WRITE, format!("{}: {problem}", context.place)))?;
        self.write_late()
    }

    fn add(&mut self, key: Value, json: &str) -> Result<(), String> {
        let shown = key.to_string();
        let added = if self.table.takes_whole() {
            self.table.add_whole(key, json)
        } else {
            let fields = entries(json).map_err(|_| self.not_an_object())?;
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, json)| (name.as_ref(), *json)).collect();
            self.table.add(key, &fields)
        };
        added.map_err(|error| {
            self.broken = true;
            format!("{} = {shown}: {}", self.destination.key, self.failed(&error))
        })
    }

    fn not_an_object(&self) -> String {
        let table = &self.destination.table;
        format!(
            "the result is no object with a field for each column, and table {table} has no column \"result\": \
             ALTER TABLE {table} ADD COLUMN result TEXT;"
        )
    }

    pub(super) fn take_refused(&mut self) -> Vec<String> {
        let Destination { table, key } = &self.destination;
        let line =
            |row: ganger_db::Rejected| format!("table {table} refuses the row with {key} = {}: {}", row.key, row.error);
        self.table.take_rejected().into_iter().map(line).collect()
    }

    /// Writes what has waited for long enough.
    pub(super) fn write_late(&mut self) -> Result<(), Abort> {
        let written = self.table.write_late();
        written.map_err(|error| self.abort(&error))
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self) -> Result<(), Abort> {
        if std::mem::replace(&mut self.broken, true) {
            return Ok(());
        }
        let written = self.table.write();
        written.map_err(|error| self.abort(&error))
    }

    fn abort(&mut self, error: &ganger_db::Error) -> Abort {
        self.broken = true;
        Abort::new(exit::CANNOT_WRITE, self.failed(error))
    }

    /// Says what is there all the same.
    fn failed(&self, error: &ganger_db::Error) -> String {
        let written = self.table.counts().written;
        format!(
            "table {}: {error}; {written} results of this run are there, and the next run does the others",
            self.destination.table
        )
    }
}
