//! Opens a file of SQLite, and tells what SQLite has to say.

use crate::error::{Error, ErrorKind};
use crate::url::Url;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// So long a connection waits for another that writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a file that is there.
///
/// For writing even if it is only read: what a crash has left half done is undone by the next that opens it so. SQLite itself
/// settles for reading where the file allows no more.
pub(super) fn open(path: &Path, url: &Url) -> Result<Connection, Error> {
    let unreachable = |problem: String| Error::new(ErrorKind::Unreachable, format!("cannot open {url}: {problem}"));
    if let Err(error) = std::fs::metadata(path) {
        return Err(unreachable(plain(&error)));
    }
    // Without a mutex: a connection stays with its thread.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| unreachable(error.to_string()))?;
    connection.busy_timeout(PATIENCE).map_err(|error| unreachable(error.to_string()))?;
    // Opening reads nothing; this does, and finds out whether it is a database at all.
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    tables.map_err(|error| unreachable(explain(&error).to_string()))?;
    Ok(connection)
}

fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Says what SQLite says, with its code.
pub(super) fn explain(error: &rusqlite::Error) -> Error {
    let (kind, code) = match error {
        rusqlite::Error::SqliteFailure(failure, _) => (kind(failure.code), Some(failure.extended_code)),
        rusqlite::Error::SqlInputError { error: failure, .. } => (ErrorKind::Statement, Some(failure.extended_code)),
        _ => (ErrorKind::Statement, None),
    };
    let message = match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    };
    match code {
        Some(code) => Error::new(kind, format!("{message} (SQLite code {code})")).with_code(code.to_string()),
        None => Error::new(kind, message),
    }
}

fn kind(code: ErrorCode) -> ErrorKind {
    match code {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => ErrorKind::Violation,
        ErrorCode::OperationInterrupted => ErrorKind::Stopped,
        ErrorCode::SystemIoFailure | ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => ErrorKind::Lost,
        _ => ErrorKind::Statement,
    }
}
