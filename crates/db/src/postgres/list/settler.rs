//! Settles rows: writes the results of those that are done, and sets the others free or gives them up.

use super::super::schema::{Schema, find, inspect as inspect_results};
use super::super::session::Session;
use super::super::writer::value_arrays;
use super::claimer::give_back;
use super::connect::open;
use super::schema::{List, inspect};
use super::statements;
use crate::claim::Held;
use crate::error::{Error, ErrorKind};
use crate::table::{Batch, Counts, Destination, Failed, Fate, NewRow, Rejected, Writer, Written};
use crate::url::{Tls, Url};
use crate::value::quoted;
use std::collections::HashSet;
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Statement};

/// Settles rows of one list, with results in one table.
pub(crate) struct Settler {
    session: Session,
    list: List,
    results: Schema,
    held: Held,
    /// The statement for these columns, which those of the next batch are most likely to be.
    prepared: Option<(Vec<String>, Statement)>,
    fail: Statement,
    give_back: Statement,
}

/// A reason is kept up to so many characters.
const LONGEST_REASON: usize = 10_000;

impl Settler {
    /// Connects and looks at both tables; returns the columns of the results as well.
    pub(crate) fn open(
        config: &Config,
        tls: &Tls,
        url: &Url,
        destination: &Destination,
        held: &Held,
    ) -> Result<(Self, Vec<String>), Error> {
        // What is done is written, also when the run is stopped.
        let session = open(config, tls, url, Arc::new(|| false))?;
        let list = inspect(&session, held.claim())?;
        if find(&session, &destination.table)?.is_some_and(|(table, _)| table == list.table) {
            return Err(Error::refused(format!(
                "table {} is the work list: results need a table of their own: CREATE TABLE results ({} {} PRIMARY KEY, result text);",
                destination.table,
                quoted(&list.key.name),
                list.key.kind
            )));
        }
        let results = inspect_results(&session, destination)?;
        let fail = session.run(session.client().prepare(&statements::fail(&list)))?;
        let give_back = session.run(session.client().prepare(&statements::give_back(&list)))?;
        let columns = results.columns.iter().map(|column| column.name.clone()).collect();
        Ok((Self { session, list, results, held: held.clone(), prepared: None, fail, give_back }, columns))
    }

    fn prepare(&mut self, columns: &[String]) -> Result<Statement, Error> {
        match &self.prepared {
            Some((prepared, statement)) if prepared == columns => Ok(statement.clone()),
            _ => {
                let sql = statements::settle(&self.list, &self.results, columns);
                let statement = self.session.run(self.session.client().prepare(&sql))?;
                self.prepared = Some((columns.to_vec(), statement.clone()));
                Ok(statement)
            }
        }
    }

    /// Writes results by one statement, which is a transaction of its own.
    fn settle(&self, statement: &Statement, columns: &[String], rows: &[NewRow]) -> Result<Written, Error> {
        let keys: Vec<String> = rows.iter().map(|row| row.key.to_string()).collect();
        let attempts = self.attempts(&keys);
        let arrays = value_arrays(&self.results, columns, rows);
        let holder = self.held.holder();
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&holder, &keys, &attempts];
        values.extend(arrays.iter().map(|array| array as &(dyn ToSql + Sync)));
        let found = self.session.run(self.session.client().query_one(statement, &values))?;
        let (places, new): (Vec<i64>, i64) = (found.get(0), found.get(1));
        self.held.settle(&keys, &attempts);
        let places: HashSet<usize> = places.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect();
        let lost = keys.into_iter().enumerate().filter(|(place, _)| !places.contains(place));
        let lost = lost.map(|(_, key)| Rejected::Lost { key, fate: Fate::Done });
        let written = u64::try_from(new).unwrap_or_default();
        let counts = Counts { written, present: (places.len() as u64).saturating_sub(written) };
        Ok(Written { counts, rejected: lost.collect() })
    }

    /// Finds out which results are refused, and writes the others. A row whose result is refused has failed.
    fn settle_singly(&self, statement: &Statement, batch: &Batch, written: &mut Written) -> Result<(), Error> {
        for row in &batch.rows {
            match self.settle(statement, &batch.columns, std::slice::from_ref(row)) {
                Ok(one) => written.add(one),
                Err(error) if error.kind() == ErrorKind::Violation => {
                    let key = row.key.to_string();
                    let again = !self.held.is_last_attempt(&key);
                    let lost = self.fail(&[Failed { key: key.clone(), reason: error.to_string() }])?;
                    written.rejected.push(match lost.is_empty() {
                        true => Rejected::Violation { key, error, again },
                        false => Rejected::Lost { key, fate: Fate::Done },
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sets rows free or gives them up; returns those that were not held any more.
    fn fail(&self, failed: &[Failed]) -> Result<Vec<Rejected>, Error> {
        let keys: Vec<String> = failed.iter().map(|row| row.key.clone()).collect();
        let attempts = self.attempts(&keys);
        let fate = |key: &String| if self.held.is_last_attempt(key) { Fate::Dead } else { Fate::Free };
        let fates: Vec<Fate> = keys.iter().map(fate).collect();
        let reasons: Vec<String> = failed.iter().map(|row| reason(&row.reason)).collect();
        let most = i32::try_from(self.held.claim().attempts).unwrap_or(i32::MAX);
        let (client, holder) = (self.session.client(), self.held.holder());
        let found = self.session.run(client.query(&self.fail, &[&holder, &keys, &attempts, &reasons, &most]))?;
        self.held.settle(&keys, &attempts);
        let found: HashSet<String> = found.iter().map(|row| row.get(0)).collect();
        let lost = keys.into_iter().zip(fates).filter(|(key, _)| !found.contains(key));
        Ok(lost.map(|(key, fate)| Rejected::Lost { key, fate }).collect())
    }

    /// Returns for which attempt each row is held; none is the 0th.
    fn attempts(&self, keys: &[String]) -> Vec<i32> {
        keys.iter().map(|key| self.held.attempt(key).unwrap_or_default()).collect()
    }
}

impl Writer for Settler {
    fn write(&mut self, batch: &Batch) -> Result<Written, Error> {
        let mut written = Written::default();
        if !batch.rows.is_empty() {
            let statement = self.prepare(&batch.columns)?;
            match self.settle(&statement, &batch.columns, &batch.rows) {
                Ok(all) => written.add(all),
                Err(error) if error.kind() == ErrorKind::Violation => {
                    self.settle_singly(&statement, batch, &mut written)?;
                }
                Err(error) => return Err(error),
            }
        }
        if !batch.failed.is_empty() {
            written.rejected.extend(self.fail(&batch.failed)?);
        }
        give_back(&self.session, &self.give_back, &self.held)?;
        Ok(written)
    }
}

/// A text of PostgreSQL has no zero bytes, and need not have all that a task has to say.
fn reason(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect()
}
