//! Connects for a work list.

use super::super::session::Session;
use crate::error::Error;
use crate::query::Stop;
use crate::url::{Tls, Url};
use tokio_postgres::Config;

/// Whatever the database's default is: on a higher level a row that somebody else has changed meanwhile is an error, and here it
/// is to be looked at once more.
const LEVEL: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE";

/// Connects.
pub(super) fn open(config: &Config, tls: &Tls, url: &Url, stop: Stop) -> Result<Session, Error> {
    let session = Session::open(config, tls, url, stop)?;
    session.run(session.client().batch_execute(LEVEL))?;
    Ok(session)
}
