//! Claims rows.

use super::super::schema::Column;
use super::super::session::Session;
use super::connect::open;
use super::schema::{List, inspect};
use super::statements::{self, Which};
use crate::claim::{Claim, Held};
use crate::error::Error;
use crate::query::Stop;
use crate::url::{Tls, Url};
use crate::value::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row, Statement};

/// Claims rows of one list.
pub(crate) struct Claimer {
    session: Session,
    list: List,
    from_start: Statement,
    after: Statement,
    suspect: Statement,
    open_rows: Statement,
    give_back: Statement,
    claim: Claim,
    holder: String,
}

/// Is a row that was claimed, or given up.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The text of its key.
    pub(crate) key: String,
    pub(crate) attempt: i32,
    /// Somebody's lease of it has run out: it may have been run.
    pub(crate) doubtful: bool,
    /// Why it was given up.
    pub(crate) dead: Option<String>,
    pub(crate) values: Vec<Value>,
}

impl Claimer {
    /// Connects and looks at the table; returns its columns as well.
    pub(crate) fn open(
        config: &Config,
        tls: &Tls,
        url: &Url,
        held: &Held,
        stop: Stop,
    ) -> Result<(Self, Vec<String>), Error> {
        let session = open(config, tls, url, stop)?;
        let (claim, holder) = (held.claim().clone(), held.holder().to_owned());
        let list = inspect(&session, &claim)?;
        let prepare = |sql: String| session.run(session.client().prepare(&sql));
        let from_start = prepare(statements::claim(&list, Which::Usual, false))?;
        let after = prepare(statements::claim(&list, Which::Usual, true))?;
        let suspect = prepare(statements::claim(&list, Which::Suspect, false))?;
        let open_rows = prepare(statements::has_open_rows(&list))?;
        let give_back = prepare(statements::give_back(&list))?;
        let columns = list.columns.iter().map(|column| column.name.clone()).collect();
        Ok((Self { session, list, from_start, after, suspect, open_rows, give_back, claim, holder }, columns))
    }

    /// Claims at most so many rows, those with keys behind `after` if that is given.
    pub(crate) fn claim(&self, after: Option<&str>, count: usize, which: Which) -> Result<Vec<Taken>, Error> {
        let lease = self.claim.lease.as_secs_f64();
        let most = i32::try_from(self.claim.attempts).unwrap_or(i32::MAX);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&self.holder, &lease, &most, &count];
        let statement = match (which, &after) {
            (Which::Suspect, _) => &self.suspect,
            (Which::Usual, None) => &self.from_start,
            (Which::Usual, Some(after)) => {
                values.push(after);
                &self.after
            }
        };
        let rows = self.session.run(self.session.client().query(statement, &values))?;
        Ok(rows.iter().map(|row| self.taken(row)).collect())
    }

    fn taken(&self, row: &Row) -> Taken {
        let value = |(place, column): (usize, &Column)| match row.get::<_, Option<String>>(place + 4) {
            None => Value::Null,
            Some(text) if column.is_json() => Value::Json(text),
            Some(text) => Value::Text(text),
        };
        Taken {
            doubtful: row.get(0),
            attempt: row.get(1),
            dead: row.get(2),
            key: row.get(3),
            values: self.list.columns.iter().enumerate().map(value).collect(),
        }
    }

    /// Tells whether any row is neither done nor given up.
    pub(crate) fn has_open_rows(&self) -> Result<bool, Error> {
        Ok(self.session.run(self.session.client().query_one(&self.open_rows, &[]))?.get(0))
    }

    /// Gives back what was not begun.
    pub(crate) fn give_back(&self, held: &Held) -> Result<(), Error> {
        give_back(&self.session, &self.give_back, held)
    }
}

/// Gives back what was not begun.
pub(super) fn give_back(session: &Session, statement: &Statement, held: &Held) -> Result<(), Error> {
    let returned = held.take_returned();
    if returned.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = returned.iter().map(|row| row.key.as_str()).collect();
    let attempts: Vec<i32> = returned.iter().map(|row| row.attempt).collect();
    let doubtful: Vec<bool> = returned.iter().map(|row| row.doubtful).collect();
    session.run(session.client().execute(statement, &[&held.holder(), &keys, &attempts, &doubtful])).map(drop)
}
