//! Writes results as rows of a table.

use crate::exit::{self, Abort};
use crate::input::entries;
use crate::run::Context;
use ganger_db::{Destination, ErrorKind, Fate, Heart, Held, Rejected, Table, Url, Value};

/// Writes rows.
pub(crate) struct Rows {
    table: Table,
    destination: Destination,
    /// Nothing more can be written, and why has been said.
    broken: bool,
    /// Where the rows come from, if it is a work list.
    list: Option<List>,
}

/// Is a work list as far as its rows are settled.
struct List {
    held: Held,
    /// It beats as long as results are taken.
    _heart: Heart,
}

/// Is a result that is counted and not there.
pub(crate) struct Refusal {
    /// Says why.
    pub(crate) line: String,
    pub(crate) kind: RefusalKind,
}

pub(crate) enum RefusalKind {
    /// The table would not have it, and the record has failed.
    Failed,
    /// The table would not have it, and the row of the work list is free for another attempt.
    Again,
    /// The row, which is called so, is somebody else's by now; it was counted as what it says.
    Lost(String, Fate),
}

impl Rows {
    pub(super) fn open(url: &Url, destination: &Destination) -> Result<Self, Abort> {
        let table = Table::open(url, destination).map_err(|error| unopened(&error))?;
        Ok(Self { table, destination: destination.clone(), broken: false, list: None })
    }

    /// Opens a table for the results of rows that are held, and begins to extend their leases.
    pub(super) fn open_claimed(url: &Url, destination: &Destination, held: Held) -> Result<Self, Abort> {
        let table = Table::open_claimed(url, destination, &held).map_err(|error| unopened(&error))?;
        let heart = Heart::start(url, &held).map_err(|error| Abort::new(exit::CANNOT_WRITE, error.to_string()))?;
        let list = Some(List { held, _heart: heart });
        Ok(Self { table, destination: destination.clone(), broken: false, list })
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

    pub(super) fn take_refused(&mut self) -> Vec<Refusal> {
        let Destination { table, key: column } = &self.destination;
        let refusal = |row: Rejected| match row {
            Rejected::Violation { key, error, again } => {
                let line = format!("table {table} refuses the row with {column} = {key}: {error}");
                let kind = if again { RefusalKind::Again } else { RefusalKind::Failed };
                Refusal { line, kind }
            }
            Rejected::Lost { key, fate } => {
                let row = format!("{column} = {key}");
                let line = format!(
                    "{row}: the lease was lost before the outcome was written: it is left to who has the row now"
                );
                Refusal { line, kind: RefusalKind::Lost(row, fate) }
            }
        };
        self.table.take_rejected().into_iter().map(refusal).collect()
    }

    /// Tells whether the row of a work list has another attempt after this one.
    pub(super) fn tries_again(&self, context: &Context) -> bool {
        let key = context.key.as_ref().map(Value::to_string);
        self.list.as_ref().zip(key).is_some_and(|(list, key)| !list.held.is_last_attempt(&key))
    }

    /// Sets the row of a work list free that has failed, or gives it up.
    pub(super) fn fail(&mut self, context: &Context, reason: &str) -> Result<(), Abort> {
        let Some(key) = &context.key else { return Ok(()) };
        let failed = self.table.fail(key, reason);
        failed.map_err(|error| self.abort(&error))?;
        self.write_late()
    }

    /// Gives back the row of a work list whose task the end of the run has overtaken.
    pub(super) fn put_back(&mut self, context: &Context, begun: bool) {
        if let Some(key) = &context.key {
            self.table.put_back(key, begun);
        }
    }

    /// Returns how many rows others may have run before.
    pub(super) fn doubtful(&self) -> u64 {
        self.list.as_ref().map_or(0, |list| list.held.doubtful())
    }

    /// Fails when leases cannot be extended any more. What is there can still be written, as far as it is held.
    pub(super) fn check_leases(&self) -> Result<(), Abort> {
        let held = self.list.as_ref().map_or(Ok(()), |list| list.held.check());
        held.map_err(|error| Abort::new(exit::NO_INPUT, format!("--claim: {error}")))
    }

    /// Writes what has waited for long enough.
    pub(super) fn write_late(&mut self) -> Result<(), Abort> {
        let written = self.table.write_late();
        written.map_err(|error| self.abort(&error))
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self) -> Result<(), Abort> {
        if std::mem::replace(&mut self.broken, true) {
            if self.list.is_some() {
                // What is held is given back if that is possible; what is wrong has been said.
                let _ = self.table.finish();
            }
            return Ok(());
        }
        let written = self.table.finish();
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

fn unopened(error: &ganger_db::Error) -> Abort {
    match error.kind() {
        ErrorKind::Refused => Abort::usage(format!("--output-sql: {error}")),
        _ => Abort::new(exit::CANNOT_WRITE, format!("--output-sql: {error}")),
    }
}
