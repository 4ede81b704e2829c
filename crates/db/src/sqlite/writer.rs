//! Writes batches into a table of SQLite.

use super::open::{explain, open};
use super::schema::{Schema, inspect};
use crate::error::{Error, ErrorKind};
use crate::table::{Batch, Destination, NewRow, Rejected, Writer as Face, Written};
use crate::url::Url;
use crate::value::{Plain, Value, quoted};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement, ToSql, TransactionBehavior, params_from_iter};
use std::path::Path;

/// Writes into one table.
pub(crate) struct Writer {
    connection: Connection,
    schema: Schema,
}

impl Writer {
    /// Finds the table; returns its columns as well.
    pub(crate) fn open(path: &Path, url: &Url, destination: &Destination) -> Result<(Self, Vec<String>), Error> {
        let connection = open(path, url)?;
        let schema = inspect(&connection, destination)?;
        let columns = schema.columns.clone();
        Ok((Self { connection, schema }, columns))
    }
}

impl Face for Writer {
    fn write(&mut self, batch: &Batch) -> Result<Written, Error> {
        let told = |error| explain(&error);
        let sql = insertion(&self.schema, &batch.columns);
        // At once with the right to write: one that is asked for later may be refused without waiting.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(told)?;
        let mut written = Written::default();
        {
            let mut statement = transaction.prepare(&sql).map_err(told)?;
            for row in &batch.rows {
                match insert(&mut statement, row).map_err(told) {
                    Ok(1) => written.counts.written += 1,
                    Ok(_) => written.counts.present += 1,
                    // A statement that fails takes back its own work only.
                    Err(error) if error.kind() == ErrorKind::Violation => {
                        written.rejected.push(Rejected::Violation { key: row.key.to_string(), error, again: false });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        transaction.commit().map_err(told)?;
        Ok(written)
    }
}

fn insertion(schema: &Schema, columns: &[String]) -> String {
    let Schema { table, key, .. } = schema;
    let names: String = columns.iter().map(|column| format!(", {}", quoted(column))).collect();
    let values = ", ?".repeat(columns.len());
    format!("INSERT INTO main.{table} ({key}{names}) VALUES (?{values}) ON CONFLICT ({key}) DO NOTHING")
}

fn insert(statement: &mut Statement<'_>, row: &NewRow) -> rusqlite::Result<usize> {
    let key = match &row.key {
        Value::Null | Value::Bytes(_) => ToSqlOutput::Owned(rusqlite::types::Value::Null),
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(text) | Value::Json(text) => text.to_sql()?,
    };
    let values = row.values.iter().map(|json| output(json));
    statement.execute(params_from_iter(std::iter::once(key).chain(values)))
}

/// Gives a JSON value the class of storage that is its own. SQLite has no whole numbers beyond 64 bits with a sign: they stay
/// exact as texts.
fn output(json: &str) -> ToSqlOutput<'_> {
    match Plain::of(json) {
        Plain::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
        Plain::Bool(flag) => i64::from(flag).into(),
        Plain::Text(text) => ToSqlOutput::Owned(text.into()),
        Plain::Compound(text) => ToSqlOutput::Borrowed(text.into()),
        Plain::Number(text) => match (text.parse::<i64>(), text.contains(['.', 'e', 'E'])) {
            (Ok(number), _) => number.into(),
            (Err(_), true) => text.parse::<f64>().map_or(ToSqlOutput::Borrowed(text.into()), Into::into),
            (Err(_), false) => ToSqlOutput::Borrowed(text.into()),
        },
    }
}
