//! Reads a query through a cursor, in a transaction that only reads.

use super::schema::{Schema, inspect};
use super::session::Session;
use crate::error::Error;
use crate::query::{Cursor as Face, Fetched, Row, Stop, key_column};
use crate::table::Destination;
use crate::url::{Tls, Url};
use crate::value::{Value, quoted};
use std::collections::HashSet;
use tokio_postgres::types::Type;
use tokio_postgres::{Config, SimpleQueryMessage, SimpleQueryRow, Statement};

/// Fetches rows.
pub(crate) struct Cursor {
    session: Session,
    kinds: Vec<Kind>,
    lookup: Option<Lookup>,
    number: u64,
    /// So many rows come next.
    count: usize,
}

/// Says what the text of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    Json,
}

/// The first rows are few, so that work can begin;
const FIRST: usize = 50;
/// then so many come at once,
const MOST_ROWS: usize = 1_000;
/// or as many as make up so many bytes, about.
const MOST_BYTES: usize = 2 << 20;

impl Cursor {
    /// Declares the cursor; returns the columns of the query as well.
    pub(crate) fn open(
        config: &Config,
        tls: &Tls,
        url: &Url,
        sql: &str,
        known: Option<&Destination>,
        stop: Stop,
    ) -> Result<(Self, Vec<String>), Error> {
        let session = Session::open(config, tls, url, stop)?;
        // All rows are wanted in the end: a plan that is fast for the first few only would be the wrong one.
        session.run(session.client().batch_execute("BEGIN READ ONLY; SET LOCAL cursor_tuple_fraction = 1"))?;
        let statement = session.run(session.client().prepare(sql))?;
        if !statement.params().is_empty() {
            return Err(Error::refused("the query has a parameter, and nothing gives it a value"));
        }
        let names: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let kinds = statement.columns().iter().map(|column| kind(column.type_())).collect();
        let lookup = match known {
            Some(destination) => Some(Lookup::new(&session, destination, &names)?),
            None => None,
        };
        let declaration = format!("DECLARE ganger_input NO SCROLL CURSOR FOR {sql}");
        session.run(session.client().batch_execute(&declaration))?;
        Ok((Self { session, kinds, lookup, number: 0, count: FIRST }, names))
    }

    fn row(&mut self, row: &SimpleQueryRow) -> Row {
        self.number += 1;
        let value = |(column, kind): (usize, &Kind)| match (row.get(column), kind) {
            (None, _) => Value::Null,
            (Some("t"), Kind::Bool) => Value::Text("true".to_owned()),
            (Some("f"), Kind::Bool) => Value::Text("false".to_owned()),
            (Some(text), Kind::Json) => Value::Json(text.to_owned()),
            (Some(text), Kind::Text | Kind::Bool) => Value::Text(text.to_owned()),
        };
        Row { number: self.number, values: self.kinds.iter().enumerate().map(value).collect() }
    }
}

impl Face for Cursor {
    fn fetch(&mut self) -> Result<Fetched, Error> {
        // A simple query, whose answers are texts: those of all types, also of types that this program has never heard of.
        let sql = format!("FETCH {} FROM ganger_input", self.count);
        let messages = self.session.run(self.session.client().simple_query(&sql))?;
        let mut rows = Vec::with_capacity(self.count);
        for message in &messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(self.row(row));
            }
        }
        let bytes: usize = rows.iter().flat_map(|row| &row.values).map(Value::size).sum();
        self.count = (rows.len() * MOST_BYTES).checked_div(bytes).unwrap_or(FIRST).clamp(1, MOST_ROWS);
        match &self.lookup {
            Some(lookup) if !rows.is_empty() => lookup.without_present(&self.session, rows),
            _ => Ok(Fetched { rows, present: 0 }),
        }
    }
}

fn kind(kind: &Type) -> Kind {
    match *kind {
        Type::BOOL => Kind::Bool,
        Type::JSON | Type::JSONB => Kind::Json,
        _ => Kind::Text,
    }
}

/// Finds out which keys are in the table.
struct Lookup {
    statement: Statement,
    key: usize,
}

impl Lookup {
    fn new(session: &Session, destination: &Destination, columns: &[String]) -> Result<Self, Error> {
        let key = key_column(columns, &destination.key)?;
        let Schema { table, key: column, .. } = inspect(session, destination)?;
        let sql = format!(
            "SELECT r.place FROM unnest($1::text[]) WITH ORDINALITY AS r (key, place) \
             WHERE EXISTS (SELECT 1 FROM {table} AS t WHERE t.{} = r.key::{})",
            quoted(&column.name),
            column.kind
        );
        Ok(Self { statement: session.run(session.client().prepare(&sql))?, key })
    }

    /// Leaves out what is there. Within the transaction each statement sees what was committed before it.
    fn without_present(&self, session: &Session, rows: Vec<Row>) -> Result<Fetched, Error> {
        let keys: Vec<Option<String>> = rows.iter().map(|row| row.values[self.key].text()).collect();
        let found = session.run(session.client().query(&self.statement, &[&keys])).map_err(|error| {
            let (first, last) = (rows[0].number, rows[rows.len() - 1].number);
            error.during(format!("the keys of rows {first} to {last}"))
        })?;
        let places: HashSet<usize> =
            found.iter().map(|row| usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX)).collect();
        let rows = rows.into_iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, row)| row);
        Ok(Fetched { rows: rows.collect(), present: places.len() as u64 })
    }
}
