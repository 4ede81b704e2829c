//! Extends leases.

use super::super::session::Session;
use super::connect::open;
use super::schema::inspect;
use super::statements;
use crate::claim::Held;
use crate::error::Error;
use crate::query::Stop;
use crate::url::{Tls, Url};
use tokio_postgres::{Config, Statement};

/// Extends the leases of one holder.
pub(crate) struct Beater {
    session: Session,
    statement: Statement,
    holder: String,
    /// In seconds.
    lease: f64,
}

impl Beater {
    /// Connects.
    pub(crate) fn open(config: &Config, tls: &Tls, url: &Url, held: &Held, stop: Stop) -> Result<Self, Error> {
        let session = open(config, tls, url, stop)?;
        let list = inspect(&session, held.claim())?;
        let statement = session.run(session.client().prepare(&statements::beat(&list)))?;
        Ok(Self { session, statement, holder: held.holder().to_owned(), lease: held.claim().lease.as_secs_f64() })
    }

    /// Extends the leases of these rows, as far as they are still held; returns which are.
    pub(crate) fn beat(&self, keys: &[String], attempts: &[i32]) -> Result<Vec<String>, Error> {
        let client = self.session.client();
        let rows = self.session.run(client.query(&self.statement, &[&self.holder, &self.lease, &keys, &attempts]))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
