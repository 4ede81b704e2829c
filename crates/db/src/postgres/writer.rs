//! Writes batches into a table of PostgreSQL.

use super::schema::{Column, Schema, inspect};
use super::session::Session;
use crate::error::{Error, ErrorKind};
use crate::table::{Batch, Counts, Destination, NewRow, Rejected, Writer as Face, Written};
use crate::url::{Tls, Url};
use crate::value::{Plain, listed, quoted};
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Statement};

/// Writes into one table.
pub(crate) struct Writer {
    session: Session,
    schema: Schema,
    /// The statement for these columns, which those of the next batch are most likely to be.
    prepared: Option<(Vec<String>, Statement)>,
}

impl Writer {
    /// Connects and finds the table; returns its columns as well.
    pub(crate) fn open(
        config: &Config,
        tls: &Tls,
        url: &Url,
        destination: &Destination,
    ) -> Result<(Self, Vec<String>), Error> {
        // A batch is written to its end, also when the run is stopped: its work is done.
        let session = Session::open(config, tls, url, Arc::new(|| false))?;
        let schema = inspect(&session, destination)?;
        let columns = schema.columns.iter().map(|column| column.name.clone()).collect();
        Ok((Self { session, schema, prepared: None }, columns))
    }

    fn prepare(&mut self, columns: &[String]) -> Result<Statement, Error> {
        match &self.prepared {
            Some((prepared, statement)) if prepared == columns => Ok(statement.clone()),
            _ => {
                let sql = insertion(&self.schema, columns);
                let statement = self.session.run(self.session.client().prepare(&sql))?;
                self.prepared = Some((columns.to_vec(), statement.clone()));
                Ok(statement)
            }
        }
    }

    /// Inserts rows by one statement, which is a transaction of its own; returns how many are new.
    fn insert(&self, statement: &Statement, columns: &[String], rows: &[NewRow]) -> Result<Counts, Error> {
        let mut arrays: Vec<Vec<Option<String>>> = vec![rows.iter().map(|row| row.key.text()).collect()];
        arrays.extend(value_arrays(&self.schema, columns, rows));
        let arrays: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        let written = self.session.run(self.session.client().execute(statement, &arrays))?;
        Ok(Counts { written, present: (rows.len() as u64).saturating_sub(written) })
    }

    /// Finds out which rows of a batch are refused, and writes the others.
    fn insert_singly(&self, statement: &Statement, batch: &Batch) -> Result<Written, Error> {
        let mut written = Written::default();
        for row in &batch.rows {
            match self.insert(statement, &batch.columns, std::slice::from_ref(row)) {
                Ok(counts) => {
                    written.counts.written += counts.written;
                    written.counts.present += counts.present;
                }
                Err(error) if error.kind() == ErrorKind::Violation => {
                    written.rejected.push(Rejected::Violation { key: row.key.to_string(), error, again: false });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

impl Face for Writer {
    fn write(&mut self, batch: &Batch) -> Result<Written, Error> {
        let statement = self.prepare(&batch.columns)?;
        match self.insert(&statement, &batch.columns, &batch.rows) {
            Ok(counts) => Ok(Written { counts, rejected: Vec::new() }),
            Err(error) if error.kind() == ErrorKind::Violation => self.insert_singly(&statement, batch),
            Err(error) => Err(error),
        }
    }
}

/// Returns the values of rows, an array for each column.
pub(super) fn value_arrays(schema: &Schema, columns: &[String], rows: &[NewRow]) -> Vec<Vec<Option<String>>> {
    let array =
        |(place, column): (usize, &Column)| rows.iter().map(|row| text(&row.values[place], column.is_json())).collect();
    schema.columns_of(columns).enumerate().map(array).collect()
}

/// Each column comes as an array of texts, which PostgreSQL converts: so one statement takes any number of rows, of any types.
fn insertion(schema: &Schema, columns: &[String]) -> String {
    let key = std::iter::once(&schema.key);
    let columns: Vec<&Column> = key.chain(schema.columns_of(columns)).collect();
    let each = |form: &dyn Fn(usize, &Column) -> String| {
        let texts: Vec<String> = columns.iter().enumerate().map(|(place, column)| form(place, column)).collect();
        listed(texts.iter().map(String::as_str))
    };
    let names = each(&|_, column| quoted(&column.name));
    let values = each(&|place, column| format!("r.c{place}::{}", column.kind));
    let arrays = each(&|place, _| format!("${}::text[]", place + 1));
    let places = each(&|place, _| format!("c{place}"));
    format!(
        "INSERT INTO {} ({names}) SELECT {values} FROM unnest({arrays}) AS r ({places}) ON CONFLICT ({}) DO NOTHING",
        schema.table,
        quoted(&schema.key.name)
    )
}

/// Writes a JSON value as PostgreSQL reads values of any type.
fn text(json: &str, is_json: bool) -> Option<String> {
    match Plain::of(json) {
        Plain::Null => None,
        _ if is_json => Some(json.to_owned()),
        Plain::Bool(flag) => Some(flag.to_string()),
        Plain::Text(text) => Some(text),
        Plain::Number(text) | Plain::Compound(text) => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_takes_all_rows() {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), kind: kind.to_owned() };
        let columns = vec![column("id", "bigint"), column("a b", "double precision")];
        let schema = Schema { table: "s.t".to_owned(), key: columns[0].clone(), columns };
        assert_eq!(
            insertion(&schema, &["a b".to_owned()]),
            "INSERT INTO s.t (\"id\", \"a b\") SELECT r.c0::bigint, r.c1::double precision \
             FROM unnest($1::text[], $2::text[]) AS r (c0, c1) ON CONFLICT (\"id\") DO NOTHING"
        );
    }

    #[test]
    fn values_keep_their_digits_and_json_its_quotes() {
        for (json, is_json, expected) in [
            ("null", false, None),
            ("null", true, None),
            ("0.1", false, Some("0.1")),
            (r#""a\"b""#, false, Some("a\"b")),
            (r#""a\"b""#, true, Some(r#""a\"b""#)),
            ("true", false, Some("true")),
            ("[1]", false, Some("[1]")),
        ] {
            assert_eq!(text(json, is_json).as_deref(), expected, "{json}");
        }
    }
}
